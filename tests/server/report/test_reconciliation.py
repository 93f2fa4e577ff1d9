"""A planted loss or duplicate is found and named; what is honest raises no alarm."""

from __future__ import annotations

import pytest

from crdtsync.database import queries
from crdtsync.protocol.messages import AcknowledgedDigest
from crdtsync_server.report.measures import Overview
from crdtsync_server.report.reconciliation import digest_of
from crdtsync_server.report.scope import Bounds
from crdtsync_server.storage import acknowledged
from crdtsync_server.storage.acknowledged import RANGES_KEPT, store_acknowledged, xor
from crdtsync_server.storage.keys import position, uuid_bytes
from crdtsync_server.work import AcknowledgedNote
from tests.server.report.books import NOW_US, Book, Written, new_id

T = NOW_US - 3_600_000_000
SQL = queries("crdtsync_server.storage", "queries.sql")


def kinds(found: Overview) -> list[str]:
    return [one.kind for one in found.reconciliation.findings]


def pushed(book: Book, replica: int, count: int = 3) -> list[Written]:
    return book.push(replica, T, created_us=[T] * count)


def acknowledged_by(book: Book, replica: int, written: list[Written], **options: bool) -> None:
    ops = [one.op_id for one in written]
    book.acknowledged(replica, written[0].seq - 1, written[-1].seq, ops, **options)


def lose(book: Book, one: Written, *, receipt: bool = True) -> None:
    book.run("DELETE FROM log WHERE position = ?", position(book.space(), one.seq))
    if receipt:
        book.run("DELETE FROM receipts WHERE op_id = ?", uuid_bytes(one.op_id))


def test_what_agrees_is_told_as_proved(book: Book) -> None:
    replica = book.replica()
    acknowledged_by(book, replica, pushed(book, replica))
    found = book.overview().reconciliation
    assert (found.mood, found.ops, found.ranges, found.devices) == ("good", 3, 1, 1)
    assert found.words.startswith("Nothing lost, nothing doubled: 3 changes that 1 device saw")
    assert {one.mood for one in found.checks} == {"good"}


@pytest.mark.parametrize("receipt", [True, False], ids=["with its receipt", "without"])
def test_a_lost_op_is_named_with_its_device_and_range(book: Book, receipt: bool) -> None:
    replica = book.replica("ward phone 3", user="lee")
    written = pushed(book, replica)
    acknowledged_by(book, replica, written)
    lose(book, written[1], receipt=receipt)
    found = book.overview()
    loss = next(one for one in found.reconciliation.findings if one.kind == "missing")
    assert (loss.device, loss.user, loss.space) == ("ward phone 3", "lee", "ward")
    assert (loss.from_seq, loss.to_seq, loss.op_ids) == (0, 3, (written[1].op_id,))
    assert "1 of 3 changes that “ward phone 3” (lee) saw acknowledged" in loss.words
    assert "gap" in kinds(found)
    assert not found.go
    assert found.questions[0].answer == "no"


def test_a_lost_op_at_the_end_of_the_log_is_found_too(book: Book) -> None:
    replica = book.replica()
    written = pushed(book, replica)
    acknowledged_by(book, replica, written)
    lose(book, written[2])
    assert set(kinds(book.overview())) == {"missing", "gap"}


@pytest.mark.parametrize("seq", [2, 3])
def test_a_lost_op_is_found_by_an_older_devices_digest(book: Book, seq: int) -> None:
    replica = book.replica()
    written = pushed(book, replica)
    acknowledged_by(book, replica, written, named=False)
    assert book.overview().reconciliation.mood == "good"
    lose(book, written[seq - 1])
    assert "fewer" in kinds(book.overview())


def test_another_op_in_the_place_of_one_is_found_by_digest(book: Book) -> None:
    replica = book.replica()
    written = pushed(book, replica)
    book.acknowledged(replica, 0, 3, [new_id(), *[w.op_id for w in written[1:]]], named=False)
    found = book.overview()
    assert kinds(found) == ["different"]
    assert found.questions[0].answer == "no", "one of them is not there"


def test_an_op_that_stands_twice_is_named(book: Book) -> None:
    replica = book.replica()
    (first, *_) = pushed(book, replica)
    book.run("DROP TABLE receipts")
    book.run("CREATE TABLE receipts (op_id BLOB, position INTEGER)")
    for seq, one in enumerate([first], start=1):
        book.run(
            "INSERT INTO receipts VALUES (?, ?)", uuid_bytes(one.op_id), position(book.space(), seq)
        )
    book.push(replica, T, created_us=[T], op_ids=[first.op_id])
    doubled = [one for one in book.overview().reconciliation.findings if one.kind == "doubled"]
    assert doubled
    assert doubled[0].op_ids == (first.op_id,)
    assert doubled[0].words.endswith("twice: at the places 1 and 4.")
    assert book.overview().questions[2].answer == "no"


def test_a_copied_row_is_a_duplicate_although_its_receipt_is_right(book: Book) -> None:
    replica = book.replica()
    written = pushed(book, replica)
    place = position(book.space(), 4)
    book.run(
        "INSERT INTO log SELECT ?, content_digest, entry, request_id, replica, attempts, "
        "created_us FROM log WHERE position = ?",
        place,
        position(book.space(), 2),
    )
    found = book.overview()
    doubled = next(one for one in found.reconciliation.findings if one.kind == "doubled")
    assert doubled.op_ids == (written[1].op_id,)
    assert (doubled.from_seq + 1, doubled.to_seq) == (2, 4)


def test_a_changed_digest_a_missing_receipt_and_a_receipt_without_op_are_found(book: Book) -> None:
    replica = book.replica()
    written = pushed(book, replica, 4)
    book.run("UPDATE spaces SET digest = x'00'")
    book.run("DELETE FROM receipts WHERE op_id = ?", uuid_bytes(written[0].op_id))
    stray = new_id()
    book.run("INSERT INTO receipts VALUES (?, ?)", uuid_bytes(stray), position(book.space(), 77))
    found = book.overview().reconciliation
    assert sorted(one.kind for one in found.findings) == ["head", "receipt", "receipt"]
    assert {op for one in found.findings for op in one.op_ids} == {stray, written[0].op_id}


def test_a_link_of_the_chain_that_was_changed_is_found(book: Book) -> None:
    replica = book.replica()
    pushed(book, replica, 4)
    entry = book.run(
        "SELECT entry FROM log WHERE position = ?", position(book.space(), 2)
    ).fetchone()[0]
    # The digest is the second field: a bin8 of 16 bytes somewhere near the front.
    place = entry.index(b"\xc4\x10") + 2
    forged = entry[:place] + bytes(16) + entry[place + 16 :]
    book.run("UPDATE log SET entry = ? WHERE position = ?", forged, position(book.space(), 2))
    chains = [one for one in book.overview().reconciliation.findings if one.kind == "chain"]
    assert [one.to_seq for one in chains] == [2, 3]


def test_an_entry_that_cannot_be_read_is_told_and_no_end_of_the_report(book: Book) -> None:
    replica = book.replica()
    acknowledged_by(book, replica, pushed(book, replica), named=False)
    book.told(new_id(), new_id(), T, "cut")
    book.run("UPDATE log SET entry = x'c1' WHERE position = ?", position(book.space(), 2))
    found = book.overview()
    assert "unreadable" in kinds(found)
    assert found.reconciliation.mood == "bad"
    assert "cannot be read" in " ".join(one.words for one in found.reconciliation.findings)
    assert found.questions[0].answer == "no"
    assert not found.go


class TestNoFalseAlarm:
    def test_ops_that_another_replica_brought_first_are_no_loss(self, book: Book) -> None:
        """A copied file holds the same ops; the receipt of the first serves both."""
        original, copy = book.replica(), book.replica("copy")
        written = pushed(book, original)
        acknowledged_by(book, original, written)
        acknowledged_by(book, copy, written)
        found = book.overview().reconciliation
        assert (found.mood, found.ops) == ("good", 6)

    def test_more_in_the_log_than_a_device_remembers_is_no_loss(self, book: Book) -> None:
        replica = book.replica()
        written = pushed(book, replica)
        book.acknowledged(replica, 0, 3, [written[0].op_id])
        assert book.overview().reconciliation.mood == "good"
        book.run("UPDATE acknowledged SET op_ids = x''")
        found = book.overview().reconciliation
        assert (found.mood, found.findings) == ("unknown", ()), "and nothing is proved either"
        assert found.words.startswith("None of the 1 change that devices saw acknowledged could")
        assert "could not be compared" in found.checks[0].words

    def test_a_part_of_a_long_log_is_checked_from_its_middle(self, book: Book) -> None:
        replica = book.replica()
        acknowledged_by(book, replica, pushed(book, replica, 30))
        found = book.overview(bounds=Bounds(log_rows=10)).reconciliation
        assert found.mood == "good"
        assert "Only the newest" in found.checks[1].words

    def test_what_is_beyond_the_bound_is_said(self, book: Book) -> None:
        replica = book.replica()
        acknowledged_by(book, replica, pushed(book, replica))
        found = book.overview(bounds=Bounds(named_ops=2)).reconciliation
        assert (found.mood, found.ops) == ("unknown", 0)
        assert "None of the 3 changes" in found.words
        assert "3 more were left out" in found.checks[0].words

    def test_places_of_another_space_are_not_ones_own(self, book: Book) -> None:
        replica, other = book.replica(), book.replica(space="home")
        written = book.push(other, T, space="home", created_us=[T])
        book.acknowledged(replica, 0, 2**50, [written[0].op_id])
        pushed(book, replica)
        assert kinds(book.overview()) == ["missing"]


class TestFolding:
    """Older ranges of a replica become one; nothing of what they prove is forgotten."""

    def report(self, book: Book, replica_id: str, written: list[Written], **more: bytes) -> None:
        ops = [one.op_id for one in written]
        digest = digest_of(ops)
        told = AcknowledgedDigest(
            written[0].seq - 1,
            written[-1].seq,
            len(ops),
            digest,
            more.get("op_ids", b"".join(map(uuid_bytes, ops))),
        )
        note = AcknowledgedNote("ward", replica_id, told, NOW_US)
        store_acknowledged(book.connection, SQL, [note])

    def test_ranges_are_bounded_and_all_stay_proved(self, book: Book) -> None:
        replica_id = new_id()
        replica = book.replica(replica_id=replica_id)
        for _ in range(RANGES_KEPT + 5):
            self.report(book, replica_id, pushed(book, replica, 2))
        rows = book.run("SELECT to_seq, count, op_ids FROM acknowledged ORDER BY to_seq").fetchall()
        assert len(rows) == RANGES_KEPT
        assert rows[0] == (12, 12, b"")
        found = book.overview().reconciliation
        assert (found.mood, found.ops) == ("good", 2 * (RANGES_KEPT + 5))

    def test_a_loss_is_remembered_by_name_when_its_range_is_folded(self, book: Book) -> None:
        replica_id = new_id()
        replica = book.replica(replica_id=replica_id)
        first = pushed(book, replica, 2)
        self.report(book, replica_id, first)
        lose(book, first[1])
        for _ in range(RANGES_KEPT):
            self.report(book, replica_id, pushed(book, replica, 1))
        (missing,) = book.run("SELECT missing FROM acknowledged WHERE missing <> x''").fetchone()
        assert missing == uuid_bytes(first[1].op_id)
        found = book.overview()
        loss = next(one for one in found.reconciliation.findings if one.kind == "missing")
        assert loss.op_ids == (first[1].op_id,)

    def test_a_loss_after_the_folding_is_found_by_the_digest(self, book: Book) -> None:
        replica_id = new_id()
        replica = book.replica(replica_id=replica_id)
        first = pushed(book, replica, 2)
        self.report(book, replica_id, first)
        for _ in range(RANGES_KEPT):
            self.report(book, replica_id, pushed(book, replica, 1))
        lose(book, first[0])
        assert "fewer" in kinds(book.overview())

    def test_ranges_that_overlap_are_proved_by_name_only(self, book: Book) -> None:
        replica_id = new_id()
        replica = book.replica(replica_id=replica_id)
        first = pushed(book, replica, 2)
        self.report(book, replica_id, first)
        self.report(book, replica_id, [*first, *pushed(book, replica, 1)])
        for _ in range(RANGES_KEPT):
            self.report(book, replica_id, pushed(book, replica, 1))
        assert book.run("SELECT digest FROM acknowledged ORDER BY to_seq").fetchone() == (b"",)
        found = book.overview().reconciliation
        assert (found.mood, found.ops) == ("good", RANGES_KEPT - 1)
        assert f"{RANGES_KEPT - 1} changes that 1 device saw acknowledged stand in" in found.words
        assert found.words.endswith("6 more could not be compared one by one.")
        assert xor(b"", b"x" * 16) == b""

    def test_one_group_folds_only_so_much(
        self, book: Book, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        replica_id = new_id()
        replica = book.replica(replica_id=replica_id)
        monkeypatch.setattr(acknowledged, "LOOK_UPS", 0)
        for _ in range(RANGES_KEPT + 3):
            self.report(book, replica_id, pushed(book, replica, 1))
        assert book.run("SELECT count(*) FROM acknowledged").fetchone() == (RANGES_KEPT + 3,)
        monkeypatch.setattr(acknowledged, "LOOK_UPS", 1_000)
        self.report(book, replica_id, pushed(book, replica, 1))
        assert book.run("SELECT count(*) FROM acknowledged").fetchone() == (RANGES_KEPT,)

    def test_a_replica_that_nobody_knows_is_left_out(self, book: Book) -> None:
        book.space()
        self.report(book, new_id(), [Written(new_id(), new_id(), 1)])
        assert book.run("SELECT count(*) FROM acknowledged").fetchone() == (0,)
