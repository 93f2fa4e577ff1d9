"""The server's database: one SQLite file for all spaces of a data folder."""
