"""One pycrdt Map with a key a field: the shortest a record can be, and the baseline of N writers.

The last writer wins by client id, whoever that is; what lost is gone, and nobody is told.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from pycrdt import Doc, Map

from benchmarks.merge.raw_docs import created, exchanged, loaded, merged_writers
from benchmarks.merge.shape import (
    LEFT_EDITS,
    NAMES,
    RIGHT_EDITS,
    edited,
    first_values,
    merged_values,
    values_after,
)
from benchmarks.merge.timing import Figures, expect, in_batches

_random = random.Random(1)


class OneMap:
    """A Doc with its Map."""

    __slots__ = ("doc", "map", "updates")

    def __init__(self, data: bytes | None = None) -> None:
        self.doc: Doc[Any] = Doc(client_id=_random.getrandbits(32))
        if data is not None:
            self.doc.apply_update(data)
        self.map: Map[Any] = self.doc.get("record", type=Map)
        self.updates: list[bytes] = []


def create(params: Mapping[str, Any]) -> Figures:
    return created(params, _encoded, lambda data: OneMap(data).map.to_py())


def overwrite(params: Mapping[str, Any]) -> Figures:
    """The change is exported by the event of its transaction."""
    edits, size_bytes = params["edits"], 0

    def prepare(record: int) -> tuple[OneMap, OneMap]:
        left = _created(record)
        left.doc.observe(lambda event: left.updates.append(event.update))
        return left, OneMap(left.doc.get_update())

    def work(pairs: list[tuple[OneMap, OneMap]]) -> list[int]:
        sizes = []
        for left, right in pairs:
            sent = 0
            for number in range(edits):
                left.map[NAMES[number % 10]] = edited(number)
                data = left.updates.pop()
                sent += len(data)
                right.doc.apply_update(data)
            sizes.append(sent)
        return sizes

    def check(record: int, pair: tuple[OneMap, OneMap], sent: int) -> None:
        nonlocal size_bytes
        size_bytes += sent
        expect(pair[0].map.to_py(), values_after(record, edits))
        expect(pair[1].map.to_py(), values_after(record, edits))

    watch = in_batches(params, prepare, work, check, each=edits)
    return watch.figures("ops_per_s", bytes=size_bytes / watch.done)


def two_way(params: Mapping[str, Any]) -> Figures:
    size_bytes = 0

    def check(record: int, pair: tuple[OneMap, OneMap], sent: int) -> None:
        nonlocal size_bytes
        size_bytes += sent
        merged = pair[0].map.to_py() or {}
        expect(merged, pair[1].map.to_py())
        for name, allowed in merged_values(record).items():
            expect(merged[name] in allowed, True)

    watch = in_batches(params, _diverged, exchanged, check)
    return watch.figures("docs_per_s", bytes=size_bytes / watch.done)


def writers(params: Mapping[str, Any]) -> Figures:
    def write(number: int) -> bytes:
        writer = OneMap()
        writer.map[NAMES[number % 10]] = edited(number)
        return writer.doc.get_update()

    def check(merged: Doc[Any], clients: int) -> None:
        expect(set(merged.get("record", type=Map).to_py() or {}), set(NAMES[:clients]))

    return merged_writers(params, write, lambda: OneMap().doc, check)


def load(params: Mapping[str, Any]) -> Figures:
    def check(record: int, doc: Doc[Any]) -> None:
        expect(doc.get("record", type=Map)["f9"], first_values(record)["f9"])

    return loaded(params, _encoded, check)


def read(params: Mapping[str, Any]) -> Figures:
    def work(docs: list[OneMap]) -> list[dict[str, Any] | None]:
        return [one.map.to_py() for one in docs]

    def check(record: int, _: OneMap, values: dict[str, Any] | None) -> None:
        expect(values, first_values(record))

    watch = in_batches(params, lambda record: OneMap(_encoded(record)), work, check)
    return watch.figures("docs_per_s")


def _created(record: int) -> OneMap:
    made = OneMap()
    with made.doc.transaction():
        for name, value in first_values(record).items():
            made.map[name] = value
    return made


def _encoded(record: int) -> bytes:
    return _created(record).doc.get_update()


def _diverged(record: int) -> tuple[OneMap, OneMap]:
    left = _created(record)
    right = OneMap(left.doc.get_update())
    for one, side, names in ((left, "left", LEFT_EDITS), (right, "right", RIGHT_EDITS)):
        for name in names:
            one.map[name] = f"{side} wrote {name}"
    return left, right
