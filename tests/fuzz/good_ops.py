"""Ops as an honest replica would write them, of every merge kind."""

from __future__ import annotations

from random import Random

from crdtsync.documents.ops import DELETION_ROOT, DeleteMark, FieldWrite, Op
from tests.fuzz.hostile import new_id
from tests.fuzz.known import Known
from tests.fuzz.rules import EPOCH_US, GOOD_VALUES, POLICY, RECORDS

USERS = ("mallory", "trudy", "nurse-kim")


def good_op(
    draw: Random, known: Known, user: str, now_us: int = EPOCH_US, *, crowded: bool = False
) -> Op:
    """An op that the server would take, but for what happens meanwhile.

    ``crowded``: more different doses than may stand side by side are prescribed.
    """
    collection = "visit" if draw.random() < 0.2 else "item"
    record = draw.choice(RECORDS)
    writes = _writes(draw, known, collection, record)
    if crowded and draw.random() < 0.2:
        collection, record = "item", RECORDS[0]
        writes = {"r/dose": FieldWrite((f'"{draw.randrange(60)}"',))}
    time_us = now_us + draw.choice((0, 0, -1_000, 5_000_000, -3_600_000_000, 86_400_000_000))
    op = Op(new_id(draw), user, collection, record, max(time_us, 0), writes)
    known.note_op(op)
    return op


def _writes(draw: Random, known: Known, collection: str, record: str) -> dict[str, FieldWrite]:
    if draw.random() < 0.12:
        return {DELETION_ROOT: _deletion(draw, known, collection, record)}
    fields = list(POLICY.collection(collection).fields.values())
    writes: dict[str, FieldWrite] = {}
    for field in draw.sample(fields, draw.choice((1, 1, 1, 2, 3))):
        if field.name == "secret":
            continue
        values = GOOD_VALUES[collection, field.name]
        place = (collection, record, field.root)
        shape = field.root[0]
        if shape == "c":
            writes[field.root] = FieldWrite((draw.choice(values),))
        elif shape == "s":
            chosen = draw.sample(values, draw.randrange(len(values)))
            seen = known.seen(draw, place)
            if not chosen and not seen:
                chosen = [values[0]]
            writes[field.root] = FieldWrite(tuple(chosen), tuple(seen))
        else:
            seen = known.seen(draw, place) if draw.random() < 0.7 else []
            writes[field.root] = FieldWrite((draw.choice(values),), tuple(seen))
    if not writes:
        name = "r/name" if collection == "item" else "r/reason"
        writes[name] = FieldWrite(('"x"',))
    return writes


def _deletion(draw: Random, known: Known, collection: str, record: str) -> FieldWrite:
    deleted = draw.random() < 0.7
    mark = DeleteMark(deleted, tuple(known.op_ids(draw, 4)), known.seq(draw)) if deleted else None
    text = (mark or DeleteMark(False)).text()
    seen = known.seen(draw, (collection, record, DELETION_ROOT))
    return FieldWrite((text,), tuple(seen))
