"""The running cluster: API client, readiness, kubectl, ssh."""
