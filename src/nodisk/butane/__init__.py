"""Butane and Container Linux Config → Ignition: a library of its own."""
