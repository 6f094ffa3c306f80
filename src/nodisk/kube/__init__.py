"""Kubernetes' API: a client with retries, and what can be said of objects without knowing a lab."""
