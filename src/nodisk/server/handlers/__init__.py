"""One handler per file: a request in, a response out; policy and texts come from elsewhere."""
