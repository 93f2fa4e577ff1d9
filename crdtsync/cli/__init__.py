"""The ``crdtsync`` command line."""

from crdtsync.cli.application import main, make_app

__all__ = ["main", "make_app"]
