"""How fast a sync server takes changes and hands them out, beside other servers."""
