"""What a reader saw: the causal base of a later write.

A version is the confirmed state that was shown (a seq of the log) and the ops
that were shown on top of it. It says for every entry whether the reader had
seen it, so a form that was open while others wrote supersedes only what it
showed. When one of those ops is refused or discarded afterwards, what that op
had covered counts as seen too, because it lies at or below the same seq:
records held by a caller inherit without any bookkeeping.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from crdtsync.documents.errors import UsageError
from crdtsync.documents.ops import is_op_id
from crdtsync.documents.state import Entry, RecordState

MAX_SEQ_DIGITS = 16
"""Of the largest seq, 2^53 - 1."""


class Version(NamedTuple):
    """Opaque to callers; ``str`` and ``parse`` are its form in ETags and files."""

    seq: int
    ops: tuple[str, ...] = ()

    def saw(self, entry: Entry) -> bool:
        """Whether the reader had this entry on the screen, or something written over it."""
        return 0 < entry.seq <= self.seq or entry.op_id in self.ops

    def __str__(self) -> str:
        return f"{self.seq}:{','.join(self.ops)}" if self.ops else str(self.seq)

    @classmethod
    def parse(cls, text: str) -> Version:
        """Read the form of ``str``; raises UsageError."""
        seq, _, ops = text.partition(":")
        names = tuple(ops.split(",")) if ops else ()
        plain = seq.isascii() and seq.isdigit() and len(seq) <= MAX_SEQ_DIGITS
        if not plain or not all(map(is_op_id, names)):
            raise UsageError(f"{text[:80]!r} is not a version; pass record.version unchanged")
        return cls(int(seq), names)


def version_of(state: RecordState) -> Version:
    """The version of a record as it is shown now.

    Entries above the state's seq are those of a log that the server has lost: they
    are named one by one, as pending ones are.
    """
    shown = dict.fromkeys(state.pending)
    for _, entry in state.entries():
        if not 0 < entry.seq <= state.seq:
            shown[entry.op_id] = None
    return Version(state.seq, tuple(shown))


@dataclass(frozen=True, slots=True)
class Basis:
    """What a write is based on: a version, and the record itself where it is at hand.

    With the record the seen entries are known exactly; with the version alone
    they are derived from it.
    """

    version: Version
    state: RecordState | None = None

    def of_another_log(self) -> Basis:
        """The same basis where its seqs tell nothing any more (a restored server, or one that
        shows now what it had hidden).

        Only what it names one by one counts as seen: at worst two values stand side
        by side that the person had already chosen between.
        """
        named = dict.fromkeys(self.version.ops)
        if self.state is not None:
            named.update(dict.fromkeys(entry.op_id for _, entry in self.state.entries()))
        return Basis(Version(0, tuple(filter(is_op_id, named))), self.state)

    def seen(self, state: RecordState, root: str) -> list[Entry]:
        """The entries that a write replaces.

        What a shown pending op covered is included: if that op is refused, the
        write takes its place (inheritance).
        """
        if self.state is not None:
            covered = (entry for entry, _ in self.state.hidden.get(root, {}).values())
            return [*self.state.visible(root), *covered]
        covered = (entry for entry, _ in state.hidden.get(root, {}).values())
        return [entry for entry in (*state.visible(root), *covered) if self.version.saw(entry)]

    def shown(self, state: RecordState, root: str) -> list[Entry]:
        """The entries that the reader had on the screen, as far as they are still known."""
        if self.state is not None:
            return list(self.state.visible(root))
        uncovered = (
            entry for entry, by in state.hidden.get(root, {}).values() if by not in self.version.ops
        )
        return [entry for entry in (*state.visible(root), *uncovered) if self.version.saw(entry)]
