"""The server: its daemons and their supervision, enrolment, events."""
