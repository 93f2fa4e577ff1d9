"""Our encoder against pycrdt and stock Yjs, on random ops.

- An item that we write is, byte for byte, what pycrdt and Yjs write for the same client
  id, map, key and text.
- The updates of an episode, shuffled and partly doubled, read alike in all three, and give
  the bytes of the whole document.

Without node, or where tests/documents has not installed yjs, only pycrdt is compared,
and the counts say so.
"""

from __future__ import annotations

import atexit
import base64
import json
from random import Random
from typing import Any

import msgspec
from pycrdt import Doc, Map

from crdtsync.documents.decoder import decode_update
from crdtsync.documents.document import RecordDocument
from crdtsync.documents.encoder import encode_ops, value_section, write_update
from crdtsync.documents.identity import client_id, entry_key
from crdtsync.documents.ops import EntryId, FieldWrite, Op
from tests.fuzz.good_ops import good_op
from tests.fuzz.hostile import TEXTS
from tests.fuzz.known import Known
from tests.fuzz.notebook import Notebook
from tests.fuzz.rules import EPOCH_US, POLICY
from tests.fuzz.target import Found
from tests.fuzz.yjs_process import Yjs, yjs_folder

ITEM = POLICY.collection("item")
RECORD = "a"
USERS = ("kim", "김민지 😀", 'quote"and\\slash', "\u202eabc", "x" * 200)
ONE_BY_ONE = 10
"""Entries of an episode that pycrdt and Yjs write by themselves as well."""


class EncoderTarget:
    """A frame is an op here."""

    name = "encoder"
    frames_per_episode = 200
    memory_bytes = 250 * 1_048_576
    frame_limit_s = 20.0

    def __init__(self) -> None:
        self._yjs: Yjs | None = None

    def episode(self, draw: Random, notebook: Notebook) -> None:
        """See ``Target``."""
        if self._yjs is None and (folder := yjs_folder()) is not None:
            self._yjs = Yjs(folder)
            atexit.register(self._yjs.close)
        ops = self._ops(draw, notebook)
        document = RecordDocument(ITEM, RECORD)
        document.apply_many(ops)
        if document.waiting:
            raise Found("an op waits for an entry that is there")
        chosen = [
            (op, root, n)
            for op in draw.sample(ops, ONE_BY_ONE)
            for root, write in op.writes.items()
            for n in range(min(len(write.values), 2))
        ]
        updates = [encode_ops([op]) for op in ops]
        for update in updates:
            notebook.counts["bytes"] += len(update)
        again = [*updates, *draw.sample(updates, len(updates) // 4)]
        draw.shuffle(again)
        self._against_pycrdt(document, updates, again, chosen)
        if self._yjs is not None:
            notebook.counts["ops read by Yjs"] += len(ops)
            self._against_yjs(self._yjs, document, again, chosen)
        notebook.counts["ops read by pycrdt"] += len(ops)
        notebook.counts["items written by each"] += len(chosen)

    def _ops(self, draw: Random, notebook: Notebook) -> list[Op]:
        """Ops in an order in which each has seen what it replaces."""
        known, ops = Known(), list[Op]()
        there: set[tuple[str, EntryId]] = set()
        for _ in range(self.frames_per_episode):
            op = good_op(draw, known, draw.choice(USERS), EPOCH_US)
            if op.collection != "item" or op.record != RECORD:
                known.entries.clear()
                writes = {
                    root: write
                    for root, write in op.writes.items()
                    if not write.supersedes and root in ITEM.by_root
                }
                op = msgspec.structs.replace(
                    op, collection="item", record=RECORD, writes=writes or op.writes
                )
            op = _without_strangers(op, there)
            if draw.random() < 0.1:
                op = _with_a_text(draw, op)
            ops.append(op)
            there |= {
                (root, EntryId(op.op_id, n))
                for root, write in op.writes.items()
                for n in range(len(write.values))
            }
            known.note_op(op)
            notebook.frame(msgspec.msgpack.encode(op), spoiled=False)
        return ops

    # ── pycrdt ──────────────────────────────────────────────────────────────

    def _against_pycrdt(
        self,
        document: RecordDocument,
        updates: list[bytes],
        shuffled: list[bytes],
        chosen: list[tuple[Op, str, int]],
    ) -> None:
        doc: Doc[Any] = Doc(client_id=0)
        # Then in order: a deletion that came before its item is held in memory only (HAZARDS.md).
        for update in (*shuffled, *updates):
            doc.apply_update(update)
        held, whole = (
            decode_update(doc.get_update(), ordered=False),
            decode_update(document.encode()),
        )
        if sorted(held.items) != sorted(whole.items) or held.deleted != whole.deleted:
            raise Found("pycrdt holds something else than the document")
        for root, shown in _maps_of(document).items():
            held_map: Any = doc.get(root, type=Map)
            read = held_map.to_py()
            if read != shown:
                raise Found(f"pycrdt reads {root} as {read}, not as {shown}")
        for op, root, n in chosen:
            number, key, text, ours = _item(op, root, n)
            native: Doc[Any] = Doc(client_id=number)
            written: Any = native.get(root, type=Map)
            written[key] = text
            if native.get_update() != ours:
                raise Found(f"pycrdt writes another item: {native.get_update()!r} {ours!r}")

    # ── Yjs ─────────────────────────────────────────────────────────────────

    def _against_yjs(
        self,
        yjs: Yjs,
        document: RecordDocument,
        updates: list[bytes],
        chosen: list[tuple[Op, str, int]],
    ) -> None:
        items = [_item(op, root, n) for op, root, n in chosen]
        writes = [
            (number, root, key, text)
            for (number, key, text, _), (_, root, _) in zip(items, chosen, strict=True)
        ]
        maps = _maps_of(document)
        answer = yjs.ask(updates, list(maps), writes)
        if answer["maps"] != maps or answer["pending"]:
            raise Found(f"Yjs reads {answer['maps']}, not {maps}")
        if base64.b64decode(answer["update"]) != document.encode():
            raise Found("Yjs writes another document")
        for native, (_, _, _, ours) in zip(answer["native"], items, strict=True):
            if base64.b64decode(native) != ours:
                raise Found(f"Yjs writes another item: {native} {ours!r}")


def _without_strangers(op: Op, there: set[tuple[str, EntryId]]) -> Op:
    """What is not there is not superseded: an op would wait for it."""
    writes = {}
    for root, write in op.writes.items():
        seen = tuple(one for one in write.supersedes if (root, one) in there)
        if write.values or seen:
            writes[root] = msgspec.structs.replace(write, supersedes=seen)
    if not writes:
        writes = {"r/name": FieldWrite(('"x"',))}
    return msgspec.structs.replace(op, writes=writes)


def _with_a_text(draw: Random, op: Op) -> Op:
    """Any text that JSON can carry, in a field that takes texts."""
    writes = dict(op.writes)
    text = json.dumps(draw.choice(TEXTS)[:2_000], ensure_ascii=draw.random() < 0.5)
    if "r/name" in writes:
        writes["r/name"] = msgspec.structs.replace(writes["r/name"], values=(text,))
    return msgspec.structs.replace(op, writes=writes)


def _item(op: Op, root: str, n: int) -> tuple[int, str, str, bytes]:
    """Client id, key, text and bytes of an entry as an update of its own."""
    entry_id = EntryId(op.op_id, n)
    number, key = client_id(root, entry_id), entry_key(entry_id)
    user = json.dumps(op.user, ensure_ascii=False)
    text = f'[{op.writes[root].values[n]},{op.time_us},{user},"{op.op_id}"]'
    section = value_section(number, root, key, text.encode())
    return number, key, text, write_update({number: section}, ())


def _maps_of(document: RecordDocument) -> dict[str, dict[str, str]]:
    """The root maps, as any port of Yjs ought to read them."""
    maps: dict[str, dict[str, str]] = {}
    for item in decode_update(document.encode()).items:
        found = maps.setdefault(item.root, {})
        if item.entry is not None:
            entry = item.entry
            user = json.dumps(entry.user, ensure_ascii=False)
            found[entry_key(entry.id)] = f'[{entry.value},{entry.time_us},{user},"{entry.op_id}"]'
    return maps
