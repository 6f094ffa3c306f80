"""Students' storage on the server: a disk image each, exported by NFS."""
