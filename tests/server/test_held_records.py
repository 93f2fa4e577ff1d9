"""Records in the server's memory: closed as on disk, opened field by field."""

from __future__ import annotations

import random
import uuid

import msgspec

from crdtsync.documents.identity import ID_BYTES, holds_id, packed_id
from crdtsync.documents.state import LogEntry, RecordState, Removal, decode_stored
from crdtsync_server.storage.held import IDS_LEFT_BEHIND, CachedRecord

KEY = (1, "patient", "p1")
ROOTS = ("r/name", "r/phone", "s/tags", "d/")


def entry_of(seq: int, root: str, *removed: tuple[str, str]) -> LogEntry:
    """An entry of the log that writes one field and removes these (root, op_id)."""
    op_id = str(uuid.UUID(int=seq, version=4))
    gone = tuple(Removal(of, one, 0, "superseded") for of, one in removed)
    return LogEntry(
        seq, b"", op_id, "kim", "patient", "p1", seq, seq, seq, {root: (f'"{seq}"',)}, gone,
        {root: "applied"}, 0,
    )  # fmt: skip


def apply(held: CachedRecord, whole: RecordState, entry: LogEntry) -> None:
    """To the held record, of which no more is opened than has to be, and to a whole one."""
    roots = {*entry.writes, *(gone.root for gone in entry.removed)}
    held.opened(roots).apply_entry(entry)
    whole.apply_entry(entry)


def ids_of(state: RecordState) -> set[bytes]:
    return {packed_id(root, entry.op_id, entry.n) for root, entry in state.entries()}


def split(packed: bytes) -> set[bytes]:
    return {packed[at : at + ID_BYTES] for at in range(0, len(packed), ID_BYTES)}


def test_a_record_that_is_opened_by_the_field_is_stored_as_one_that_is_whole() -> None:
    for seed in range(50):
        draw = random.Random(seed)
        held, whole = CachedRecord.new(KEY), RecordState("patient", "p1")
        for seq in range(1, 30):
            visible = [(root, entry.op_id) for root, entry in whole.entries()]
            removed = draw.sample(visible, draw.randint(0, len(visible)))
            apply(held, whole, entry_of(seq, draw.choice(ROOTS), *removed))
            if draw.random() < 0.2:
                # As every few ops at the end of a group.
                data = held.encode()
                stored = RecordState.decode("patient", "p1", data)
                assert stored.fields == whole.fields
                assert (stored.seq, stored.updated_us) == (whole.seq, whole.updated_us)
                assert stored.updated_by == whole.updated_by
                assert held.state is None
                assert held.item_ids()
                assert split(held.item_ids()) == ids_of(whole)
            if draw.random() < 0.2:
                held = CachedRecord.decode(KEY, 1, held.encode())
            held.ids = None
        assert held.whole().fields == whole.fields
        assert split(held.item_ids()) == ids_of(whole)
        assert held.encode()
        assert held.seq == 29


def test_what_is_not_opened_is_written_as_it_was_read_and_keeps_its_place() -> None:
    whole = RecordState("patient", "p1")
    for seq, root in enumerate(ROOTS, 1):
        whole.apply_entry(entry_of(seq, root))
    held = CachedRecord.decode(KEY, 1, whole.encode())
    name = next(iter(whole.visible("r/name"))).op_id
    apply(held, whole, entry_of(9, "r/name", ("r/name", name)))
    assert held.state is not None
    assert set(held.state.fields) == {"r/name"}
    stored = decode_stored(held.encode())
    assert [*stored.fields.items()] == [*whole.stored().fields.items()]
    assert stored.seq == whole.seq


def test_an_op_is_named_once_for_all_of_its_entries_and_leaves_with_the_last_of_them() -> None:
    held, whole = CachedRecord.new(KEY), RecordState("patient", "p1")
    first = msgspec.structs.replace(
        entry_of(1, "r/name"), writes={"r/name": ('"a"',), "s/tags": ('"b"', '"c"')}
    )
    apply(held, whole, first)
    apply(held, whole, entry_of(2, "r/phone"))
    assert [op.seq for op in decode_stored(held.encode()).ops] == [1, 2]
    name, tags = [(root, first.op_id) for root in ("r/name", "s/tags")]
    apply(held, whole, entry_of(3, "r/name", name, tags))
    stored = decode_stored(held.encode())
    assert stored.fields == whole.stored().fields
    # The second of the tags is left.
    assert sorted(op.seq for op in stored.ops) == [1, 2, 3]
    gone = Removal("s/tags", first.op_id, 1, "superseded")
    apply(held, whole, msgspec.structs.replace(entry_of(4, "s/tags"), removed=(gone,)))
    stored = decode_stored(held.encode())
    assert stored.fields == whole.stored().fields
    assert sorted(op.seq for op in stored.ops) == [2, 3, 4]
    held = CachedRecord.decode(KEY, 1, held.encode())
    assert split(held.item_ids()) == ids_of(whole)
    assert held.whole().fields == whole.fields


def test_a_field_that_lost_everything_is_gone_and_does_not_come_back() -> None:
    whole = RecordState("patient", "p1")
    whole.apply_entry(entry_of(1, "r/name"))
    whole.apply_entry(entry_of(2, "r/phone"))
    held = CachedRecord.decode(KEY, 1, whole.encode())
    name = next(iter(whole.visible("r/name"))).op_id
    apply(held, whole, entry_of(3, "r/phone", ("r/name", name)))
    assert set(held.opened(ROOTS).fields) == set(whole.fields) == {"r/phone"}
    stored = decode_stored(held.encode())
    assert [*stored.fields.items()] == [*whole.stored().fields.items()]
    assert [op.seq for op in stored.ops] == [3, 2]


def test_ids_of_entries_that_left_are_forgotten_before_they_are_many() -> None:
    held = CachedRecord.new(KEY)
    longest = 0
    for seq in range(1, 5 * IDS_LEFT_BEHIND):
        before = [("r/name", one.op_id) for one in held.opened(["r/name"]).visible("r/name")]
        entry, known = entry_of(seq, "r/name", *before), held.item_ids()
        held.opened(["r/name"]).apply_entry(entry)
        own = packed_id("r/name", entry.op_id, 0)
        held.ids = known + own
        held.encode()
        longest = max(longest, len(held.item_ids()) // ID_BYTES)
        assert holds_id(held.item_ids(), own)
    assert IDS_LEFT_BEHIND <= longest <= IDS_LEFT_BEHIND + 1
