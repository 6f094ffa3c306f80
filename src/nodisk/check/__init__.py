"""Preflight: what would stop a lab from booting."""
