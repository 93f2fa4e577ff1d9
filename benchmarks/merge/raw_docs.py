"""What both raw pycrdt contenders do alike: bytes out of Docs, bytes into Docs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from pycrdt import Doc

from benchmarks.merge.shape import first_values
from benchmarks.merge.timing import Figures, Watch, expect, in_batches


class Holder(Protocol):
    """Holds a Doc; the contenders differ in what they keep beside it."""

    doc: Doc[Any]


def created(
    params: Mapping[str, Any],
    make: Callable[[int], bytes],
    read: Callable[[bytes], Mapping[str, Any] | None],
) -> Figures:
    """Records are made and encoded; what their bytes hold is checked."""
    size_bytes = 0

    def work(records: list[int]) -> list[bytes]:
        return [make(record) for record in records]

    def check(record: int, _: int, data: bytes) -> None:
        nonlocal size_bytes
        size_bytes += len(data)
        expect(read(data), first_values(record))

    watch = in_batches(params, int, work, check)
    return watch.figures("docs_per_s", bytes=size_bytes / watch.done)


def exchanged(pairs: Sequence[tuple[Holder, Holder]]) -> list[int]:
    """Each hands the other what its state vector lacks; returns the bytes of each pair."""
    sizes = []
    for left, right in pairs:
        to_right = left.doc.get_update(right.doc.get_state())
        to_left = right.doc.get_update(left.doc.get_state())
        right.doc.apply_update(to_right)
        left.doc.apply_update(to_left)
        sizes.append(len(to_right) + len(to_left))
    return sizes


def merged_writers(
    params: Mapping[str, Any],
    write: Callable[[int], bytes],
    empty: Callable[[], Doc[Any]],
    check: Callable[[Doc[Any], int], None],
) -> Figures:
    """What N writers made is applied as it arrives, all within one transaction."""
    clients, watch = params["clients"], Watch(params["at_most_s"])
    size_bytes = 0
    for _ in range(params["records"]):
        updates = [write(number) for number in range(clients)]
        merged = empty()
        with watch, merged.transaction():
            for data in updates:
                merged.apply_update(data)
        check(merged, clients)
        size_bytes += sum(map(len, updates))
        watch.done += clients
        if watch.is_late:
            break
    return watch.figures(
        "ops_per_s",
        ms=watch.wall_s * 1e3 * clients / watch.done,
        bytes=size_bytes / watch.done,
    )


def loaded(
    params: Mapping[str, Any],
    make: Callable[[int], bytes],
    check: Callable[[int, Doc[Any]], None],
) -> Figures:
    """Docs are made from their bytes, and all of them are held."""

    def work(documents: list[bytes]) -> list[Doc[Any]]:
        held = []
        for data in documents:
            doc: Doc[Any] = Doc(client_id=0)
            doc.apply_update(data)
            held.append(doc)
        return held

    watch = in_batches(params, make, work, lambda record, _, doc: check(record, doc))
    return watch.figures("docs_per_s")
