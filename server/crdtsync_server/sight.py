"""Who reads, and what they may see of what is read."""

from __future__ import annotations

from dataclasses import dataclass

from crdtsync.policy import Visibility


@dataclass(frozen=True, slots=True)
class Sight:
    """A reader. Everything that leaves the server for a person is redacted by one
    (crdtsync/documents/redaction.py)."""

    user: str
    seen: Visibility
