"""The sync server: orders, merges, stores and hands out what replicas write."""
