"""Classes of students: rosters, accounts, handouts."""
