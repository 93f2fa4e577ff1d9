"""One thing wrong with an op that is otherwise good, in a form that every decoder reads.

These reach the rules behind the decoder, which broken frames never do. Ops are
trees here (``[op_id, user, collection, record, time, writes, replaces]``).
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import msgspec

from crdtsync.documents.ops import Op
from tests.fuzz.hostile import TIMES_US, Tree, bad_id, new_id, number, text
from tests.fuzz.known import Known
from tests.fuzz.rules import RECORDS

OP_ID, USER, COLLECTION, RECORD, TIME, WRITES, REPLACES = range(7)

ROOTS = (
    *("r/name", "c/name", "s/name", "d/", "d/x", "m/", "m/as_of", "r/", "r", "", "/", "x/name"),
    *("r/unknown", "r/__proto__", "r/secret", "s/tags", "c/visits", "r/visits", "c/tags", "r/a\nb"),
    *("R/name", "r//name", "r/name/", "r/" + "x" * 300, "r/\u202ename", "r/이름"),
)
VALUES = (
    *("", " ", "null", "NULL", "nil", '"', '"a', '"a"b', "'a'", '"a" ', ' "a"', '"\\u0041"'),
    *('"\\ud800"', '"\\u0000"', '"\x00"', '"\n"', "NaN", "Infinity", "-Infinity", "1e400", "-0"),
    *("1.0", "01", "+1", "1e5", "0x10", "1_000", "9007199254740992", "-9007199254740992"),
    *("9" * 400, "9" * 5_000, '"1e5"', '"NaN"', '"' + "9" * 40 + '"', '"0.' + "0" * 60 + '1"'),
    *('{"a":1,"a":2}', '{"b":1,"a":2}', '{"__proto__":{}}', "[1,2", "[1,]", "[1, 2]", "[]", "{}"),
    *("[" * 33 + "]" * 33, "[" * 5_000 + "]" * 5_000, "[" * 100_000, '{"a":' * 40 + "1" + "}" * 40),
    *('["b","a"]', '["a","a"]', '["é","e\u0301"]', '"' + "x" * 65_534 + '"', '"' + "가" * 30_000),
    *('"' + "x" * 200_000 + '"', "[" + "0," * 2_000 + "0]", "true", "True", '"\ud7ff\ue000"'),
    *('"2024-02-30"', '"0000-00-00"', '"10000-01-01"', '"2024-01-31T25:00:00Z"', '"AB12345"'),
    *("100", "0", "99.0", "// comment", '"a"\x00', "\ufeff1", "１", '{"deleted":true}'),
)
MARKS = (
    '{"deleted":true,"ops":[],"seq":9007199254740991}',
    '{"deleted":true,"ops":[],"seq":9007199254740992}',
    '{"deleted":true,"ops":[],"seq":-1}',
    '{"deleted":true,"ops":[],"seq":1.0}',
    '{"deleted":true,"ops":["x"],"seq":0}',
    '{"deleted":true,"ops":[null],"seq":0}',
    '{"deleted":1,"ops":[],"seq":0}',
    '{"seq":0,"ops":[],"deleted":true}',
    '{"deleted":true,"ops":[],"seq":0,"more":1}',
    '{"deleted":true, "ops":[],"seq":0}',
    '{"deleted":false,"ops":[],"seq":7}',
    "null",
    "[" * 3_000,
)

Change = Callable[[Random, Known, Tree], None]


def spoil(draw: Random, known: Known, op: Op) -> Tree:
    """The op as a tree, with one or two things about it changed."""
    tree = msgspec.to_builtins(op)
    for _ in range(draw.choice((1, 1, 2))):
        draw.choice(CHANGES)(draw, known, tree)
    return tree


def _write(draw: Random, tree: Tree) -> Tree:
    """The ``[values, supersedes]`` of some field."""
    writes = tree[WRITES]
    if not writes:
        writes["r/name"] = [['"x"'], []]
    write = writes[draw.choice(list(writes))]
    write[0], write[1] = list(write[0]), list(write[1])
    return write


# ── who and where ───────────────────────────────────────────────────────────


def _id(draw: Random, known: Known, tree: Tree) -> None:
    tree[OP_ID] = bad_id(draw, tree[OP_ID])


def _used_id(draw: Random, known: Known, tree: Tree) -> None:
    tree[OP_ID] = known.op_id(draw)


def _same_op_again(draw: Random, known: Known, tree: Tree) -> None:
    if known.ops:
        tree[:] = msgspec.to_builtins(draw.choice(known.ops))


def _author(draw: Random, known: Known, tree: Tree) -> None:
    tree[USER] = draw.choice(("someone-else", "nurse-kim", text(draw)))


def _collection(draw: Random, known: Known, tree: Tree) -> None:
    tree[COLLECTION] = draw.choice(("visit", "item", "nothing", "Item", text(draw)))


def _record(draw: Random, known: Known, tree: Tree) -> None:
    tree[RECORD] = draw.choice((*RECORDS, text(draw), text(draw), "k" * 256, "k" * 257))


def _time(draw: Random, known: Known, tree: Tree) -> None:
    tree[TIME] = draw.choice(TIMES_US)


def _replaces(draw: Random, known: Known, tree: Tree) -> None:
    tree[REPLACES] = draw.choice((tree[OP_ID], known.op_id(draw), bad_id(draw, new_id(draw))))


# ── what is written ─────────────────────────────────────────────────────────


def _root(draw: Random, known: Known, tree: Tree) -> None:
    writes = tree[WRITES]
    old = next(iter(writes), None)
    writes[draw.choice(ROOTS)] = [['"x"'], []] if old is None else writes.pop(old)


def _one_more_field(draw: Random, known: Known, tree: Tree) -> None:
    tree[WRITES][draw.choice(ROOTS)] = [[draw.choice(VALUES)], []]


def _many_fields(draw: Random, known: Known, tree: Tree) -> None:
    for n in range(draw.choice((255, 256, 257, 1_000))):
        tree[WRITES][f"r/f{n}"] = [["1"], []]


def _no_field(draw: Random, known: Known, tree: Tree) -> None:
    tree[WRITES] = {}


def _value(draw: Random, known: Known, tree: Tree) -> None:
    values = _write(draw, tree)[0]
    value = draw.choice(VALUES) if draw.random() < 0.8 else f'"{text(draw)}"'
    if values:
        values[draw.randrange(len(values))] = value
    else:
        values.append(value)


def _values(draw: Random, known: Known, tree: Tree) -> None:
    write = _write(draw, tree)
    count = draw.choice((0, 2, 3, 16, 999, 1_000, 1_001))
    write[0] = [f'"v{n}"' for n in range(count)]


def _mark(draw: Random, known: Known, tree: Tree) -> None:
    tree[WRITES] = {"d/": [[draw.choice(MARKS)], []]}


def _large_mark(draw: Random, known: Known, tree: Tree) -> None:
    count = draw.choice((100, 1_000, 10_001))
    ops = ",".join(f'"{new_id(draw)}"' for _ in range(count))
    tree[WRITES] = {"d/": [[f'{{"deleted":true,"ops":[{ops}],"seq":0}}'], []]}


# ── what it supersedes ──────────────────────────────────────────────────────


def _supersedes_elsewhere(draw: Random, known: Known, tree: Tree) -> None:
    _write(draw, tree)[1].append(list(known.seen_elsewhere(draw)))


def _supersedes_unknown(draw: Random, known: Known, tree: Tree) -> None:
    _write(draw, tree)[1].append([new_id(draw), draw.choice((0, 0, 1, 999))])


def _supersedes_itself(draw: Random, known: Known, tree: Tree) -> None:
    _write(draw, tree)[1].append([tree[OP_ID], draw.randrange(2)])


def _supersedes_twice(draw: Random, known: Known, tree: Tree) -> None:
    seen = list(known.seen_elsewhere(draw))
    _write(draw, tree)[1].extend((seen, seen))


def _supersedes_out_of_range(draw: Random, known: Known, tree: Tree) -> None:
    op_id, n = known.seen_elsewhere(draw)
    _write(draw, tree)[1].append([op_id, draw.choice((n + 1, -1, 999, 1_000, number(draw)))])


def _supersedes_no_id(draw: Random, known: Known, tree: Tree) -> None:
    _write(draw, tree)[1].append([bad_id(draw, known.op_id(draw)), 0])


def _supersedes_thousands(draw: Random, known: Known, tree: Tree) -> None:
    seen = _write(draw, tree)[1]
    seen.extend([new_id(draw), n % 7] for n in range(draw.choice((100, 100, 100, 4_000, 4_001))))


def _supersedes_to_come(draw: Random, known: Known, tree: Tree) -> None:
    """A grave for an op that will be sent later, under another root or place perhaps."""
    coming = new_id(draw)
    _write(draw, tree)[1].append([coming, 0])
    later = msgspec.to_builtins(draw.choice(known.ops)) if known.ops else None
    if later is not None:
        later[OP_ID] = coming
        known.note_op(msgspec.convert(later, Op))


CHANGES: tuple[Change, ...] = (
    *(_id, _used_id, _same_op_again, _same_op_again, _author, _collection, _record, _time),
    *(_replaces, _root, _root, _one_more_field, _many_fields, _no_field, _value, _value, _value),
    *(_values, _mark, _large_mark, _supersedes_elsewhere, _supersedes_elsewhere),
    *(_supersedes_unknown, _supersedes_itself, _supersedes_twice, _supersedes_out_of_range),
    *(_supersedes_no_id, _supersedes_thousands, _supersedes_to_come),
)
