"""Reports of acknowledged ops: what a server takes, and how a replica makes them."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from pathlib import Path

import msgspec
import pytest

from crdtsync.protocol import close_codes, server_session
from crdtsync.protocol.messages import AcknowledgedDigest, Limits, Welcome
from crdtsync.protocol.server_actions import Close, NoteAcknowledged, State
from crdtsync.protocol.server_session import (
    MAX_ACKNOWLEDGED_OPS,
    MAX_REPORTS_PER_MINUTE,
    MINUTE_US,
)
from crdtsync.replica import sync_jobs
from crdtsync.replica.file import ReplicaFile
from tests.protocol.test_server_session_results import session_in

NOW = 1_700_000_000_000_000


def told(count: int, named: int) -> AcknowledgedDigest:
    return AcknowledgedDigest(0, 9_000, count, b"d" * 16, b"x" * named)


@pytest.mark.parametrize(
    "message", [told(5, 0), told(2, 32), told(MAX_ACKNOWLEDGED_OPS, 16 * MAX_ACKNOWLEDGED_OPS)]
)
def test_op_ids_are_named_all_or_none(message: AcknowledgedDigest) -> None:
    assert session_in(State.LIVE).receive(message, NOW) == [NoteAcknowledged(message)]


@pytest.mark.parametrize(
    "message",
    [
        told(2, 16),
        told(1, 15),
        told(0, 16),
        told(MAX_ACKNOWLEDGED_OPS + 1, 16 * (MAX_ACKNOWLEDGED_OPS + 1)),
    ],
)
def test_others_than_are_counted_are_a_violation(message: AcknowledgedDigest) -> None:
    actions = session_in(State.LIVE).receive(message, NOW)
    assert isinstance(actions[-1], Close)
    assert actions[-1].code == close_codes.PROTOCOL_ERROR


class TestTheirRate:
    """Invariant 9: a device reports once a minute, and a burst after long is taken too."""

    def test_a_burst_is_taken_and_one_report_more_ends_the_connection(self) -> None:
        session, burst = session_in(State.LIVE), told(MAX_ACKNOWLEDGED_OPS, 16_000)
        for n in range(MAX_REPORTS_PER_MINUTE):
            assert session.receive(burst, NOW + n) == [NoteAcknowledged(burst)]
        end = session.receive(burst, NOW + MINUTE_US - 1)[-1]
        assert isinstance(end, Close)
        assert end.code == close_codes.PROTOCOL_ERROR
        assert str(MAX_REPORTS_PER_MINUTE) in end.words

    @pytest.mark.parametrize("later_us", [MINUTE_US, -5 * MINUTE_US], ids=["later", "set back"])
    def test_each_minute_counts_anew_whatever_the_clock_does(self, later_us: int) -> None:
        session = session_in(State.LIVE)
        for at_us in (NOW, NOW + later_us):
            for _ in range(MAX_REPORTS_PER_MINUTE):
                assert session.receive(told(5, 0), at_us) == [NoteAcknowledged(told(5, 0))]
        assert isinstance(session.receive(told(5, 0), NOW + later_us)[-1], Close)

    def test_the_page_of_the_protocol_names_the_limit(self) -> None:
        page = Path(server_session.__file__).with_name("PROTOCOL.md").read_text(encoding="utf-8")
        assert f"most {MAX_REPORTS_PER_MINUTE} reports in a minute" in page


def test_an_older_server_that_says_nothing_of_reports_is_understood() -> None:
    known = msgspec.structs.fields(Welcome)
    assert known[-1].name == "acknowledged"
    assert known[-1].default is None
    assert Limits() == msgspec.msgpack.decode(msgspec.msgpack.encode(Limits()), type=Limits)


class TestRanges:
    """A replica reports what its log brought back, in ranges that follow one another."""

    def file(self, tmp_path: Path) -> ReplicaFile:
        from crdtsync import Replica
        from tests.replica.wards import POLICY

        async def make() -> None:
            async with Replica.open(tmp_path / "r.db", space="ward", policy=POLICY, user="kim"):
                pass

        asyncio.run(make())
        import sqlite3

        return ReplicaFile(sqlite3.connect(tmp_path / "r.db", isolation_level=None), POLICY)

    def accept(self, file: ReplicaFile, seqs: range) -> list[str]:
        op_ids = [str(uuid.uuid4()) for _ in seqs]
        file.many("accept", [(op, seq, b"", 0, NOW) for op, seq in zip(op_ids, seqs, strict=True)])
        file.put("cursor_seq", seqs[-1])
        return op_ids

    def test_many_are_told_in_parts_and_the_rest_next_time(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(sync_jobs, "REPORT_OPS", 2)
        monkeypatch.setattr(sync_jobs, "REPORTS_AT_ONCE", 2)
        file = self.file(tmp_path)
        try:
            op_ids = self.accept(file, range(11, 16))
            file.put("cursor_seq", 20)
            first, second = sync_jobs.acknowledged(file), sync_jobs.acknowledged(file)
            ranges = [(one.from_seq, one.to_seq, one.count) for one in (*first, *second)]
            assert ranges == [(0, 12, 2), (12, 14, 2), (14, 20, 1)]
            assert sync_jobs.acknowledged(file) == []
            named = b"".join(one.op_ids for one in (*first, *second))
            assert named == b"".join(uuid.UUID(op).bytes for op in op_ids)
            single = hashlib.blake2b(op_ids[4].encode(), digest_size=16).digest()
            assert second[0].digest == single
        finally:
            file.connection.close()
