"""Groups as the ledger decides them, without a connection."""

from __future__ import annotations

import sqlite3
import tracemalloc
from collections.abc import Iterator, Sequence

import pytest

from crdtsync.protocol.admission import Admission
from crdtsync.protocol.messages import Hello, Push, Receipt
from crdtsync_server.storage import cache
from crdtsync_server.storage.ledger import Ledger
from crdtsync_server.storage.store import connect_writer
from crdtsync_server.work import AdmitWork, LookUpWork, Notes, Origin, PushWork, Result, Work
from tests.server.serving import POLICY, SPACE, START_US, hello_of, new_id, push_of, write


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    one = connect_writer(":memory:")
    yield one
    one.close()


def ignore(_: object) -> None:
    """A result that the test reads from the group instead."""


def origin_of(hello: Hello) -> Origin:
    return Origin(SPACE, hello.replica_id, hello.user, frozenset({"nurse"}))


def push_work(origin: Origin, push: Push) -> PushWork:
    return PushWork(origin, push, 500, ignore)


def commit(ledger: Ledger, connection: sqlite3.Connection, *works: Work) -> Sequence[Result]:
    return ledger.commit_group(connection, works, Notes(), START_US).results


def accepted(result: Result) -> bool:
    assert result is None or not isinstance(result, Admission)
    return result is not None and isinstance(result[0], Receipt)


def test_ops_behind_an_accepted_hello_of_their_replica_are_dropped_undecided(
    connection: sqlite3.Connection,
) -> None:
    ledger = Ledger(POLICY)
    hello = hello_of()
    old, new = origin_of(hello), origin_of(hello)
    other = origin_of(hello_of("kim"))
    pushes = [push_of(write({"c/visits": "1"})) for _ in range(5)]
    works = (
        push_work(old, pushes[0]),
        AdmitWork(new, hello, ignore),
        push_work(old, pushes[1]),
        push_work(new, pushes[2]),
        push_work(other, pushes[3]),
        LookUpWork(old, (pushes[0].ops[0].op.op_id,), ignore),
        LookUpWork(new, tuple(push.ops[0].op.op_id for push in pushes), ignore),
    )
    results = commit(ledger, connection, *works)
    assert [accepted(results[n]) for n in (0, 2, 3, 4)] == [True, False, True, True]
    assert results[2] is None
    assert results[5] is None
    found = results[6]
    assert found is not None
    assert not isinstance(found, Admission)
    assert [one.op_id for one in found] == [pushes[n].ops[0].op.op_id for n in (0, 2, 3)]
    # What the loop has marked since is dropped in later groups.
    old.fenced = True
    assert commit(ledger, connection, push_work(old, pushes[4])) == [None]


def test_the_newest_of_several_hellos_in_one_group_holds(connection: sqlite3.Connection) -> None:
    ledger = Ledger(POLICY)
    hello = hello_of()
    one, two = origin_of(hello), origin_of(hello)
    push = push_of(write({"c/visits": "1"}))
    works = (
        AdmitWork(one, hello, ignore),
        AdmitWork(two, hello, ignore),
        push_work(one, push),
        push_work(two, push),
    )
    results = commit(ledger, connection, *works)
    assert isinstance(results[0], Admission)
    assert isinstance(results[1], Admission)
    assert results[2] is None
    assert accepted(results[3])


def test_a_refused_hello_fences_nobody(connection: sqlite3.Connection) -> None:
    ledger = Ledger(POLICY)
    hello = hello_of()
    copy = hello_of(replica_id=hello.replica_id)
    old = origin_of(hello)
    works = (
        AdmitWork(old, hello, ignore),
        AdmitWork(origin_of(copy), copy, ignore),
        push_work(old, push_of(write({"c/visits": "1"}))),
    )
    results = commit(ledger, connection, *works)
    assert isinstance(results[1], Admission)
    assert not results[1].known_run
    assert accepted(results[2])


def test_a_hello_sees_the_ops_that_were_decided_before_it(connection: sqlite3.Connection) -> None:
    ledger = Ledger(POLICY)
    hello = hello_of()
    push = push_of(write({"c/visits": "1"}), write({"c/visits": "1"}))
    results = commit(
        ledger,
        connection,
        push_work(origin_of(hello_of()), push),
        AdmitWork(origin_of(hello), hello, ignore),
    )
    assert isinstance(results[1], Admission)
    assert results[1].head.seq == 2


def test_records_that_left_the_cache_are_read_again(
    connection: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Invariant 9: the cache is bounded, and what it holds is what lies on disk."""
    monkeypatch.setattr(cache, "CACHED_RECORDS", 2)
    ledger, fresh = Ledger(POLICY), Ledger(POLICY)
    origin = origin_of(hello_of())
    for n in range(30):
        op = write({"c/visits": "1", "r/name": f'"{n}"'}, record=f"p{n % 5}")
        assert accepted(commit(ledger, connection, push_work(origin, push_of(op)))[0])
    assert len(ledger._cache._records) == 2
    assert 0 < ledger._cache._bytes < 5_000
    op = write({"r/name": '"last"'}, record="p0")
    assert accepted(commit(fresh, connection, push_work(origin, push_of(op)))[0])
    (rows,) = connection.execute("SELECT count(*) FROM records").fetchone()
    assert rows == 5
    (seq,) = connection.execute("SELECT seq FROM spaces").fetchone()
    assert seq == 31


def test_a_log_is_a_chain_of_digests_without_gaps(connection: sqlite3.Connection) -> None:
    from crdtsync_server.storage.keys import chain, seq_of, uuid_bytes
    from crdtsync_server.storage.receipts import ENTRY_DECODER

    ledger = Ledger(POLICY)
    origin = origin_of(hello_of())
    ops = [write({"c/visits": "1"}) for _ in range(9)]
    commit(ledger, connection, *[push_work(origin, push_of(*ops[n : n + 3])) for n in (0, 3, 6)])
    digest = b""
    rows = connection.execute("SELECT position, entry FROM log ORDER BY position").fetchall()
    for n, ((place, data), op) in enumerate(zip(rows, ops, strict=True), start=1):
        entry = ENTRY_DECODER.decode(data)
        digest = chain(digest, uuid_bytes(op.op_id), entry.received_us)
        assert (seq_of(place), entry.seq, entry.op_id) == (n, n, op.op_id)
        assert entry.digest == digest
        assert len(digest) == 16


@pytest.mark.parametrize("count", [0, 1, 3, 4, 5, 33, 256, 257, 700])
def test_look_ups_of_any_size_find_exactly_what_is_there(
    connection: sqlite3.Connection, count: int
) -> None:
    ledger = Ledger(POLICY)
    origin = origin_of(hello_of())
    op = write({"c/visits": "1"})
    commit(ledger, connection, push_work(origin, push_of(op)))
    asked = (*[new_id() for _ in range(count)], op.op_id)
    (found,) = commit(ledger, connection, LookUpWork(origin, asked, ignore))
    assert found is not None
    assert not isinstance(found, Admission)
    assert [one.op_id for one in found] == [op.op_id]


def test_looking_up_receipts_holds_none_of_the_values(connection: sqlite3.Connection) -> None:
    """Invariant 9: one request may name 25,000 ops, each of half a megabyte."""
    ledger, origin = Ledger(POLICY), origin_of(hello_of())
    value = '"' + "x" * 50_000 + '"'
    pushes = [push_of(write({"r/note": value}, record=f"p{n}")) for n in range(100)]
    commit(ledger, connection, *(push_work(origin, push) for push in pushes))
    asked = tuple(push.ops[0].op.op_id for push in pushes)
    tracemalloc.start()
    try:
        (found,) = commit(ledger, connection, LookUpWork(origin, asked, ignore))
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found is not None
    assert not isinstance(found, Admission)
    assert [one.op_id for one in found] == list(asked)
    assert peak_bytes < 20 * len(value)
