"""The lab's certificate authorities and what they sign. Keys never leave the server."""
