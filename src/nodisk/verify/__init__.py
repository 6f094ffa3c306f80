"""Proof that the cluster works."""
