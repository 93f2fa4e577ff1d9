"""Nothing but what our own encoder wrote is taken, and pycrdt never sees the rest."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.documents import decoder, items
from crdtsync.documents.client_codes import varint
from crdtsync.documents.content import Content, check_content, content_bytes
from crdtsync.documents.decoder import decode_state, decode_update
from crdtsync.documents.document import RecordDocument
from crdtsync.documents.encoder import (
    Mark,
    encode_document,
    encode_ops,
    mark_section,
    value_section,
    write_update,
)
from crdtsync.documents.errors import BadDocument, InvalidOp
from crdtsync.documents.identity import client_id, entry_of_key
from crdtsync.documents.ops import EntryId
from crdtsync.documents.state import Entry
from tests.documents.making import PATIENT, QUICK, Author, doc_of, op_id, patient, register_op

HOSTILE = Path(__file__).parents[3] / "shared" / "data" / "hostile-updates.json"


class _Untouchable:
    """Stands where pycrdt's Doc stands."""

    def __init__(self, **_: object) -> None:
        raise AssertionError("pycrdt was called")


def test_no_hostile_update_is_accepted_and_none_reaches_pycrdt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not HOSTILE.exists():
        pytest.skip(f"{HOSTILE} is not here: the corpus of hostile updates lies beside the repo")
    corpus = json.loads(HOSTILE.read_text())
    assert len(corpus) == 66
    monkeypatch.setattr(items, "Doc", _Untouchable)
    document = patient()
    for case in corpus:
        data = bytes.fromhex(case["hex"])
        with pytest.raises(BadDocument):
            RecordDocument.open(data, PATIENT, "p1")
        with pytest.raises(BadDocument):
            document.merge(data)
        with pytest.raises(BadDocument):
            decode_update(data, ordered=False)
    with pytest.raises(AssertionError, match="pycrdt was called"):
        _ = doc_of(document)


def _document() -> bytes:
    author, document = Author(), patient()
    document.update({"name": "김", "phone": "1", "allergies": {"nut"}}, **author())
    document.update({"phone": "2"}, **author())
    document.add("tags", ["a", "b"], **author())
    document.remove("tags", ["a"], **author())
    document.increment({"visits": 2}, **author())
    document.delete(**author())
    return document.encode()


@QUICK
@given(st.data())
def test_a_changed_byte_is_refused_or_gives_a_document_that_encodes_to_the_same(
    data: st.DataObject,
) -> None:
    original = _document()
    mutated = bytearray(original)
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(mutated) - 1))
        mutated[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 2))
    changed = bytes(mutated[: len(mutated) - cut])
    try:
        document = RecordDocument.open(changed, PATIENT, "p1")
    except BadDocument:
        return
    assert document.encode() == changed
    assert doc_of(document).get_update()


@QUICK
@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_bad_document(data: bytes) -> None:
    for read in (decode_update, decode_state):
        with suppress(BadDocument):
            read(data)


def test_no_document_with_a_changed_byte_or_a_cut_reaches_pycrdt(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What is let through is byte for byte what our encoder writes (invariant 8)."""
    original = _document()
    changed = [original[:end] for end in range(1, len(original))]
    for place, byte in enumerate(original):
        for other in (byte ^ 1, byte ^ 0x80, 0, 255):
            if other != byte:
                changed.append(original[:place] + bytes([other]) + original[place + 1 :])
    monkeypatch.setattr(items, "Doc", _Untouchable)
    let_through = 0
    for data in changed:
        document = patient()
        with suppress(BadDocument):
            document.merge(data)
            assert document.encode() == data
            let_through += 1
        if not document.encode():
            with pytest.raises(BadDocument):
                RecordDocument.open(data, PATIENT, "p1")
    assert 0 < let_through < len(changed) / 2
    with pytest.raises(AssertionError, match="pycrdt was called"):
        _ = doc_of(patient())


def test_every_cut_of_a_document_is_refused() -> None:
    data = _document()
    for end in range(1, len(data)):
        with pytest.raises(BadDocument):
            decode_update(data[:end])
    with pytest.raises(BadDocument, match="end"):
        decode_update(data + b"\x00")
    assert decode_update(data).is_whole()


def _section(
    root: str = "r/phone", content: bytes | None = None, key: str | None = None, number: int = 0
) -> bytes:
    entry_id = EntryId(op_id(1), 0)
    number = number or client_id(root, entry_id)
    text = f'["a",5,"kim","{op_id(1)}"]'.encode() if content is None else content
    return write_update({number: value_section(number, root, key or op_id(1), text)}, ())


def test_the_forged_sections_below_differ_from_a_good_one_in_one_thing_only() -> None:
    assert decode_update(_section()).items[0].entry is not None


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(_section(number=7), id="a client id that is not the hash"),
        pytest.param(_section(key=op_id(2)), id="a key that is not the op of the content"),
        pytest.param(_section(key=f"{op_id(1)}.1"), id="a second value in a register"),
        pytest.param(_section(root="x/phone"), id="an unknown shape"),
        pytest.param(_section(root="r/"), id="a field without a name"),
        pytest.param(_section(root="r/a\nb"), id="a control character in a field"),
        pytest.param(_section(root="c/visits"), id="a counter that holds a text"),
        pytest.param(_section(root="d/"), id="a delete that holds a text"),
        pytest.param(_section(content=b'["a", 5,"kim","%b"]' % op_id(1).encode()), id="a space"),
        pytest.param(_section(content=b'["a",5,"","%b"]' % op_id(1).encode()), id="no author"),
        pytest.param(_section(content=b'["a",-5,"kim","%b"]' % op_id(1).encode()), id="a time"),
        pytest.param(_section(content=b'["\xff",5,"kim","%b"]' % op_id(1).encode()), id="UTF-8"),
        pytest.param(_section(content=b"[" * 100_000), id="deep nesting"),
        pytest.param(_section(root="m/", key="as_of", content=b'{"as_of":1}'), id="a mark's id"),
        pytest.param(write_update({}, [client_id("r/phone", EntryId(op_id(1), 0))])[:-1], id="cut"),
        pytest.param(b"\xff\xff\xff\xff\x0f", id="a claim of four billion clients"),
        pytest.param(b"\x81\x00" + _section()[1:], id="a count that is not in its shortest form"),
    ],
)
def test_a_section_that_differs_from_ours_in_one_thing_is_refused(data: bytes) -> None:
    with pytest.raises(BadDocument) as caught:
        decode_update(data)
    assert "byte" in str(caught.value)


def test_a_client_that_stands_twice_or_out_of_order_is_refused() -> None:
    whole = encode_ops([register_op(1, '"a"'), register_op(2, '"b"')])
    one, two = (encode_ops([register_op(n, v)])[1:-1] for n, v in ((1, '"a"'), (2, '"b"')))
    assert whole in (b"\x02" + one + two + b"\x00", b"\x02" + two + one + b"\x00")
    for wrong in (b"\x02" + one + one + b"\x00", b"\x02" + whole[1:-1][len(one) :] + one + b"\x00"):
        if wrong != whole:
            with pytest.raises(BadDocument, match="twice or out of order"):
                decode_update(wrong)
    swapped = b"\x02" + (two + one if whole[1 : 1 + len(one)] == one else one + two) + b"\x00"
    assert len(decode_update(swapped, ordered=False).items) == 2
    with pytest.raises(BadDocument, match="twice or out of order"):
        decode_update(swapped)
    with pytest.raises(BadDocument, match="twice or out of order"):
        decode_update(b"\x02" + one + one + b"\x00", ordered=False)


def test_a_tombstone_and_the_delete_set_must_agree() -> None:
    entry = Entry(op_id(1), 0, '"a"', 1, "kim", 1, 0)
    good = encode_document([("r/phone", entry)], [("r/name", EntryId(op_id(2), 0))])
    visible = client_id("r/phone", entry.id)
    content = f'["a",1,"kim","{op_id(1)}"]'.encode()
    sections = {visible: value_section(visible, "r/phone", op_id(1), content)}
    assert decode_update(write_update(sections, ())).is_whole()
    assert decode_update(good).is_whole()
    with pytest.raises(BadDocument):
        decode_update(good[: -len(varint(visible)) - 4] + b"\x00")
    with pytest.raises(BadDocument, match="deleted in one place only"):
        decode_update(write_update(sections, [visible]))


def test_a_difference_is_no_document() -> None:
    number = client_id("r/phone", EntryId(op_id(1), 0))
    difference = write_update({}, [number])
    assert not decode_update(difference).is_whole()
    with pytest.raises(BadDocument, match="difference"):
        RecordDocument.open(difference, PATIENT, "p1")


def test_the_size_is_checked_before_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> NoReturn:
        raise AssertionError("read before the size was known")

    monkeypatch.setattr(decoder, "_Reader", never)
    with pytest.raises(BadDocument, match="more than a document may have"):
        decode_update(bytes(decoder.MAX_DOCUMENT_BYTES + 1))
    with pytest.raises(BadDocument, match="more than a state may have"):
        decode_state(bytes(decoder.MAX_DOCUMENT_BYTES + 1))


def test_what_pycrdt_returns_of_our_own_writing_is_read_again() -> None:
    data = _document()
    document = RecordDocument.open(data, PATIENT, "p1")
    again = decode_update(doc_of(document).get_update(), ordered=False)
    ours = decode_update(data)
    assert sorted(again.items) == sorted(ours.items)
    assert again.deleted == ours.deleted
    assert decode_state(doc_of(document).get_state()) == decode_state(document.state())


def test_a_mark_is_read_back_and_stands_once() -> None:
    for mark in (Mark(7), Mark(None)):
        assert decode_update(encode_document([], mark=mark)).mark == mark
    one = encode_document([], mark=Mark(7))[1:-1]
    two = encode_document([], mark=Mark(8))[1:-1]
    for both in (one + two, two + one):
        with pytest.raises(BadDocument):
            decode_update(b"\x02" + both + b"\x00")


def test_the_delete_set_is_in_order_and_names_a_client_once() -> None:
    numbers = sorted(client_id("r/phone", EntryId(op_id(n), 0)) for n in (1, 2))
    small, large = (varint(number) + b"\x01\x00\x01" for number in numbers)
    assert decode_update(b"\x00\x02" + large + small).deleted == set(numbers)
    assert decode_update(b"\x00\x02" + small + large, ordered=False).deleted == set(numbers)
    with pytest.raises(BadDocument, match="twice or out of order"):
        decode_update(b"\x00\x02" + small + large)
    for ordered in (True, False):
        with pytest.raises(BadDocument, match="twice or out of order"):
            decode_update(b"\x00\x02" + small + small, ordered=ordered)


def test_a_state_names_each_client_once_in_any_order() -> None:
    one, two = b"\x05\x01", b"\x06\x01"
    assert decode_state(b"\x02" + one + two) == decode_state(b"\x02" + two + one) == {5, 6}
    assert decode_state(b"\x00") == set()
    with pytest.raises(BadDocument, match="twice"):
        decode_state(b"\x02" + one + one)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(b"", "not the state of a document", id="nothing"),
        pytest.param(b"\x01\x05", "claims 1 items", id="a client without its clock"),
        pytest.param(b"\x01\x05\x02", "not 1 clients", id="another clock than 1"),
        pytest.param(b"\x01\x05\x01\x00", "and then the end", id="a byte too much"),
        pytest.param(b"\x01\x00\x01", "not 1 clients", id="the client 0"),
        pytest.param(b"\x01" + b"\xff" * 7 + b"\x7f\x01", "not 1 clients", id="over 53 bits"),
        pytest.param(b"\x01\x85\x00\x01", "not 1 clients", id="not the shortest form"),
        pytest.param(b"\x80\x80\x80\x80\x80\x01", "more than 35 bits", id="a count without end"),
        pytest.param(b"\x81\x00\x05\x01", "shortest form", id="a count of two bytes"),
    ],
)
def test_what_is_no_state_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(BadDocument, match=words):
        decode_state(data)


def test_the_largest_client_id_is_one_of_53_bits() -> None:
    largest = 2**53 - 1
    assert decode_state(b"\x01" + varint(largest) + b"\x01") == {largest}
    with pytest.raises(BadDocument):
        decode_state(b"\x01" + varint(largest + 1) + b"\x01")


def test_an_update_that_says_nothing_is_no_bytes_at_all() -> None:
    assert decode_update(b"") == ([], set(), None)
    with pytest.raises(BadDocument, match="says nothing"):
        decode_update(b"\x00\x00")


@pytest.mark.parametrize(
    ("key", "content"),
    [
        ("as_of", b'{"as_of":-1}'),
        ("as_of", b'{"as_of":01}'),
        ("as_of", b'{"as_of":0}'),
        ("as_of", b'{"as_of":12345678901234567}'),
        ("as_of", b'{"as_of": 1}'),
        ("as_off", b'{"as_of":1}'),
    ],
)
def test_a_mark_in_any_other_form_is_refused(key: str, content: bytes) -> None:
    number, _ = mark_section(Mark(1))
    forged = write_update({number: value_section(number, "m/", key, content)}, ())
    with pytest.raises(BadDocument, match="not an as-of mark"):
        decode_update(forged)


def test_a_mark_under_another_client_id_is_refused() -> None:
    number, _ = mark_section(Mark(1))
    section = value_section(number - 1, "m/", "as_of", b'{"as_of":1}')
    with pytest.raises(BadDocument, match="mark is not in the form"):
        decode_update(write_update({number - 1: section}, ()))


@pytest.mark.parametrize(
    ("root", "key", "user", "fits"),
    [
        ("s/tags", f"{op_id(1)}.999", "kim", True),
        ("s/tags", f"{op_id(1)}.1000", "kim", False),
        ("s/tags", "fold:3", "", False),
        ("c/visits", "fold:3", "", True),
        ("c/visits", "fold:3", "kim", True),
        ("c/visits", "fold:03", "", False),
        ("c/visits", f"fold:{'9' * 16}", "", True),
        ("c/visits", f"fold:{'9' * 17}", "", False),
        ("c/visits", f"{op_id(1)}.1", "kim", False),
        ("c/visits", op_id(1), "", False),
        ("r/phone", "fold:3", "", False),
    ],
)
def test_only_sets_have_several_entries_of_an_op_and_only_counters_are_folded(
    root: str, key: str, user: str, fits: bool
) -> None:
    entry_id = entry_of_key(key) if "fold:0" not in key else EntryId(key, 0)
    number = client_id(root, entry_id)
    text = content_bytes("5", 1, user, entry_id.op_id)
    data = write_update({number: value_section(number, root, key, text)}, ())
    if fits:
        assert decode_update(data).items[0].entry_id == entry_id
    else:
        with pytest.raises(BadDocument):
            decode_update(data)


@pytest.mark.parametrize(
    ("value", "fits"),
    [
        ("0", True),
        ("-5", True),
        ("9" * 1_000, True),
        ("9" * 1_001, False),
        ("01", False),
        ("1.5", False),
        ('"1.50"', True),
        ('"-0.5"', True),
        ('"1."', False),
        ('"x"', False),
        ("null", False),
        (f'"{"9" * 999}.{"9" * 999}"', True),
        (f'"{"9" * 1_000}"', False),
    ],
)
def test_a_counter_holds_bounded_integers_and_decimals(value: str, fits: bool) -> None:
    content = Content(value, 5, "kim", op_id(1))
    if fits:
        check_content("c/visits", content)
    else:
        with pytest.raises(InvalidOp, match="a counter holds integers or decimals") as raised:
            check_content("c/visits", content)
        assert raised.value.code == "wrong_type"


@pytest.mark.parametrize(("time_us", "fits"), [(0, True), (2**53 - 1, True), (2**53, False)])
def test_an_entry_has_a_time_that_browsers_can_hold(time_us: int, fits: bool) -> None:
    content = Content('"a"', time_us, "kim", op_id(1))
    if fits:
        check_content("r/phone", content)
    else:
        with pytest.raises(InvalidOp, match="out of range"):
            check_content("r/phone", content)
