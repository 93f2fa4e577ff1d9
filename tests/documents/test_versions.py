"""What a reader saw, and thus what a later write replaces."""

from __future__ import annotations

import pytest

from crdtsync.documents.errors import UsageError
from crdtsync.documents.ops import EntryId
from crdtsync.documents.state import Entry, RecordState
from crdtsync.documents.versions import Basis, Version, version_of
from tests.documents.making import op_id, register_op

ROOT = "r/phone"


def entry(number: int, seq: int = 0) -> Entry:
    return Entry(op_id(number), 0, f'"{number}"', number, "kim", number, seq)


def record(*entries: Entry, seq: int = 0) -> RecordState:
    state = RecordState("patient", "p1")
    for one in entries:
        state.add(ROOT, one)
    state.seq = seq
    return state


def numbers(entries: list[Entry]) -> list[str]:
    return [one.value.strip('"') for one in entries]


@pytest.mark.parametrize(
    "version",
    [Version(0), Version(7), Version(7, (op_id(1),)), Version(2**53 - 1, (op_id(2), op_id(1)))],
)
def test_a_version_is_read_back_from_its_text(version: Version) -> None:
    assert Version.parse(str(version)) == version


@pytest.mark.parametrize(
    "text",
    [
        *("", ":", "x", "-1", "+1", " 1", "1.0", "٣", "²", "1" * 17, "1:x", f"1:{op_id(1)},"),
        *(f":{op_id(1)}", f"1:{op_id(1)}:{op_id(2)}", f"1:{op_id(10).upper()}"),
    ],
)
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a version; pass"):
        Version.parse(text)


def test_the_largest_seq_has_sixteen_digits() -> None:
    assert Version.parse("9" * 16).seq == 9_999_999_999_999_999


@pytest.mark.parametrize(
    ("number", "seq", "saw"),
    [(9, 1, True), (9, 5, True), (9, 6, False), (9, 0, False), (2, 0, True), (2, 6, True)],
)
def test_a_reader_saw_what_lies_at_or_below_the_seq_and_what_is_named(
    number: int, seq: int, saw: bool
) -> None:
    assert Version(5, (op_id(2),)).saw(entry(number, seq)) is saw


def test_the_version_of_a_record_names_what_the_seq_does_not_cover() -> None:
    state = record(entry(1, 3), entry(2), entry(3, 9), seq=5)
    assert version_of(state) == Version(5, (op_id(2), op_id(3)))
    state.overlay(register_op(4, '"4"'))
    assert version_of(state) == Version(5, (op_id(4), op_id(2), op_id(3)))
    assert version_of(record(entry(1, 5), seq=5)) == Version(5)


class TestBasis:
    """What a write replaces, and what stood on the screen."""

    @staticmethod
    def _covered() -> RecordState:
        """A confirmed entry (1) under a pending one (2)."""
        state = record(entry(1, 3), seq=3)
        state.overlay(register_op(2, '"2"', supersedes=[EntryId(op_id(1), 0)]))
        return state

    def test_with_the_record_at_hand_it_is_what_that_shows_and_covers(self) -> None:
        read = self._covered()
        basis = Basis(Version(0), read)
        now = record(entry(7, 4), seq=4)
        assert numbers(basis.seen(now, ROOT)) == ["2", "1"]
        assert numbers(basis.shown(now, ROOT)) == ["2"]
        assert basis.seen(now, "r/name") == basis.shown(now, "r/name") == []

    def test_with_the_version_alone_it_is_what_that_saw_of_what_is_here(self) -> None:
        state = self._covered()
        both = Basis(version_of(state))
        assert numbers(both.seen(state, ROOT)) == ["2", "1"]
        assert numbers(both.shown(state, ROOT)) == ["2"]
        confirmed = Basis(Version(3))
        assert numbers(confirmed.seen(state, ROOT)) == ["1"]
        assert numbers(confirmed.shown(state, ROOT)) == ["1"], "the pending op came later"
        neither = Basis(Version(2))
        assert neither.seen(state, ROOT) == neither.shown(state, ROOT) == []

    def test_in_another_log_only_what_is_named_counts_as_seen(self) -> None:
        basis = Basis(Version(9, (op_id(1),))).of_another_log()
        assert basis == Basis(Version(0, (op_id(1),)))
        read = record(entry(2, 3), Entry("fold:3", 0, "1", 0, "", 0, 3), entry(1), seq=3)
        named = Basis(Version(9, (op_id(1),)), read).of_another_log()
        assert named == Basis(Version(0, (op_id(1), op_id(2))), read)
