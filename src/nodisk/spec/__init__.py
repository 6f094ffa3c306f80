"""lab.yaml → Lab: parsed once; every problem is reported with its line."""
