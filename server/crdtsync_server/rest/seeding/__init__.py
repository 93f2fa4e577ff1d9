"""``crdtsync seed``: a space filled from a database that is there already, over HTTP."""
