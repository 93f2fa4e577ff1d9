"""How fast a device writes, reads, starts and comes into step, beside PouchDB."""
