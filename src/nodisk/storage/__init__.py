"""Students' storage on the server: one disk image per student, exported by NFS."""
