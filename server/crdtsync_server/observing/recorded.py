"""What a committed group hands on of itself."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crdtsync_server.work import Origin


@dataclass(slots=True)
class Recorded:
    """What a committed group hands on: to metrics, and to later transactions."""

    group: int | None = None
    """The row of ``groups``; None where nothing was traced."""
    connections: list[tuple[Origin, int]] = field(default_factory=list)
    """Rows of ``connections`` by the origin that they belong to."""
    results: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Ops by (result, reason)."""
    retries: Counter[str] = field(default_factory=Counter)
    """Attempts without success of the ops that are in the log now, by how they ended."""
    opened: Counter[str] = field(default_factory=Counter)
    """Conflicts that opened, by collection.field."""
    resolved: Counter[str] = field(default_factory=Counter)
    """Conflicts that ended, by method: ``chosen`` by a person, or ``agreed``."""
    written_us: list[int] = field(default_factory=list)
    """When people wrote the ops that were accepted, by the server's clock."""
    validate_s: list[float] = field(default_factory=list)
    apply_s: list[float] = field(default_factory=list)
    update_bytes: list[int] = field(default_factory=list)
    document_bytes: Sequence[int] = ()
    persist_s: float = 0.0

    @property
    def accepted(self) -> int:
        """Ops that entered the log."""
        return len(self.written_us)
