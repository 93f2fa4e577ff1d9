"""What retention trims, and what it never touches."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from crdtsync.database import queries
from crdtsync.documents.ops import EntryId, Op
from crdtsync.documents.state import LogEntry, RecordState
from crdtsync.protocol.admission import Admission
from crdtsync.protocol.messages import History, HistoryRequest, Receipt
from crdtsync_server.sight import Sight
from crdtsync_server.storage import group, reading, retention
from crdtsync_server.storage.keys import chain, position, uuid_bytes
from crdtsync_server.storage.ledger import Ledger
from crdtsync_server.storage.receipts import ENTRY_DECODER
from crdtsync_server.storage.retention import trim_log, trim_old, trim_slice, trim_step
from crdtsync_server.storage.store import connect_writer
from crdtsync_server.work import LookUpWork, Notes, Origin, PushWork
from tests.server.serving import (
    POLICY,
    SPACE,
    START_US,
    FaultyConnection,
    delete,
    hello_of,
    new_id,
    push_of,
    write,
)

SQL = queries("crdtsync_server.storage", "queries.sql")
HOUR_US = 3_600_000_000
EVERYTHING = Sight("kim", POLICY.visibility(None))


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    one = connect_writer(":memory:")
    yield one
    one.close()


class Space:
    """A space of a ledger, an hour between any two groups."""

    def __init__(self, connection: Any, name: str = SPACE, ledger: Ledger | None = None) -> None:
        self.connection = connection
        self.name = name
        self.ledger = ledger or Ledger(POLICY)
        hello = hello_of()
        self.origin = Origin(name, hello.replica_id, hello.user, frozenset({"nurse"}))
        self.now_us = START_US
        self.receipts: dict[str, Receipt] = {}

    def push(self, *ops: Op) -> list[Receipt]:
        """Ops that are all accepted, as one group."""
        self.now_us += HOUR_US
        work = PushWork(self.origin, push_of(*ops), 500, lambda _: None)
        result = self.ledger.commit_group(self.connection, [work], Notes(), self.now_us).results[0]
        assert result is not None
        assert not isinstance(result, Admission)
        receipts = [one for one in result if isinstance(one, Receipt)]
        assert len(receipts) == len(ops), result
        self.receipts |= {one.op_id: one for one in receipts}
        return receipts

    def look_up(self, *op_ids: str) -> list[Receipt]:
        work = LookUpWork(self.origin, op_ids, lambda _: None)
        (found,) = self.ledger.commit_group(self.connection, [work], Notes(), self.now_us).results
        assert found is not None
        assert not isinstance(found, Admission)
        return [one for one in found if isinstance(one, Receipt)]

    def trim(self, below_seq: int) -> None:
        trim_log(self.connection, SQL, self.name, below_seq)

    @property
    def log_start(self) -> int:
        row = self.connection.execute(SQL["find_space"], (self.name,)).fetchone()
        return int(row[4])

    @property
    def entries(self) -> list[LogEntry]:
        return entries_of(self.connection)

    def record(self, record: str = "p1") -> RecordState:
        row = self.connection.execute(
            "SELECT state FROM records WHERE record = ?", (record,)
        ).fetchone()
        return RecordState.decode("patient", record, row[0])

    def history(self, record: str = "p1") -> History:
        """All pages, as one."""
        entries: list[LogEntry] = []
        asked = HistoryRequest(1, "patient", record)
        while True:
            page = reading.read_history(self.connection, SQL, self.name, asked, EVERYTHING)
            entries += [whole(entry) for entry in page.entries]
            if not page.more:
                return History(1, tuple(entries), page.complete, False)
            asked = HistoryRequest(1, "patient", record, entries[-1].seq)


def whole(entry: Any) -> LogEntry:
    """An entry of a page: as its bytes lie in the log, or put together from what was kept."""
    return entry if isinstance(entry, LogEntry) else ENTRY_DECODER.decode(bytes(entry))


def entries_of(connection: Any) -> list[LogEntry]:
    rows = connection.execute("SELECT entry FROM log ORDER BY position").fetchall()
    return [ENTRY_DECODER.decode(row[0]) for row in rows]


def values_of(history: History, root: str = "r/name") -> dict[int, str]:
    """What the history of a register tells: value by seq."""
    return {
        entry.seq: entry.writes[root][0]
        for entry in history.entries
        if isinstance(entry, LogEntry) and root in entry.writes
    }


def why_left(history: History, op: Op, root: str = "r/name") -> tuple[str, str] | None:
    """(why, by which op) a value left, as far as the history tells."""
    for entry in history.entries:
        assert isinstance(entry, LogEntry)
        for gone in entry.removed:
            if (gone.root, gone.op_id) == (root, op.op_id):
                return gone.why, entry.op_id
    return None


def follow(before: Op | None, values: Mapping[str, str], **more: Any) -> Op:
    """An op whose author had seen what ``before`` wrote."""
    seen: dict[str, Sequence[EntryId]] = (
        {} if before is None else {root: [EntryId(before.op_id, 0)] for root in values}
    )
    return write(values, supersedes=seen, **more)


def kept_rows(connection: Any) -> int:
    return int(connection.execute("SELECT count(*) FROM kept_values").fetchone()[0])


# ── receipts, the chain, decisions ──────────────────────────────────────────


def test_invariant_3_a_trimmed_op_that_is_sent_again_gets_the_receipt_of_its_acceptance(
    connection: sqlite3.Connection,
) -> None:
    space = Space(connection)
    values = {"r/name": '"Kim"', "c/visits": "1", "s/tags": ("a", "b"), "r/phone": '"010"'}
    texts = {k: v if isinstance(v, str) else tuple(f'"{x}"' for x in v) for k, v in values.items()}
    ops = [write(texts), *[write({"r/allergies": f'["{n}"]'}) for n in range(3)]]
    space.push(*ops)
    space.push(write({"r/name": '"Lee"'}))
    before = space.record()
    outcomes = [space.receipts[op.op_id].outcomes for op in ops]
    assert {outcome for one in outcomes for outcome in one.values()} == {"applied", "conflict"}
    space.trim(6)
    assert space.log_start == 6
    # By a ledger that decides, by one that has just started, and by a look-up.
    again = [space.push(op)[0] for op in ops]
    fresh = Space(connection)
    anew = [fresh.push(op)[0] for op in ops]
    asked = space.look_up(*[op.op_id for op in ops])
    for receipts in (again, anew, asked):
        assert receipts == [space.receipts[op.op_id] for op in ops]
        assert [one.seq for one in receipts] == [1, 2, 3, 4]
    assert space.record().encode() == before.encode()
    assert len(space.entries) == 5


def test_the_chain_of_digests_and_what_was_received_are_as_before(
    connection: sqlite3.Connection,
) -> None:
    space = Space(connection)
    for n in range(20):
        space.push(write({"r/name": f'"{n}"', "c/visits": "1"}, record=f"p{n % 3}"))
    statement = (
        "SELECT position, content_digest, request_id, replica, attempts, created_us FROM log"
    )
    rows, receipts = connection.execute(statement).fetchall(), space.receipts
    before = space.entries
    space.trim(15)
    assert connection.execute(statement).fetchall() == rows
    digest = b""
    for n, (old, entry) in enumerate(zip(before, space.entries, strict=True), start=1):
        digest = chain(digest, uuid_bytes(entry.op_id), entry.received_us)
        assert entry.digest == digest
        same = ("seq", "op_id", "user", "record", "received_us", "outcomes", "prev_seq", "time_us")
        assert [getattr(entry, name) for name in same] == [getattr(old, name) for name in same]
        assert bool(entry.writes) == (n >= 15)
        assert receipts[entry.op_id].seq == n


def test_an_op_that_names_trimmed_entries_is_judged_as_before(
    connection: sqlite3.Connection,
) -> None:
    """The base of a replica that was away: what it had seen is no grave, nor another record's."""
    space = Space(connection)
    first = write({"r/allergies": '["latex"]'})
    other = write({"r/allergies": '["nuts"]'}, record="p2")
    second = follow(first, {"r/allergies": '["milk"]'})
    space.push(first, other, second)
    space.push(write({"r/name": '"x"'}))
    space.trim(4)
    late = follow(first, {"r/allergies": '["eggs"]'}, user="kim")
    (receipt,) = space.push(late)
    assert receipt.outcomes == {"r/allergies": "conflict"}
    values = {entry.value for entry in space.record().visible("r/allergies")}
    assert values == {'["milk"]', '["eggs"]'}
    assert connection.execute("SELECT count(*) FROM graves").fetchone() == (0,)
    wrong = write({"r/allergies": '["x"]'}, supersedes={"r/allergies": [EntryId(other.op_id, 0)]})
    work = PushWork(space.origin, push_of(wrong), 500, lambda _: None)
    result: Any = space.ledger.commit_group(connection, [work], Notes(), space.now_us).results[0]
    assert result[0].code == "bad_supersedes"


@pytest.mark.parametrize("seen", [3, 1], ids=["all edits seen", "an edit unseen"])
def test_a_delete_is_judged_by_trimmed_entries_as_by_whole_ones(
    connection: sqlite3.Connection, seen: int
) -> None:
    space = Space(connection)
    space.push(write({"r/name": '"Kim"'}), delete(seq=1), write({"c/visits": "1"}))
    space.push(write({"r/note": '"x"'}, record="p2"))
    space.trim(5)
    space.push(delete(seq=seen))
    assert space.entries[-1].revived == (seen == 1)
    assert bool(space.record().fields.get("d/")) == (seen == 3)


def test_a_trimmed_delete_is_still_no_edit_that_somebody_had_not_seen(
    connection: sqlite3.Connection,
) -> None:
    """Two people delete without having seen each other's delete; that brings nothing back."""
    space = Space(connection)
    space.push(write({"r/name": '"Kim"'}), delete(seq=1))
    space.trim(3)
    space.push(delete(seq=1))
    assert not space.entries[-1].revived
    assert len(space.record().fields["d/"]) == 2


def test_what_a_mark_named_goes_and_what_it_did_stays(connection: sqlite3.Connection) -> None:
    space = Space(connection)
    named = [new_id() for _ in range(500)]
    space.push(write({"r/name": '"Kim"'}), delete(ops=named, seq=1))
    space.push(write({"r/name": '"x"'}, record="p2"))
    before = len(connection.execute("SELECT entry FROM log").fetchall()[1][0])
    space.trim(4)
    after = len(connection.execute("SELECT entry FROM log").fetchall()[1][0])
    assert before > 500 * 36
    assert after < 400
    assert len(space.record().fields["d/"]) == 1
    # What the person had seen is still known to the record: such an op does not revive it.
    space.push(write({"r/phone": '"1"'}, op_id=named[7]))
    assert not space.entries[-1].revived
    space.push(write({"r/phone": '"2"'}))
    assert space.entries[-1].revived


def test_a_delete_with_an_endless_base_does_not_walk_the_log_for_ever(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 9: beyond a bound the record is kept, as by an edit that nobody saw."""
    monkeypatch.setattr(group, "DELETE_WALK", 10)
    space = Space(connection)
    for _ in range(9):
        space.push(delete())
    space.push(delete())
    assert not space.entries[-1].revived
    for _ in range(2):
        space.push(delete())
    assert space.entries[-1].revived


# ── history ─────────────────────────────────────────────────────────────────


def test_invariant_7_the_last_loser_of_a_field_outlives_its_log_row(
    connection: sqlite3.Connection,
) -> None:
    space = Space(connection)
    first, loser = write({"r/name": '"Kim"', "r/phone": '"1"'}), write({"r/name": '"Lee"'})
    winner = write({"r/name": '"Park"'}, user="kim")
    space.push(first)
    space.push(loser)  # "Kim" loses first, then "Lee"
    space.push(winner)
    later = follow(winner, {"r/name": '"Choi"'})
    space.push(later)
    space.push(write({"r/phone": '"2"'}, time_us=START_US + 1))
    space.trim(6)
    history = space.history()
    assert not history.complete
    assert values_of(history) == {2: '"Lee"'}
    assert why_left(history, loser) == ("lost_received", winner.op_id)
    # Each field has its own: "1" lost to "2", whose row is trimmed too.
    assert values_of(history, "r/phone") == {1: '"1"'}
    assert kept_rows(connection) == 2
    # It goes when another one has lost, and that is trimmed.
    new_winner = write({"r/name": '"Han"'})
    space.push(new_winner)
    assert set(values_of(space.history())) == {6, 4, 2}
    space.trim(7)
    assert values_of(space.history()) == {4: '"Choi"'}
    assert why_left(space.history(), later) == ("lost_received", new_winner.op_id)


def test_invariant_7_a_loser_by_user_time_is_kept_too_the_late_writer_included(
    connection: sqlite3.Connection,
) -> None:
    space = Space(connection)
    newer = write({"r/phone": '"new"'}, time_us=START_US + 5)
    older = write({"r/phone": '"old"'}, time_us=START_US)
    space.push(newer, older)
    assert space.receipts[older.op_id].outcomes == {"r/phone": "superseded"}
    space.trim(3)
    assert values_of(space.history(), "r/phone") == {2: '"old"'}
    assert why_left(space.history(), older, "r/phone") == ("lost_user_time", older.op_id)


def test_a_value_that_stood_long_stays_in_history_from_when_it_left(
    connection: sqlite3.Connection,
) -> None:
    """Its log row is gone for long; it was on everyone's screen until yesterday."""
    space = Space(connection)
    old = write({"r/name": '"Kim"', "r/phone": '"1"'})
    space.push(old)
    space.push(write({"r/note": '"x"'}))
    space.trim(3)
    assert kept_rows(connection) == 0, "what a record shows lies in the record"
    assert not space.history().entries
    seeing, beating = (
        follow(old, {"r/name": '"Lee"'}),
        write({"r/phone": '"2"'}, time_us=START_US + 1),
    )
    space.push(seeing, beating)
    history = space.history()
    assert values_of(history) == {1: '"Kim"', 3: '"Lee"'}
    assert why_left(history, old) == ("superseded", seeing.op_id)
    assert values_of(history, "r/phone") == {1: '"1"', 4: '"2"'}
    # The stated time after it left has passed: the one that lost is kept on, the other not.
    space.trim(5)
    assert values_of(space.history()) == {}
    assert values_of(space.history(), "r/phone") == {1: '"1"'}


def test_candidates_that_a_person_chose_between_are_history_for_the_stated_time(
    connection: sqlite3.Connection,
) -> None:
    space = Space(connection)
    one, two = write({"r/allergies": '["a"]'}), write({"r/allergies": '["b"]'})
    space.push(one, two)
    space.trim(3)
    both = {"r/allergies": [EntryId(op.op_id, 0) for op in (one, two)]}
    chosen = write({"r/allergies": '["a","b"]'}, supersedes=both)
    space.push(chosen)
    told = values_of(space.history(), "r/allergies")
    assert told == {1: '["a"]', 2: '["b"]', 3: '["a","b"]'}
    kinds = [row[0] for row in connection.execute("SELECT kind FROM conflict_events ORDER BY seq")]
    space.trim(4)
    assert kept_rows(connection) == 0
    assert kinds == ["opened", "resolved"]
    assert connection.execute("SELECT status FROM conflicts").fetchall() == [("resolved",)]


def test_what_is_kept_is_bounded_by_the_fields_and_pages_like_the_rest(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "HISTORY_PAGE_ENTRIES", 2)
    space = Space(connection)
    for n in range(60):
        root = f"r/{('name', 'phone', 'note')[n % 3]}"
        space.push(write({root: f'"{n}"'}, time_us=START_US + n))
    before = {root: values_of(space.history(), root) for root in ("r/name", "r/phone", "r/note")}
    assert all(len(told) == 20 for told in before.values())
    assert space.history().complete
    space.trim(58)
    assert kept_rows(connection) <= 3 * 2
    for root in before:
        told = values_of(space.history(), root)
        assert told.items() <= before[root].items()
        # What stands, the one that it beat, and that one's loser until its time is over.
        assert len(told) == 3
    assert not space.history().complete
    space.trim(61)
    assert kept_rows(connection) == 3
    for n, root in ((57, "r/name"), (58, "r/phone"), (59, "r/note")):
        assert values_of(space.history(), root) == {n - 2: f'"{n - 3}"'}


def test_values_in_transit_within_one_slice_are_never_written_down(
    connection: sqlite3.Connection,
) -> None:
    """A form saved 200 times leaves nothing, however the slices fall."""
    last: Op | None = None
    space = Space(connection)
    for n in range(200):
        last = follow(last, {"r/name": f'"{n}"'})
        space.push(last)
    head = 200
    for slice_rows in (1, 7, 50, 250):
        while trim_slice(
            connection, SQL, 1, space.log_start, below_seq=head - 1, max_rows=slice_rows
        ):
            pass
        assert kept_rows(connection) == 1, "the value that the newest whole entry replaced"


# ── how much at once, and how old ───────────────────────────────────────────


def test_age_decides_and_the_newest_entries_stay_at_any_age(
    connection: sqlite3.Connection,
) -> None:
    space = Space(connection)
    for n in range(10):
        space.push(write({"r/name": f'"{n}"'}))
    seventh_us = space.entries[6].received_us
    trim_old(connection, SQL, before_us=seventh_us, keep_entries=8)
    assert space.log_start == 3
    trim_old(connection, SQL, before_us=seventh_us)
    assert space.log_start == 7
    assert trim_old(connection, SQL, before_us=seventh_us) == 0
    assert trim_old(connection, SQL, before_us=space.now_us + 1, keep_entries=0) == 4
    assert space.log_start == 11
    space.push(write({"r/name": '"anew"'}))
    assert space.entries[-1].seq == 11


def test_a_step_is_a_bounded_slice_of_one_space_and_all_spaces_get_their_turn(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "SLICE_SPACES", 2)
    ledger = Ledger(POLICY)
    spaces = [Space(connection, f"ward-{n}", ledger) for n in range(5)]
    for n, space in enumerate(spaces):
        space.push(*[write({"r/name": f'"{m}"'}, record=f"{n}-{m}") for m in range(2 * n)] or [])
    steps: list[int] = []
    at: int | None = 0
    while at is not None:
        step = trim_step(connection, SQL, from_space=at, before_us=1 << 60, max_rows=3)
        at, steps = step.space_id, [*steps, step.rows]
    assert max(steps) == 3
    assert sum(steps) == 2 + 4 + 6 + 8
    # A space in which nobody wrote has no row yet.
    assert [space.log_start for space in spaces[1:]] == [3, 5, 7, 9]


def test_large_entries_and_records_end_a_slice_early_but_never_before_its_first_row(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = Space(connection)
    space.push(*[write({"r/name": f'"{"x" * 500}"'}, record=f"p{n}") for n in range(12)])
    monkeypatch.setattr(retention, "SLICE_BYTES", 1_500)
    assert trim_slice(connection, SQL, 1, 1, below_seq=13) == 2
    monkeypatch.setattr(retention, "SLICE_BYTES", 1)
    assert trim_slice(connection, SQL, 1, 3, below_seq=13) == 1
    monkeypatch.setattr(retention, "SLICE_BYTES", 1_000_000)
    monkeypatch.setattr(retention, "RECORD_BYTES", 1_000)
    assert trim_slice(connection, SQL, 1, 4, below_seq=13) == 2
    monkeypatch.setattr(retention, "RECORD_BYTES", 1)
    assert trim_slice(connection, SQL, 1, 6, below_seq=13) == 1
    assert space.log_start == 7


@pytest.mark.parametrize(
    "statement",
    ["BEGIN", "DELETE FROM log", "INSERT INTO log", "INSERT OR REPLACE", "UPDATE spaces", "COMMIT"],
)
def test_a_slice_that_fails_leaves_everything_as_it_was(
    connection: sqlite3.Connection, statement: str
) -> None:
    faulty = FaultyConnection(connection)
    space = Space(faulty)
    for n in range(9):
        space.push(write({"r/name": f'"{n}"'}))

    def everything() -> list[Any]:
        tables = ("spaces", "log", "receipts", "records", "kept_values")
        return [connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables]

    before = everything()
    faulty.fail_on = statement
    with pytest.raises(sqlite3.OperationalError):
        space.trim(8)
    assert everything() == before
    faulty.fail_on = None
    space.trim(8)
    assert space.log_start == 8
    assert values_of(space.history()) == {6: '"5"', 7: '"6"', 8: '"7"', 9: '"8"'}


def test_trimming_gives_its_bytes_back_to_the_log_that_goes_on(
    connection: sqlite3.Connection,
) -> None:
    """Rows that are only shortened in place would leave every page as large as before."""
    space = Space(connection)

    def pages() -> int:
        (used,) = connection.execute("PRAGMA page_count").fetchone()
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        return int(used) - int(free)

    for n in range(40):
        space.push(*[write({"r/note": f'"{n} {"x" * 600}"'}) for _ in range(25)])
    before = pages()
    space.trim(1_001)
    assert pages() < before / 2
    receipt_bytes = [len(row[0]) for row in connection.execute("SELECT entry FROM log")]
    assert max(receipt_bytes) < 200
    last = connection.execute("SELECT max(position) FROM log").fetchone()[0]
    assert last == position(1, 1_000)
