"""The lab's authorities, and what each role may have signed."""
