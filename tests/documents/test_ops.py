"""What makes an op well formed, at and beyond each bound (invariant 9)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from crdtsync.documents.errors import InvalidOp
from crdtsync.documents.identity import entry_key, entry_of_key
from crdtsync.documents.ops import (
    DELETION_ROOT,
    MAX_DELETE_BASE,
    MAX_FIELDS,
    MAX_ID_BYTES,
    MAX_OP_BYTES,
    MAX_SUPERSEDES,
    MAX_VALUES,
    SAFE_INTEGER,
    DeleteMark,
    EntryId,
    FieldWrite,
    Op,
    check_identifier,
    check_op,
    content_digest,
    is_op_id,
)
from tests.documents.making import op_id

GOOD = Op(op_id(1), "kim", "patient", "p1", 5, {"r/name": FieldWrite(('"Kim"',))})


def op(**changes: Any) -> Op:
    return msgspec.structs.replace(GOOD, **changes)


def writing(root: str, *values: str, supersedes: tuple[EntryId, ...] = ()) -> Op:
    return op(writes={root: FieldWrite(values, supersedes)})


def deleting(deleted: bool = True, ops: tuple[str, ...] = (), seq: int = 0) -> Op:
    return writing(DELETION_ROOT, DeleteMark(deleted, ops, seq).text())


def entries(count: int, n: int = 0) -> tuple[EntryId, ...]:
    return tuple(EntryId(op_id(number), n) for number in range(2, 2 + count))


FINE: dict[str, Callable[[], Op]] = {
    "an op": lambda: GOOD,
    "one that was edited": lambda: op(replaces=op_id(2)),
    "the earliest time": lambda: op(time_us=0),
    "the latest time": lambda: op(time_us=SAFE_INTEGER),
    "as many fields as may be": lambda: op(
        writes={f"r/f{n}": FieldWrite(("1",)) for n in range(MAX_FIELDS)}
    ),
    "as many bytes as may be": lambda: writing("r/a", "1" * MAX_OP_BYTES),
    "as many bytes of Korean as may be": lambda: writing("r/a", "한" * (MAX_OP_BYTES // 3)),
    "as many elements as may be": lambda: writing("s/a", *["1"] * MAX_VALUES),
    "as many superseded entries as may be": lambda: writing(
        "s/a", supersedes=entries(MAX_SUPERSEDES)
    ),
    "the last entry of an op": lambda: writing("s/a", "1", supersedes=entries(1, MAX_VALUES - 1)),
    "a delta": lambda: writing("c/a", "1"),
    "a delete": lambda: deleting(ops=(op_id(2),), seq=SAFE_INTEGER),
    "a restore": lambda: deleting(False),
    "a delete on top of another": lambda: writing(
        DELETION_ROOT, DeleteMark(True).text(), supersedes=entries(1)
    ),
    "as large a base as may be": lambda: deleting(ops=(op_id(2),) * MAX_DELETE_BASE),
}


@pytest.mark.parametrize("name", FINE)
def test_what_is_within_the_bounds_is_taken(name: str) -> None:
    check_op(FINE[name]())


WRONG: dict[str, tuple[Callable[[], Op], str, str]] = {
    "op_id": (lambda: op(op_id="1"), "bad_op", "op_id '1' is not a UUID"),
    "op_id in capitals": (lambda: op(op_id=op_id(0xABC).upper()), "bad_op", "not a UUID"),
    "replaces": (lambda: op(replaces="1"), "bad_op", "`replaces` is not a UUID"),
    "replaces nothing": (lambda: op(replaces=""), "bad_op", "`replaces` is not a UUID"),
    "no user": (lambda: op(user=""), "bad_record_id", "the user is empty"),
    "no collection": (lambda: op(collection=""), "bad_record_id", "the collection is empty"),
    "no record": (lambda: op(record=""), "bad_record_id", "the record id is empty"),
    "a time before 1970": (lambda: op(time_us=-1), "bad_op", "time -1 is outside"),
    "a time too late": (lambda: op(time_us=SAFE_INTEGER + 1), "bad_op", "is outside 0 to 2^53-1"),
    "no fields": (lambda: op(writes={}), "bad_op", "1 to 256 fields, not 0"),
    "too many fields": (
        lambda: op(writes={f"r/f{n}": FieldWrite(("1",)) for n in range(MAX_FIELDS + 1)}),
        "bad_op",
        "1 to 256 fields, not 257",
    ),
    "a delete with a write": (
        lambda: op(writes={**GOOD.writes, **deleting().writes}),
        "bad_delete",
        "writes nothing else",
    ),
    "too many bytes": (
        lambda: writing("r/a", "1" * (MAX_OP_BYTES + 1)),
        "too_large",
        f"{MAX_OP_BYTES + 1} bytes; split it",
    ),
    "too many bytes of Korean": (
        lambda: writing("r/a", "한" * (MAX_OP_BYTES // 3 + 1)),
        "too_large",
        "split it",
    ),
    "too many bytes in all": (
        lambda: op(
            writes={
                "r/a": FieldWrite(("1" * (MAX_OP_BYTES // 2),)),
                "r/b": FieldWrite(("1" * (MAX_OP_BYTES // 2 + 1),)),
            }
        ),
        "too_large",
        "split it",
    ),
    "half a character": (lambda: writing("r/a", '"\ud800"'), "bad_op", "lone surrogate"),
    "no root": (lambda: writing("name", "1"), "wrong_shape", "not the root"),
    "an unknown shape": (lambda: writing("x/name", "1"), "wrong_shape", "not the root"),
    "no field": (lambda: writing("r/", "1"), "wrong_shape", "'r/' is not the root"),
    "a deletion of a field": (lambda: writing("d/name", "1"), "wrong_shape", "not the root"),
    "a control character": (lambda: writing("r/a\n", "1"), "bad_record_id", "control character"),
    "two values in a register": (lambda: writing("r/a", "1", "2"), "wrong_shape", "time, not 2"),
    "no value in a register": (lambda: writing("r/a"), "wrong_shape", "a time, not 0"),
    "two deltas": (lambda: writing("c/a", "1", "2"), "wrong_shape", "a time, not 2"),
    "two deletions": (lambda: writing("d/", "1", "2"), "wrong_shape", "a time, not 2"),
    "a delta that replaces": (
        lambda: writing("c/a", "1", supersedes=entries(1)),
        "bad_supersedes",
        "deltas replace nothing",
    ),
    "an empty change of a set": (lambda: writing("s/a"), "wrong_shape", "nothing is added"),
    "too many elements": (
        lambda: writing("s/a", *["1"] * (MAX_VALUES + 1)),
        "too_large",
        "too many elements",
    ),
    "too many superseded": (
        lambda: writing("s/a", supersedes=entries(MAX_SUPERSEDES + 1)),
        "too_large",
        "too many elements",
    ),
    "a deletion that is none": (lambda: writing("d/", "true"), "bad_delete", "not readable"),
    "a deletion that nests without end": (
        lambda: writing("d/", '{"x":' + "[" * 100_000 + "]" * 100_000 + "}"),
        "bad_delete",
        "not readable",
    ),
    "a deletion with a space": (
        lambda: writing("d/", '{"deleted": true,"ops":[],"seq":0}'),
        "bad_delete",
        "not in canonical form",
    ),
    "a deletion without its base": (
        lambda: writing("d/", '{"deleted":true}'),
        "bad_delete",
        "not in canonical form",
    ),
    "too large a base": (
        lambda: deleting(ops=(op_id(2),) * (MAX_DELETE_BASE + 1)),
        "bad_delete",
        "out of bounds",
    ),
    "a base before the log": (lambda: deleting(seq=-1), "bad_delete", "out of bounds"),
    "a base beyond any log": (lambda: deleting(seq=SAFE_INTEGER + 1), "bad_delete", "of bounds"),
    "a base of other things": (lambda: deleting(ops=("p1",)), "bad_delete", "else than ops"),
    "an entry twice": (
        lambda: writing("r/a", "1", supersedes=entries(1) * 2),
        "bad_supersedes",
        "superseded twice",
    ),
    "an entry of no op": (
        lambda: writing("r/a", "1", supersedes=(EntryId("p1", 0),)),
        "bad_supersedes",
        "'p1' is not an entry's id",
    ),
    "an entry before the first": (
        lambda: writing("r/a", "1", supersedes=entries(1, -1)),
        "bad_supersedes",
        "not an entry's id",
    ),
    "an entry beyond the last": (
        lambda: writing("r/a", "1", supersedes=entries(1, MAX_VALUES)),
        "bad_supersedes",
        "not an entry's id",
    ),
    "itself": (
        lambda: writing("r/a", "1", supersedes=(EntryId(op_id(1), 1),)),
        "bad_supersedes",
        "cannot supersede itself",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_malformed_is_refused_with_its_reason(name: str) -> None:
    make, code, words = WRONG[name]
    with pytest.raises(InvalidOp) as raised:
        check_op(make())
    assert raised.value.code == code
    assert words in str(raised.value)


@pytest.mark.parametrize("text", ["p1", "한" * (MAX_ID_BYTES // 3), "x" * MAX_ID_BYTES, "a b/c"])
def test_names_are_taken_up_to_their_bound(text: str) -> None:
    check_identifier(text, "record id")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the record id is empty"),
        ("a\x00", "control character"),
        ("a\x9f", "control character"),
        ("a\x7f", "control character"),
        ("a\u2028", "control character"),
        ("a\u2029", "control character"),
        ("\ud800", "control character"),
        ("x" * (MAX_ID_BYTES + 1), "longer than 256 bytes"),
        ("한" * 86, "longer than 256 bytes"),
    ],
)
def test_names_that_cannot_be_stored_or_shown_are_refused(text: str, words: str) -> None:
    with pytest.raises(InvalidOp, match=words) as raised:
        check_identifier(text, "record id")
    assert raised.value.code == "bad_record_id"


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        (op_id(1), True),
        ("00000000-0000-1000-8000-000000000000", False),
        ("00000000-0000-4000-c000-000000000000", False),
        (op_id(1) + "\n", False),
        (op_id(1)[:-1], False),
        ("", False),
    ],
)
def test_an_op_id_is_a_lower_case_uuid_of_version_4(text: str, is_one: bool) -> None:
    assert is_op_id(text) is is_one


def test_the_digest_covers_all_that_makes_an_op_what_it_is() -> None:
    """Invariant 3: author, record, verbs, values and time, but not what inheritance extends."""
    two = {"r/a": FieldWrite(("1",)), "r/b": FieldWrite(("2",))}
    others = [
        op(user="lee"),
        op(collection="visit"),
        op(record="p2"),
        op(time_us=6),
        op(writes={"r/name": FieldWrite(('"Lee"',))}),
        op(writes={"r/phone": FieldWrite(('"Kim"',))}),
        op(writes={"s/name": FieldWrite(('"Kim"',))}),
        op(writes=two),
    ]
    digests = {content_digest(one) for one in [GOOD, *others]}
    assert len(digests) == 1 + len(others)
    assert {len(digest) for digest in digests} == {16}
    same = [
        op(replaces=op_id(2)),
        op(writes={"r/name": FieldWrite(('"Kim"',), entries(2))}),
    ]
    assert {content_digest(one) for one in same} == {content_digest(GOOD)}
    turned = op(writes=dict(reversed(two.items())))
    assert content_digest(turned) == content_digest(op(writes=two))


def test_a_restore_is_no_delete_and_a_write_is_neither() -> None:
    assert deleting().is_delete
    assert not deleting(False).is_delete
    assert not GOOD.is_delete


@pytest.mark.parametrize(
    ("seq", "name", "covered"),
    [(1, 9, True), (5, 9, True), (6, 9, False), (0, 9, False), (0, 2, True), (6, 2, True)],
)
def test_a_delete_covers_what_its_base_shows(seq: int, name: int, covered: bool) -> None:
    assert DeleteMark(True, (op_id(2),), 5).covering()(seq, op_id(name)) is covered


@pytest.mark.parametrize("entry", [EntryId(op_id(1), 0), EntryId(op_id(1), 999)])
def test_an_entry_is_found_again_by_its_key(entry: EntryId) -> None:
    assert entry_of_key(entry_key(entry)) == entry


@pytest.mark.parametrize("key", ["", ".1", "a.0", "a.-1", "a.01", "a.", "a.b", "a.1.2", "a.+1"])
def test_what_is_no_key_of_an_entry_is_refused(key: str) -> None:
    with pytest.raises(ValueError):
        entry_of_key(key)
