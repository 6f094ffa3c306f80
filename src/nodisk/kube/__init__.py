"""The Kubernetes API: a client with retries, and functions on objects that need no lab."""
