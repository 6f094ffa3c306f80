"""Kubernetes' own conformance suite, run in resumable pieces (``nodisk conformance``)."""
