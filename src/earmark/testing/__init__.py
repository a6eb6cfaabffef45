"""Proof that an author can run: schedules of kills and faults for their commands."""
