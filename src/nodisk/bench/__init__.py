"""Measurements, and their report."""
