"""The same shape written in raw pycrdt: what our layer is measured against.

Each field is a root Map of the record's Doc. A write puts the JSON text
``[value, time, user, op_id]`` under its op_id and deletes the keys that it replaces, so
values that did not see each other stand side by side, as in our documents. There is no
policy, no check of what arrives, and no memory of ops: whoever writes must know itself
what it replaces.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Mapping
from typing import Any

import msgspec
from pycrdt import Doc, Map

from benchmarks.merge.raw_docs import created, exchanged, loaded, merged_writers
from benchmarks.merge.shape import (
    CONFLICT_FIELD,
    LEFT_EDITS,
    NAMES,
    RIGHT_EDITS,
    edited,
    first_values,
    is_conflicting,
    merged_values,
    values_after,
)
from benchmarks.merge.timing import Figures, expect, in_batches

_text = msgspec.json.Encoder().encode
_parts = msgspec.json.Decoder(tuple[str, int, str, str]).decode
_random = random.Random(1)


class Fields:
    """A Doc with its root Maps."""

    __slots__ = ("doc", "maps", "updates")

    def __init__(self, data: bytes | None = None) -> None:
        self.doc: Doc[Any] = Doc(client_id=_random.getrandbits(32))
        if data is not None:
            self.doc.apply_update(data)
        self.maps: dict[str, Map[Any]] = {
            name: self.doc.get(f"r/{name}", type=Map) for name in NAMES
        }
        self.updates: list[bytes] = []

    def write(self, name: str, value: str, user: str, time_us: int, gone: list[str]) -> str:
        """Write one field; returns the op_id."""
        op_id = str(uuid.uuid4())
        field = self.maps[name]
        with self.doc.transaction():
            field[op_id] = _text((value, time_us, user, op_id)).decode()
            for seen in gone:
                del field[seen]
        return op_id

    def read(self, name: str) -> str:
        """The value with the largest (time, op_id)."""
        found: dict[str, str] = self.maps[name].to_py() or {}
        if len(found) == 1:
            (text,) = found.values()
            return _parts(text)[0]
        return max(map(_parts, found.values()), key=lambda parts: (parts[1], parts[3]))[0]

    def read_all(self) -> dict[str, str]:
        return {name: self.read(name) for name in NAMES}


def create(params: Mapping[str, Any]) -> Figures:
    return created(params, _encoded, lambda data: Fields(data).read_all())


def overwrite(params: Mapping[str, Any]) -> Figures:
    """The change is exported by the event of its transaction."""
    edits, size_bytes = params["edits"], 0

    def prepare(record: int) -> tuple[Fields, Fields, dict[str, str]]:
        left, right, op_id = _pair(record)
        left.doc.observe(lambda event: left.updates.append(event.update))
        return left, right, dict.fromkeys(NAMES, op_id)

    def work(pairs: list[tuple[Fields, Fields, dict[str, str]]]) -> list[int]:
        sizes = []
        for left, right, last in pairs:
            sent = 0
            for number in range(edits):
                name = NAMES[number % 10]
                last[name] = left.write(name, edited(number), "kim", number, [last[name]])
                data = left.updates.pop()
                sent += len(data)
                right.doc.apply_update(data)
            sizes.append(sent)
        return sizes

    def check(record: int, pair: tuple[Fields, Fields, dict[str, str]], sent: int) -> None:
        nonlocal size_bytes
        size_bytes += sent
        left, right, _ = pair
        expect(right.read_all(), values_after(record, edits))
        expect(left.read_all(), right.read_all())

    watch = in_batches(params, prepare, work, check, each=edits)
    return watch.figures("ops_per_s", bytes=size_bytes / watch.done)


def two_way(params: Mapping[str, Any]) -> Figures:
    size_bytes = 0

    def check(record: int, pair: tuple[Fields, Fields], sent: int) -> None:
        nonlocal size_bytes
        size_bytes += sent
        left, right = pair
        expect([m.to_py() for m in left.maps.values()], [m.to_py() for m in right.maps.values()])
        for name, allowed in merged_values(record).items():
            expect(left.read(name) in allowed, True)

    watch = in_batches(params, _diverged, exchanged, check)
    return watch.figures("docs_per_s", bytes=size_bytes / watch.done)


def two_way_kept(params: Mapping[str, Any]) -> Figures:
    """Each side has kept the update of each of its edits, and the other applies them."""
    size_bytes = 0

    def prepare(record: int) -> tuple[Fields, Fields]:
        left, right, op_id = _pair(record)
        for one in (left, right):
            one.doc.observe(lambda event, one=one: one.updates.append(event.update))
        _edit_both(left, right, op_id)
        return left, right

    def work(pairs: list[tuple[Fields, Fields]]) -> list[int]:
        sizes = []
        for left, right in pairs:
            to_right, to_left = tuple(left.updates), tuple(right.updates)
            for here, updates in ((right, to_right), (left, to_left)):
                with here.doc.transaction():
                    for data in updates:
                        here.doc.apply_update(data)
            sizes.append(sum(map(len, (*to_right, *to_left))))
        return sizes

    def check(record: int, pair: tuple[Fields, Fields], sent: int) -> None:
        nonlocal size_bytes
        size_bytes += sent
        left, right = pair
        expect([m.to_py() for m in left.maps.values()], [m.to_py() for m in right.maps.values()])

    watch = in_batches(params, prepare, work, check)
    return watch.figures("docs_per_s", bytes=size_bytes / watch.done)


def writers(params: Mapping[str, Any]) -> Figures:
    def write(number: int) -> bytes:
        writer = Fields()
        writer.write(NAMES[number % 10], edited(number), f"user-{number}", number, [])
        return writer.doc.get_update()

    def check(merged: Doc[Any], clients: int) -> None:
        fields = [merged.get(f"r/{name}", type=Map) for name in NAMES]
        expect(sum(len(field) for field in fields), clients)
        newest = max(map(_parts, fields[9].values()), key=lambda parts: parts[1])
        expect(newest[0], edited(clients - 1))

    return merged_writers(params, write, lambda: Fields().doc, check)


def conflicts(params: Mapping[str, Any]) -> Figures:
    """Load a Doc; a field with several keys and different values is in conflict."""
    one_in = params["one_in"]

    def prepare(record: int) -> bytes:
        if not is_conflicting(record, one_in):
            return _encoded(record)
        left, right, op_id = _pair(record)
        left.write(CONFLICT_FIELD, "left's choice", "kim", 1, [op_id])
        right.write(CONFLICT_FIELD, "right's choice", "lee", 1, [op_id])
        left.doc.apply_update(right.doc.get_update(left.doc.get_state()))
        return left.doc.get_update()

    def work(documents: list[bytes]) -> list[list[str]]:
        found = []
        for data in documents:
            doc: Doc[Any] = Doc(client_id=0)
            doc.apply_update(data)
            # Only of this field no value may be lost; the others settle by themselves.
            field = doc.get(f"r/{CONFLICT_FIELD}", type=Map)
            several = len(field) > 1 and len({_parts(t)[0] for t in field.values()}) > 1
            found.append([CONFLICT_FIELD] if several else [])
        return found

    def check(record: int, _: bytes, found: list[str]) -> None:
        expect(found, [CONFLICT_FIELD] if is_conflicting(record, one_in) else [])

    return in_batches(params, prepare, work, check).figures("docs_per_s")


def load(params: Mapping[str, Any]) -> Figures:
    def check(record: int, doc: Doc[Any]) -> None:
        (text,) = doc.get("r/f9", type=Map).to_py().values()
        expect(_parts(text)[0], first_values(record)["f9"])

    return loaded(params, _encoded, check)


def read(params: Mapping[str, Any]) -> Figures:
    def prepare(record: int) -> Fields:
        return Fields(_encoded(record))

    def check(record: int, _: Fields, values: dict[str, str]) -> None:
        expect(values, first_values(record))

    watch = in_batches(params, prepare, lambda docs: [one.read_all() for one in docs], check)
    return watch.figures("docs_per_s")


def _created(record: int) -> tuple[Fields, str]:
    made, op_id = Fields(), str(uuid.uuid4())
    with made.doc.transaction():
        for name, value in first_values(record).items():
            made.maps[name][op_id] = _text((value, 0, "kim", op_id)).decode()
    return made, op_id


def _encoded(record: int) -> bytes:
    return _created(record)[0].doc.get_update()


def _pair(record: int) -> tuple[Fields, Fields, str]:
    left, op_id = _created(record)
    return left, Fields(left.doc.get_update()), op_id


def _diverged(record: int) -> tuple[Fields, Fields]:
    left, right, op_id = _pair(record)
    _edit_both(left, right, op_id)
    return left, right


def _edit_both(left: Fields, right: Fields, op_id: str) -> None:
    for number, name in enumerate(LEFT_EDITS, start=1):
        left.write(name, f"left wrote {name}", "kim", number, [op_id])
    for number, name in enumerate(RIGHT_EDITS, start=1):
        right.write(name, f"right wrote {name}", "lee", number, [op_id])
