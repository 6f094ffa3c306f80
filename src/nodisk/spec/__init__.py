"""lab.yaml → Lab: parsed once, every problem with its line."""
