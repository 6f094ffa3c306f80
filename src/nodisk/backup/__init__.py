"""Backups of a whole room, kept by restic: made, listed, proved by a restore, restored."""
