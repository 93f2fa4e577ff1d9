"""``crdtsync verify``: what must be true of a server's database, checked row by row."""
