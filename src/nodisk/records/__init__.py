"""The lab's records, for all readers: events, enrolments, whether the server runs, what was tested."""
