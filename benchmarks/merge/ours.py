"""The merge scenarios through crdtsync: RecordDocument with the policy and with op ids.

Replicas exchange ops as the wire has them (msgpack), or documents as bytes.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

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
from benchmarks.merge.timing import Figures, Watch, expect, in_batches
from crdtsync import Conflict, Policy, RecordDocument
from crdtsync.documents import reading
from crdtsync.documents.ops import Op
from crdtsync.documents.state import RecordState

POLICY = """
version = 1

[patient]
[patient.fields]
f0 = { type = "string", merge = "manual", max_length = 200, write = ["nurse"] }
""" + "".join(
    f'f{n} = {{ type = "string", merge = "{("server", "user")[n % 2]}-latest", '
    'max_length = 200, write = ["nurse"] }\n'
    for n in range(1, 10)
)
"""Each field with its rule, a limit and a role that may write it."""

PATIENT = Policy.parse(POLICY, source="the benchmark's policy").collection("patient")
ROLES = frozenset({"nurse"})
BEGIN_US = 1_767_225_600_000_000

_wire = msgspec.msgpack.Encoder().encode
_from_wire = msgspec.msgpack.Decoder(Op).decode
_all_from_wire = msgspec.msgpack.Decoder(list[Op]).decode


class Diverged(NamedTuple):
    """Two documents of a record, and the ops that each made without the other's."""

    left: RecordDocument
    right: RecordDocument
    left_ops: list[Op]
    right_ops: list[Op]


def create(params: Mapping[str, Any]) -> Figures:
    """Make records and encode each as document bytes."""
    size_bytes = 0

    def work(records: list[int]) -> list[bytes]:
        return [_created(record).encode() for record in records]

    def check(record: int, _: int, data: bytes) -> None:
        nonlocal size_bytes
        size_bytes += len(data)
        expect(dict(RecordDocument.open(data, PATIENT, _id(record))), first_values(record))

    watch = in_batches(params, int, work, check)
    return watch.figures("docs_per_s", bytes=size_bytes / watch.done)


def overwrite(params: Mapping[str, Any]) -> Figures:
    """One side overwrites a field, the op goes over as bytes, the other side applies it."""
    edits, size_bytes = params["edits"], 0

    def work(pairs: list[tuple[RecordDocument, RecordDocument]]) -> list[int]:
        sizes = []
        for left, right in pairs:
            sent = 0
            for number in range(edits):
                op = left.update(
                    {NAMES[number % 10]: edited(number)},
                    op_id=str(uuid.uuid4()),
                    user="kim",
                    time_us=BEGIN_US + number,
                    roles=ROLES,
                )
                data = _wire(op)
                sent += len(data)
                right.apply(_from_wire(data))
            sizes.append(sent)
        return sizes

    def check(record: int, pair: tuple[RecordDocument, RecordDocument], sent: int) -> None:
        nonlocal size_bytes
        size_bytes += sent
        left, right = pair
        expect(dict(right), values_after(record, edits))
        expect(left.encode(), right.encode())

    watch = in_batches(params, lambda record: _pair(record, params), work, check, each=edits)
    return watch.figures("ops_per_s", bytes=size_bytes / watch.done)


def two_way(params: Mapping[str, Any]) -> Figures:
    """Two diverged replicas exchange the ops that they made meanwhile, as ours do."""

    def work(pairs: list[Diverged]) -> list[int]:
        sizes = []
        for pair in pairs:
            to_right, to_left = _wire(pair.left_ops), _wire(pair.right_ops)
            pair.right.apply_many(_all_from_wire(to_right))
            pair.left.apply_many(_all_from_wire(to_left))
            sizes.append(len(to_right) + len(to_left))
        return sizes

    return _two_way(params, work)


def two_way_by_state(params: Mapping[str, Any]) -> Figures:
    """Two diverged documents tell what they hold, and merge what the other lacks."""

    def work(pairs: list[Diverged]) -> list[int]:
        sizes = []
        for pair in pairs:
            left, right = pair.left, pair.right
            to_right = left.encode(since=right.state())
            to_left = right.encode(since=left.state())
            right.merge(to_right)
            left.merge(to_left)
            sizes.append(len(to_right) + len(to_left))
        return sizes

    return _two_way(params, work)


def _two_way(params: Mapping[str, Any], work: Callable[[list[Diverged]], list[int]]) -> Figures:
    size_bytes = 0

    def check(record: int, pair: Diverged, sent: int) -> None:
        nonlocal size_bytes
        size_bytes += sent
        left, right = pair.left, pair.right
        expect(left.encode(), right.encode())
        expect(dict(left), dict(right))
        for name, allowed in merged_values(record).items():
            expect(left[name] in allowed, True)

    watch = in_batches(params, lambda record: _diverged(record, params), work, check)
    return watch.figures("docs_per_s", bytes=size_bytes / watch.done)


def writers(params: Mapping[str, Any]) -> Figures:
    """The ops of N writers, merged into one record in one step."""
    return _writers(params, lambda document, ops: document.apply_many(map(_from_wire, ops)))


def writers_one_by_one(params: Mapping[str, Any]) -> Figures:
    """The ops of N writers, merged into one record as each arrives."""

    def apply(document: RecordDocument, ops: list[bytes]) -> None:
        for data in ops:
            document.apply(_from_wire(data))

    return _writers(params, apply)


def conflicts(params: Mapping[str, Any]) -> Figures:
    """Open documents and name the fields that wait for a person."""

    def work(documents: list[bytes]) -> list[list[str]]:
        return [list(RecordDocument.open(data, PATIENT, "p").conflicts()) for data in documents]

    return _conflicts(params, lambda document: document.encode(), work)


def conflicts_at_rest(params: Mapping[str, Any]) -> Figures:
    """The same of records in the form in which server and replica keep them."""

    def work(records: list[bytes]) -> list[list[str]]:
        return [
            [
                field.name
                for field in reading.conflicts(RecordState.decode("patient", "p", data), PATIENT)
            ]
            for data in records
        ]

    return _conflicts(params, lambda document: document.to_state().encode(), work)


def load(params: Mapping[str, Any]) -> Figures:
    """Open documents from their bytes and hold all of them."""

    def work(documents: list[bytes]) -> list[RecordDocument]:
        return [RecordDocument.open(data, PATIENT, "p") for data in documents]

    def check(record: int, _: bytes, document: RecordDocument) -> None:
        expect(document["f9"], first_values(record)["f9"])

    watch = in_batches(params, lambda record: _created(record).encode(), work, check)
    return watch.figures("docs_per_s")


def read(params: Mapping[str, Any]) -> Figures:
    """Every field of documents that are in memory."""

    def prepare(record: int) -> RecordDocument:
        return RecordDocument.open(_created(record).encode(), PATIENT, _id(record))

    def check(record: int, _: RecordDocument, values: dict[str, Any]) -> None:
        expect(values, first_values(record))

    def work(documents: list[RecordDocument]) -> list[dict[str, Any]]:
        return [dict(document) for document in documents]

    return in_batches(params, prepare, work, check).figures("docs_per_s")


# ── within ──────────────────────────────────────────────────────────────────


def _id(record: int) -> str:
    return f"p{record}"


def _write(
    document: RecordDocument, fields: Mapping[str, str], user: str = "kim", later_us: int = 0
) -> Op:
    op = document.update(
        fields, op_id=str(uuid.uuid4()), user=user, time_us=BEGIN_US + later_us, roles=ROLES
    )
    assert op is not None
    return op


def _created(record: int) -> RecordDocument:
    document = RecordDocument(PATIENT, _id(record))
    _write(document, first_values(record))
    return document


def _new(record: str, params: Mapping[str, Any]) -> RecordDocument:
    document = RecordDocument(PATIENT, record)
    if params.get("with_doc"):
        assert document._items.doc is not None  # made once, it is kept in step from then on
    return document


def _pair(record: int, params: Mapping[str, Any]) -> tuple[RecordDocument, RecordDocument]:
    left, right = _new(_id(record), params), _new(_id(record), params)
    right.apply(_write(left, first_values(record)))
    return left, right


def _diverged(record: int, params: Mapping[str, Any]) -> Diverged:
    left, right = _pair(record, params)
    left_ops = [
        _write(left, {name: f"left wrote {name}"}, "kim", number)
        for number, name in enumerate(LEFT_EDITS, start=1)
    ]
    right_ops = [
        _write(right, {name: f"right wrote {name}"}, "lee", number)
        for number, name in enumerate(RIGHT_EDITS, start=1)
    ]
    return Diverged(left, right, left_ops, right_ops)


def _writers(
    params: Mapping[str, Any], apply: Callable[[RecordDocument, list[bytes]], object]
) -> Figures:
    clients, watch = params["clients"], Watch(params["at_most_s"])
    sizes = 0
    for _ in range(params["records"]):
        ops = [
            _wire(_write(RecordDocument(PATIENT, "p"), {NAMES[n % 10]: edited(n)}, f"user-{n}", n))
            for n in range(clients)
        ]
        document = _new("p", params)
        with watch:
            apply(document, ops)
        # Nobody had seen another, so nothing that was written has left.
        expect(sum(held.visible for held in document.history()), clients)
        expect(document["f9"], edited(clients - 1))
        sizes += sum(map(len, ops))
        watch.done += clients
        if watch.is_late:
            break
    return watch.figures(
        "ops_per_s",
        ms=watch.wall_s * 1e3 * clients / watch.done,
        bytes=sizes / watch.done,
    )


def _conflicts(
    params: Mapping[str, Any],
    encode: Callable[[RecordDocument], bytes],
    work: Callable[[list[bytes]], list[list[str]]],
) -> Figures:
    one_in = params["one_in"]

    def prepare(record: int) -> bytes:
        if not is_conflicting(record, one_in):
            return encode(_created(record))
        left, right = _pair(record, params)
        _write(left, {CONFLICT_FIELD: "left's choice"}, "kim")
        right_op = _write(right, {CONFLICT_FIELD: "right's choice"}, "lee")
        left.apply(right_op)
        assert isinstance(left[CONFLICT_FIELD], Conflict)
        return encode(left)

    def check(record: int, _: bytes, found: list[str]) -> None:
        expect(found, [CONFLICT_FIELD] if is_conflicting(record, one_in) else [])

    return in_batches(params, prepare, work, check).figures("docs_per_s")
