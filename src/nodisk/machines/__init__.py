"""Machines: power, and the virtual lab."""
