"""Numbered steps of the schema (``crdtsync.database.migrate`` runs them)."""
