"""How the cost of an op, of a record and of a connection grows."""
