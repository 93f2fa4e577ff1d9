"""What the fuzzer has seen and made: ids to name again, rightly and wrongly."""

from __future__ import annotations

from collections import defaultdict, deque
from random import Random

from crdtsync.documents.ops import EntryId, Op
from tests.fuzz.hostile import new_id

KEPT = 400
KEPT_PER_FIELD = 40

Place = tuple[str, str, str]
"""(collection, record, root)."""


class Known:
    """Ids that mean something in the world at hand."""

    def __init__(self) -> None:
        self.ops: deque[Op] = deque(maxlen=KEPT)
        self.entries: dict[Place, deque[EntryId]] = defaultdict(
            lambda: deque(maxlen=KEPT_PER_FIELD)
        )
        self.logs: dict[str, deque[tuple[int, bytes]]] = defaultdict(lambda: deque(maxlen=KEPT))
        self.replica_ids: deque[str] = deque(maxlen=20)
        self.runs: dict[str, str] = {}

    def note_op(self, op: Op) -> None:
        """An op was made; perhaps it will be accepted."""
        self.ops.append(op)
        for root, write in op.writes.items():
            entries = self.entries[op.collection, op.record, root]
            entries.extend(EntryId(op.op_id, n) for n in range(min(len(write.values), 3)))

    def op_id(self, draw: Random) -> str:
        """One that was there, or a new one."""
        if self.ops and draw.random() < 0.8:
            return draw.choice(self.ops).op_id
        return new_id(draw)

    def op_ids(self, draw: Random, most: int) -> list[str]:
        """Some of them, each once."""
        return list(dict.fromkeys(self.op_id(draw) for _ in range(draw.randrange(most + 1))))

    def seen(self, draw: Random, place: Place, most: int = 3) -> list[EntryId]:
        """Entries of a field that a write may rightly replace."""
        entries = self.entries.get(place)
        if not entries:
            return []
        return list(dict.fromkeys(draw.choice(entries) for _ in range(draw.randrange(most + 1))))

    def seen_elsewhere(self, draw: Random) -> EntryId:
        """An entry of any field of any record."""
        if not self.entries:
            return EntryId(new_id(draw), 0)
        entries = self.entries[draw.choice(list(self.entries))]
        return draw.choice(entries) if entries else EntryId(new_id(draw), 0)

    def place_in_log(self, draw: Random, space: str = "w") -> tuple[int, bytes]:
        """A true (seq, digest), mostly the newest, or the beginning."""
        log = self.logs.get(space)
        chance = draw.random()
        if not log or chance < 0.1:
            return 0, b""
        return log[-1] if chance < 0.6 else draw.choice(log)

    def seq(self, draw: Random) -> int:
        """A seq that exists, as far as any does."""
        return self.place_in_log(draw)[0]
