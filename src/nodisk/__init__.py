"""nodisk: a room of diskless PCs becomes a Kubernetes cluster for a class."""

__version__ = "0.1.0"
