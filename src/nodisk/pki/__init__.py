"""The lab's certificate authorities, and what each role may have signed."""
