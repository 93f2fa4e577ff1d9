"""The bytes that we write: one item per entry, the same bytes for the same entries."""

from __future__ import annotations

import random

import pytest
from pycrdt import Doc, Map

from crdtsync.documents.client_codes import varint
from crdtsync.documents.content import content_bytes, read_content
from crdtsync.documents.decoder import decode_update
from crdtsync.documents.encoder import Mark, encode_document, encode_ops
from crdtsync.documents.errors import InvalidOp
from crdtsync.documents.identity import client_id, entry_key
from crdtsync.documents.ops import EntryId, FieldWrite, Op
from crdtsync.documents.state import Entry
from tests.documents.making import op_id, register_op


def test_an_entry_is_one_item_whose_bytes_are_known() -> None:
    op = register_op(1, '"010-1234"')
    key = entry_key(EntryId(op.op_id, 0))
    number = client_id("r/phone", EntryId(op.op_id, 0))
    content = f'["010-1234",1001,"dr-lee","{op.op_id}"]'.encode()
    assert encode_ops([op]) == (
        b"\x01\x01"
        + varint(number)
        + b"\x00\x28\x01\x07r/phone"
        + bytes([len(key)])
        + key.encode()
        + b"\x01\x77"
        + bytes([len(content)])
        + content
        + b"\x00"
    )


def test_lengths_count_bytes_so_korean_values_and_field_names_read_back() -> None:
    op = register_op(1, '"김민지 é 😀"', root="r/이름")
    doc: Doc[Map[str]] = Doc(client_id=0)
    doc.apply_update(encode_ops([op]))
    assert doc.get("r/이름", type=Map).to_py() == {
        op.op_id: f'["김민지 é 😀",1001,"dr-lee","{op.op_id}"]'
    }


@pytest.mark.parametrize("number", [0, 1, 127, 128, 2**14, 2**49 - 1, 2**49, 2**53 - 1])
def test_a_varint_is_the_shortest_leb128(number: int) -> None:
    data = varint(number)
    assert sum((byte & 0x7F) << 7 * place for place, byte in enumerate(data)) == number
    assert all(byte & 0x80 for byte in data[:-1])
    assert data[-1] < 0x80
    assert len(data) == max(1, -(-number.bit_length() // 7))


@pytest.mark.parametrize(
    "value", ['"a\\"],1,\\"b"', '{"a":[1,2.5e-07,null]}', '"\x7f\\u0001"', "[]"]
)
@pytest.mark.parametrize("user", ["kim", 'k",1,"x', "김", "back\\slash"])
def test_the_value_comes_back_from_the_content_as_it_was_written(value: str, user: str) -> None:
    content = read_content(content_bytes(value, 7, user, op_id(1)))
    assert content == (value, 7, user, op_id(1))


@pytest.mark.parametrize(
    "value", ["", "tru", "1,2", ' "a"', '"a" ', "[1", '"\ud800"', '"a"],["b"', "NaN", "01"]
)
def test_a_value_that_could_not_be_read_back_is_never_written(value: str) -> None:
    with pytest.raises(InvalidOp):
        encode_ops([register_op(1, value)])


def test_two_thousand_ops_are_one_update_and_one_apply() -> None:
    ops = [register_op(number, f'"{number}"', root="r/allergies") for number in range(2_000)]
    doc: Doc[Map[str]] = Doc(client_id=0)
    doc.apply_update(encode_ops(ops))
    assert len(doc.get("r/allergies", type=Map).to_py() or {}) == 2_000


def test_equal_content_gives_equal_bytes_whatever_the_order() -> None:
    entries = [("r/phone", Entry(op_id(n), 0, f'"{n}"', n, "kim", n, 0)) for n in range(50)]
    gone = [("r/name", EntryId(op_id(n), 0)) for n in range(50, 80)]
    whole = encode_document(entries, gone, Mark(9))
    for seed in range(5):
        shuffle = random.Random(seed).shuffle
        shuffle(entries)
        shuffle(gone)
        assert encode_document(entries, gone, Mark(9)) == whole
    assert encode_document(entries, gone, Mark(10)) != whole


def test_a_superseded_entry_is_a_deleted_item_and_stands_in_the_delete_set() -> None:
    first = register_op(1, '"a"')
    second = register_op(2, '"b"', supersedes=[EntryId(first.op_id, 0)])
    together = encode_ops([first, second])
    decoded = decode_update(together)
    assert {item.entry_id.op_id for item in decoded.items if item.entry is None} == {first.op_id}
    doc: Doc[Map[str]] = Doc(client_id=0)
    doc.apply_update(encode_ops([first]))
    doc.apply_update(encode_ops([second]))
    assert doc.get("r/phone", type=Map).to_py() == {
        second.op_id: f'["b",1002,"dr-lee","{second.op_id}"]'
    }
    after = decode_update(doc.get_update(), ordered=False)
    assert sorted(after.items) == sorted(decoded.items)


def test_the_mark_of_a_compacted_document_is_an_item_of_its_own() -> None:
    for mark, text in ((Mark(12), '{"as_of":12}'), (Mark(None), '{"as_of":null}')):
        data = encode_document([], mark=mark)
        doc: Doc[Map[str]] = Doc(client_id=0)
        doc.apply_update(data)
        assert doc.get("m/", type=Map).to_py() == {"as_of": text}
        assert decode_update(data).mark == mark


def test_entries_of_one_op_in_a_set_have_keys_of_their_own() -> None:
    op = Op(op_id(1), "kim", "patient", "p1", 5, {"s/tags": FieldWrite(('"a"', '"b"'))})
    keys = {entry_key(item.entry_id) for item in decode_update(encode_ops([op])).items}
    assert keys == {op.op_id, f"{op.op_id}.1"}
