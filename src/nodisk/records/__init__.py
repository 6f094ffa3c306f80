"""What the lab's server has recorded, as everybody reads it: events, enrolments, whether it runs, what was tried."""
