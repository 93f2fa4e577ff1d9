"""What fuzzing found, told by hand: one test for each defect."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from crdtsync.documents.document import RecordDocument
from crdtsync.documents.errors import InvalidOp
from crdtsync.documents.ops import EntryId, FieldWrite
from crdtsync.documents.state import FOLD_PREFIX, Entry, LogEntry, StoredRecord, Stub
from crdtsync.protocol.client_actions import Close, Greet
from crdtsync.protocol.client_session import ClientSession
from crdtsync.protocol.errors import ProtocolError
from crdtsync.protocol.messages import (
    Hello,
    Landmark,
    Limits,
    Paging,
    Receipt,
    SnapshotRequest,
    SnapshotRow,
    Welcome,
)
from crdtsync.protocol.plausible import check_entries, check_receipts, check_rows
from tests.cli.command_line import new_device
from tests.documents.making import PATIENT, op_id
from tests.replica.scripted_server import URL, Ledger, ScriptedServer, serving
from tests.replica.wards import POLICY, foreign_op, new_id, replica

NOW_US = 1_700_000_000_000_000
LOGGED = LogEntry(
    1, b"d" * 16, op_id(1), "kim", "patient", "p1", 5, 6, 7, {"r/name": ('"Kim"',)}, (), {}, 0
)


# ── a receipt for a place in no log took an op out of the queue for good ────


@pytest.mark.parametrize("seq", [0, -1, 2**53, 2**63, 2**64 - 1])
def test_a_receipt_for_a_place_in_no_log_is_refused(seq: int) -> None:
    check_receipts([Receipt(op_id(1), 1, NOW_US, {})])
    with pytest.raises(ProtocolError, match="in no log"):
        check_receipts([Receipt(op_id(1), seq, NOW_US, {})])
    with pytest.raises(ProtocolError, match="times"):
        check_receipts([Receipt(op_id(1), 1, 2**63, {})])


# ── names that no later write could use ─────────────────────────────────────


def row(root: str, entry: Entry, record: str = "p1") -> SnapshotRow:
    return SnapshotRow("patient", record, StoredRecord.of(1, NOW_US, "kim", {root: (entry,)}))


@pytest.mark.parametrize(
    "changes",
    [
        {"op_id": "x"},
        {"op_id": op_id(1).upper()},
        {"record": ""},
        {"record": "a\nb"},
        {"collection": ""},
        {"writes": {"s/tags": ('"a"',) * 1_001}},
    ],
)
def test_an_entry_whose_names_no_server_takes_again_is_refused(
    changes: dict[str, object],
) -> None:
    check_entries([LOGGED, Stub(2, b""), Stub(3, b"", op_id(2))])
    with pytest.raises(ProtocolError):
        check_entries([msgspec.structs.replace(LOGGED, **changes)])


def test_a_snapshot_whose_names_no_server_takes_again_is_refused() -> None:
    good = Entry(op_id(1), 0, "1", 5, "kim", 7, 1)
    folded = msgspec.structs.replace(good, op_id=f"{FOLD_PREFIX}7", user="")
    check_rows([row("r/age", good), row("c/visits", folded)])
    for bad in (row("r/age", folded), row("r/age", good, record="")):
        with pytest.raises(ProtocolError):
            check_rows([bad])
    with pytest.raises(ProtocolError, match="does not name an entry"):
        check_rows([row("r/age", msgspec.structs.replace(good, n=1_000))])


# ── a last common seq that the hello had not named ──────────────────────────


@pytest.mark.parametrize(("said", "taken"), [(41, 20), (20, 20), (19, 8), (3, 0), (0, 0), (-5, 0)])
def test_the_last_common_seq_is_one_that_the_hello_named(said: int, taken: int) -> None:
    hello = Hello(
        1, "w", "kim", None, op_id(1), op_id(2), (), "test", 1, "h", Landmark(20, b"d"),
        (Landmark(20, b"d"), Landmark(8, b"d")), NOW_US,
    )  # fmt: skip
    session = ClientSession(hello, NOW_US)
    welcome = Welcome(
        1, "kim", (), Landmark(41, b"d"), NOW_US, 1, "h", None, Limits(), Paging(41, 42, 0), said
    )
    session.received(welcome, NOW_US)
    actions: list[object] = []
    while (action := session.take()) is not None:
        actions.append(action)
    assert not any(isinstance(action, Close) for action in actions)
    (greet,) = (action for action in actions if isinstance(action, Greet))
    assert greet.welcome.diverged == taken


# ── a record whose set was emptied, after the server was restored to nothing ─


async def test_a_record_without_values_does_not_trip_readers_after_a_reset() -> None:
    server, ledger = ScriptedServer(), Ledger(POLICY)
    added = foreign_op("p1", {"s/tags": '"a"'})
    ledger.accept(added)
    removal = FieldWrite((), (EntryId(added.op_id, 0),))
    ledger.accept(msgspec.structs.replace(added, op_id=new_id(), writes={"s/tags": removal}))
    async with replica(dial=server.dial) as tablet:
        patients = tablet.collection("patient")
        async with serving(server, ledger):
            tablet.connect(URL)
            await tablet.synced(timeout=30)
        assert [record.id for record in patients.values()] == ["p1"]
        link = await server.connection()
        hello = await link.next(Hello)
        restored = Ledger(POLICY)
        link.say(restored.welcome(hello, diverged=0, paging=Paging(0, 1, 0)))
        await link.next(SnapshotRequest)
        for record in patients.values():
            assert record.to_json()


# ── an entry that made its whole document unreadable ────────────────────────


@pytest.mark.parametrize(
    "changes",
    [
        {"writes": {"r": ('"x"',)}},
        {"writes": {"": ('"x"',)}},
        {"writes": {"m/": ('"x"',)}},
        {"writes": {"R/name": ('"x"',)}},
        {"writes": {"r/a\nb": ('"x"',)}},
        {"writes": {"r/name": ('"x"', '"y"')}},
        {"op_id": "no uuid"},
        {"user": "a\x00b"},
    ],
)
def test_an_entry_that_could_not_be_read_back_is_refused(changes: dict[str, object]) -> None:
    document = RecordDocument(PATIENT, "p1")
    with pytest.raises(InvalidOp):
        document.apply_entry(msgspec.structs.replace(LOGGED, **changes))
    assert document.encode() == b""
    assert document.apply_entry(LOGGED)
    assert RecordDocument.open(document.encode(), PATIENT, "p1")["name"] == "Kim"


# ── a file in another encoding than was named ended in a traceback ──────────


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_file_that_is_not_in_the_named_encoding_says_so(tmp_path: Path, lang: str) -> None:
    device = new_device(tmp_path)
    for name in ("in.csv", "in.jsonl"):
        file = tmp_path / name
        file.write_bytes(b"id,name\n1,a\n")
        done = device.run("import", file, "-c", "patient", "--encoding", "utf-16", "--lang", lang)
        assert done.exit_code == 2
        assert "utf-16" in done.stderr
        assert "--encoding" in done.stderr
    assert device.count() == 0
