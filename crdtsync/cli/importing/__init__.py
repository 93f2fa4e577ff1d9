"""``import``: files of other programs into a replica, line by line."""
