"""Faults of the peer (the tree is drawn in crdtsync/errors.py)."""

from __future__ import annotations

from crdtsync.errors import CrdtsyncError


class ProtocolError(CrdtsyncError):
    """The peer sent something that the protocol does not allow; the connection ends."""
