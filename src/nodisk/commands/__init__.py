"""The commands: each module holds those of one area, and each command is one call of what lies below."""
