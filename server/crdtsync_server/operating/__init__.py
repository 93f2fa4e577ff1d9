"""Running a server for real: its settings, and the backup, check and restore of its data."""
