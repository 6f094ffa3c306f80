"""The lab's server: daemons and their supervision, enrolment, events."""
