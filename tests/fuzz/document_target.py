"""``RecordDocument`` under forged bytes and hostile ops: refused in words, or read alike.

pycrdt is never to be reached by what our encoder did not write (invariant 8), so a
panic of it, which is no ``Exception``, is found too.
"""

from __future__ import annotations

import contextlib
from random import Random
from typing import Any

import msgspec

from crdtsync.documents.decoder import decode_state, decode_update
from crdtsync.documents.document import RecordDocument
from crdtsync.documents.errors import BadDocument, DocumentError
from crdtsync.documents.ops import Op
from crdtsync.documents.settling import check_against_policy
from crdtsync.documents.state import LogEntry
from crdtsync.errors import CrdtsyncError
from crdtsync.policy import InvalidValue
from tests.documents.making import assert_index_equals_doc
from tests.fuzz.bad_frames import spoil_bytes
from tests.fuzz.bad_ops import spoil
from tests.fuzz.good_ops import good_op
from tests.fuzz.known import Known
from tests.fuzz.notebook import Notebook
from tests.fuzz.rules import EPOCH_US, POLICY
from tests.fuzz.target import Found
from tests.fuzz.update_forging import Forger

ITEM = POLICY.collection("item")
RECORD = "a"
LARGEST = 150
"""Items after which a document is begun anew."""


class DocumentTarget:
    """Bytes and ops, by turns, into a document that goes on being used."""

    name = "documents"
    frames_per_episode = 500
    memory_bytes = 250 * 1_048_576
    frame_limit_s = 10.0

    def episode(self, draw: Random, notebook: Notebook) -> None:
        """See ``Target``."""
        world = _World(draw, notebook)
        last = notebook.number + self.frames_per_episode
        while notebook.number < last:
            world.step()
        world.check_whole()


class _World:
    def __init__(self, draw: Random, notebook: Notebook) -> None:
        self.draw = draw
        self.notebook = notebook
        self.known = Known()
        self.forger = Forger(draw)
        self.document = RecordDocument(ITEM, RECORD)
        self.logged = RecordDocument(ITEM, RECORD)
        self.seq = 0

    def step(self) -> None:
        """One hostile thing."""
        draw = self.draw
        match draw.randrange(8):
            case 0 | 1 | 2:
                self._bytes()
            case 3 | 4 | 5:
                self._op()
            case 6:
                self._entry()
            case _:
                self._state()
        if len(self.document._items.sections) > LARGEST:
            self.check_whole()
            self.document = RecordDocument(ITEM, RECORD)

    # ── bytes ───────────────────────────────────────────────────────────────

    def _bytes(self) -> None:
        items = self.document._items
        # Whoever encodes a document has all of its sections written.
        self.document.encode()
        own = [
            (code, section) for code, section in items.sections.items() if type(section) is bytes
        ]
        if len(own) > 12:
            own = self.draw.sample(own, 12)
        data = self.forger.forged(own, [code for code, _ in own if code in items.dead])
        self.notebook.frame(data)
        opened = self._opened(data)
        before, state = self.document.encode(), self.document.state()
        try:
            changed = self.document.merge(data)
        except DocumentError as error:
            self._refused(error)
            if (self.document.encode(), self.document.state()) != (before, state):
                raise Found("a merge that was refused has changed the document") from error
            return
        self.notebook.counts["accepted"] += 1
        if changed == (self.document.encode() == before):
            raise Found(f"a merge says that it changed {changed}, and it did not")
        if opened is not None:
            self._check_other_way(opened, before)
        self._read(self.document)

    def _opened(self, data: bytes) -> RecordDocument | None:
        with contextlib.suppress(BadDocument):
            decode_update(data, ordered=False)
        try:
            opened = RecordDocument.open(data, ITEM, RECORD)
        except DocumentError as error:
            self._refused(error)
            return None
        if opened.encode() != data:
            raise Found("a document that was opened is written as another one")
        assert_index_equals_doc(opened)
        self._read(opened)
        return opened

    def _check_other_way(self, opened: RecordDocument, before: bytes) -> None:
        """Whatever the order of merging, the bytes are equal (invariant 5)."""
        try:
            opened.merge(before)
        except DocumentError as error:
            raise Found(f"merged one way only: {error}") from error
        if opened.encode() != self.document.encode():
            raise Found("two orders of merging gave two documents")

    def _state(self) -> None:
        data = self.document.state()
        data = spoil_bytes(self.draw, data) if self.draw.random() < 0.8 else data
        self.notebook.frame(data)
        try:
            decode_state(data)
            difference = self.document.encode(since=data)
        except BadDocument as error:
            self._refused(error)
            return
        self.notebook.counts["accepted"] += 1
        decode_update(difference)

    # ── ops ─────────────────────────────────────────────────────────────────

    def _made(self) -> Op | None:
        op = good_op(self.draw, self.known, "kim", EPOCH_US)
        op = msgspec.structs.replace(op, collection="item", record=RECORD)
        if self.draw.random() < 0.4:
            return op
        try:
            return msgspec.convert(spoil(self.draw, self.known, op), Op)
        except msgspec.ValidationError:
            return None

    def _op(self) -> None:
        op = self._made()
        if op is None:
            return
        self.notebook.frame(msgspec.msgpack.encode(op) if _is_text(op) else repr(op).encode())
        before, waiting = self.document.encode(), self.document.waiting
        try:
            check_against_policy(op, ITEM, None)
            self.document.apply(op)
        except (DocumentError, InvalidValue) as error:
            self._refused(error)
            if (self.document.encode(), self.document.waiting) != (before, waiting):
                raise Found(f"an op that was refused has changed the document: {op}") from error
            return
        self.notebook.counts["accepted"] += 1
        again = self.document.encode()
        if self.document.apply(op) or self.document.encode() != again:
            raise Found(f"an op was applied twice (invariant 3): {op}")
        self._read(self.document)

    def _entry(self) -> None:
        """An entry of a log, as a server would write it but for what it removes."""
        op = self._made()
        if op is None or (op.collection, op.record) != ("item", RECORD):
            return
        self.notebook.frame(repr(op).encode(errors="replace"))
        self.seq += self.draw.choice((1, 1, 1, 0))
        written = {root: write.values for root, write in op.writes.items()}
        removed = tuple(
            (root, *seen, "superseded")
            for root, write in op.writes.items()
            for seen in write.supersedes[:20]
        )
        plain: tuple[Any, ...] = (
            *(1, self.seq, b"d" * 16, op.op_id, op.user, op.collection, op.record),
            *(op.time_us, EPOCH_US, EPOCH_US, written, removed, {}, 0, False),
        )
        entry = msgspec.convert(plain, LogEntry)
        before = self.logged.encode()
        try:
            self.logged.apply_entry(entry)
        except DocumentError as error:
            self._refused(error)
            if self.logged.encode() != before and not self.logged.is_compacted:
                raise Found("an entry that was refused has changed the document") from error
            return
        self.notebook.counts["accepted"] += 1
        if self.draw.random() < 0.05 and self.seq:
            self.logged.compact(as_of=self.seq)
        if len(self.logged._items.sections) > LARGEST:
            assert_index_equals_doc(self.logged)
            self.logged, self.seq = RecordDocument(ITEM, RECORD), 0

    # ── checks ──────────────────────────────────────────────────────────────

    def _refused(self, error: CrdtsyncError) -> None:
        if not str(error):
            raise Found("a refusal says nothing") from error
        self.notebook.counts["refused"] += 1

    def _read(self, document: RecordDocument) -> None:
        """What stands there can be read; a value of another type says which field it is in."""
        for name in ITEM.fields:
            try:
                _ = document[name]
            except InvalidValue as error:
                self.notebook.counts["not a value of the policy"] += 1
                if error.field != name:
                    raise Found(f"{name} cannot be read for {error.field}") from error
        _ = document.deleted, document.version

    def check_whole(self) -> None:
        """pycrdt and the index hold the same, and a fresh copy reads alike."""
        self.notebook.alive()
        assert_index_equals_doc(self.document)
        data = self.document.encode()
        if data and RecordDocument.open(data, ITEM, RECORD).encode() != data:
            raise Found("a document does not survive being stored")
        self._merge_anew(data)

    def _merge_anew(self, data: bytes) -> None:
        fresh = RecordDocument(ITEM, RECORD)
        fresh.merge(data)
        if fresh.encode() != data:
            raise Found("merged into an empty one, a document is another one")


def _is_text(op: Op) -> bool:
    """Whether it can be told in msgpack: a lone surrogate cannot."""
    try:
        msgspec.msgpack.encode(op)
    except UnicodeEncodeError:
        return False
    return True
