"""What machines boot: built or fetched, verified, kept in a content-addressed store with a manifest."""
