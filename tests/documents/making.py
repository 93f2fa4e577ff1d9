"""What the document tests share: a policy with every kind, op ids, and small shortcuts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from pycrdt import Doc, Map

from crdtsync.documents.decoder import DecodedUpdate, decode_update
from crdtsync.documents.document import RecordDocument
from crdtsync.documents.ops import EntryId, FieldWrite, Op
from crdtsync.policy import CollectionPolicy, Policy

POLICY = Policy.parse(
    """
version = 1

[patient]
[patient.fields]
name      = { type = "string", merge = "server-latest" }
phone     = { type = "string", merge = "user-latest" }
allergies = { type = "set<string>", merge = "manual" }
visits    = { type = "integer", merge = "counter" }
balance   = { type = "decimal", merge = "counter" }
tags      = { type = "set<string>", merge = "set" }
"""
)
PATIENT: CollectionPolicy = POLICY.collection("patient")

QUICK = settings(
    max_examples=250,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


def op_id(number: int) -> str:
    """The UUID v4 of a number: tests need ids that are the same in every run."""
    # Spread over the id, so that the order of ids is not the order of writing.
    text = f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}{number:016x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-8{text[17:20]}-{text[20:]}"


class Author:
    """Gives each write of a test its op_id, user and time."""

    def __init__(self, user: str = "nurse-kim", first: int = 1) -> None:
        self.user = user
        self.number = first

    def __call__(self, **more: Any) -> dict[str, Any]:
        self.number += 1
        return {
            "op_id": op_id(self.number),
            "user": self.user,
            "time_us": 1_000 + self.number,
            **more,
        }


def patient() -> RecordDocument:
    return RecordDocument(PATIENT, "p1")


def register_op(
    number: int, value: str, root: str = "r/phone", supersedes: Iterable[EntryId] = ()
) -> Op:
    """A hand-made op with one value."""
    write = FieldWrite((value,), tuple(supersedes))
    return Op(op_id(number), "dr-lee", "patient", "p1", 1_000 + number, {root: write})


def doc_of(document: RecordDocument) -> Doc[Any]:
    """The pycrdt Doc inside: only tests look there."""
    return document._items.doc


def assert_index_equals_doc(document: RecordDocument) -> None:
    """What pycrdt holds is what the index says, item by item."""
    held = (
        decode_update(doc_of(document).get_update(), ordered=False)
        if has_items(document)
        else (DecodedUpdate([], set(), None))
    )
    whole = decode_update(document.encode())
    assert sorted(held.items) == sorted(whole.items)
    assert held.deleted == whole.deleted
    assert held.mark == whole.mark
    in_doc = {(i.root, i.entry_id, i.entry.value) for i in held.items if i.entry is not None}
    in_index = {(root, e.id, e.value) for root, e in document.to_state().entries()}
    assert in_doc == in_index
    for root in {root for root, _, _ in in_index}:
        read = doc_of(document).get(root, type=Map).to_py()
        assert read is not None
        assert len(read) == sum(r == root for r, _, _ in in_index)


def has_items(document: RecordDocument) -> bool:
    return document.encode() != b""


def reading(document: RecordDocument) -> dict[str, Any]:
    """Everything that a reader sees, in plain JSON."""
    from crdtsync.documents.conflict import plain_json

    values = {name: plain_json(value) for name, value in document.items()}
    return {**values, "deleted": document.deleted}


class ComparedId(str):
    """An op_id that counts how often it was compared with another text."""

    __slots__ = ()
    compared: ClassVar[int] = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        ComparedId.compared += 1
        return str.__eq__(self, other)
