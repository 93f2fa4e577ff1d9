"""How fast records merge without a server, beside the engines one could take instead."""
