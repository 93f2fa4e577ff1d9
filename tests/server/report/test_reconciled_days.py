"""Real devices and a real server: an honest day is proved whole, and raises no alarm."""

from __future__ import annotations

import shutil
import sqlite3
import uuid
from pathlib import Path

import pytest

from crdtsync import Replica
from crdtsync.policy import Visibility
from crdtsync_server.acceptance.proxy import Proxy
from crdtsync_server.report.measures import Overview
from crdtsync_server.report.overview import Asked, measure_file
from crdtsync_server.report.scope import THOROUGH
from tests.sync.ward import (
    Around,
    ServerLog,
    assert_once,
    copy_file,
    device,
    in_step,
    op_id,
    policy,
    server,
    server_now_us,
    until_status,
)


def account(folder: Path, data: str = "server") -> Overview:
    """What `crdtsync report` finds in a data folder."""
    rules = policy()
    seen = Visibility(rules.collections, frozenset(), frozenset())
    asked = Asked(policy=rules, seen=seen, now_us=server_now_us(), bounds=THOROUGH)
    return measure_file(folder / data / "crdtsync.db", asked)


async def visit(folder: Path, *replicas: Replica) -> None:
    """Every device connects once more, which reports what it saw; then the server stops."""
    async with server(folder) as ward:
        for replica in replicas:
            replica.connect(ward.url)
        await in_step(*replicas)
        for replica in replicas:
            await replica.disconnect()


async def test_a_day_of_edits_conflicts_discards_and_lost_answers_is_proved(tmp_path: Path) -> None:
    async with device(tmp_path, "tablet") as tablet, device(tmp_path, "phone") as phone:
        mine, theirs = tablet.collection("patient"), phone.collection("patient")
        async with server(tmp_path) as ward, Proxy() as proxy:
            proxy.upstream_port = ward.port
            tablet.connect(proxy.url)
            phone.connect(ward.url)
            await mine.update("p1", name="Kim", allergies={"latex"})
            await theirs.update("p1", allergies={"nuts"})
            await in_step(tablet, phone)
            fault = proxy.fault("server", "answers")  # the answer is lost, the op arrived
            await mine.increment("p1", "visits", 1)
            await fault.happened.wait()
            proxy.online = False
            await until_status(tablet, lambda status: status.sending == 0)
            await mine.increment("p1", "visits", 10)
            discarded = op_id()
            await mine.update("p2", name="Nobody", op_id=discarded)
            assert await tablet.discard(discarded)
            edited = op_id()
            await mine.update("p3", name="Chou", op_id=edited)
            await tablet.edit(edited, {"name": "Choi"})
            await theirs.update("p4", name="Park")
            proxy.go_online()
            await in_step(tablet, phone)
            await tablet.disconnect()
            await phone.disconnect()
        await visit(tmp_path, tablet, phone)
    log = ServerLog(tmp_path)
    found = account(tmp_path)
    assert found.reconciliation.findings == ()
    assert found.reconciliation.ops == log.seq
    assert found.failures.repeats == 1
    assert found.measure("failure_rate").numerator


async def test_a_copied_file_and_its_original_raise_no_alarm(tmp_path: Path) -> None:
    written = [op_id() for _ in range(4)]
    async with device(tmp_path, "tablet") as tablet, server(tmp_path) as ward:
        await tablet.collection("patient").increment("p1", "visits", 1, op_id=written[0])
        await tablet.sync_once(ward.url)
        for one in written[1:]:
            await tablet.collection("patient").increment("p1", "visits", 1, op_id=one)
        await tablet.close()
        copy_file(tmp_path / "tablet.db", tmp_path / "copy.db")
    async with (
        device(tmp_path, "tablet") as tablet,
        device(tmp_path, "copy", user="tablet") as copy,
    ):
        for _ in range(2):
            await visit(tmp_path, tablet, copy)
        assert tablet.replica_id != copy.replica_id
    assert_once(tmp_path, written)
    found = account(tmp_path).reconciliation
    assert (found.findings, found.mood, found.devices) == ((), "good", 2)
    assert found.ops >= 2 * 3


async def test_a_restored_server_that_was_offered_everything_again_is_proved_anew(
    tmp_path: Path,
) -> None:
    async with device(tmp_path, "tablet") as tablet:
        patients = tablet.collection("patient")
        await patients.increment("p1", "visits", 1)
        await visit(tmp_path, tablet)
        await visit(tmp_path, tablet)
        shutil.copytree(tmp_path / "server", tmp_path / "backup")
        for _ in range(3):
            await patients.increment("p1", "visits", 1)
        await visit(tmp_path, tablet)
        await visit(tmp_path, tablet)
        assert account(tmp_path).reconciliation.ops == 4
        shutil.rmtree(tmp_path / "server")
        shutil.copytree(tmp_path / "backup", tmp_path / "server")
        assert account(tmp_path).reconciliation.ops == 1
        await visit(tmp_path, tablet)
        await visit(tmp_path, tablet)
    found = account(tmp_path).reconciliation
    assert (found.findings, found.mood, found.ops) == ((), "good", 4)


async def test_a_report_that_was_lost_is_made_again(tmp_path: Path) -> None:
    async with device(tmp_path, "tablet") as tablet:
        await tablet.collection("patient").increment("p1", "visits", 1)
        await visit(tmp_path, tablet)
        await visit(tmp_path, tablet)
        with sqlite3.connect(tmp_path / "server" / "crdtsync.db") as connection:
            assert connection.execute("DELETE FROM acknowledged").rowcount == 1
        connection.close()
        assert account(tmp_path).reconciliation.ops == 0
        await visit(tmp_path, tablet)
    assert account(tmp_path).reconciliation.ops == 1


async def test_a_connection_that_lives_long_reports_without_ending(tmp_path: Path) -> None:
    around = Around()
    tablet = Replica.open(
        tmp_path / "tablet.db",
        space="ward-3",
        policy=policy(),
        user="kim",
        surroundings=around,
    )
    async with tablet:
        async with server(tmp_path) as ward:
            tablet.connect(ward.url)
            await tablet.collection("patient").increment("p1", "visits", 1)
            await in_step(tablet)
            around.clock_off_s += 55
            await tablet.collection("patient").increment("p1", "visits", 1)
            await in_step(tablet)
            around.clock_off_s += 10
            await tablet.collection("patient").increment("p1", "visits", 1)
            await in_step(tablet)
        assert account(tmp_path).reconciliation.ops >= 2


@pytest.mark.parametrize("what", ["loss", "duplicate"])
async def test_a_fault_planted_in_a_copy_of_a_real_database_is_named(
    tmp_path: Path, what: str
) -> None:
    written = [op_id() for _ in range(5)]
    async with device(tmp_path, "tablet") as tablet:
        for one in written:
            await tablet.collection("patient").increment("p1", "visits", 1, op_id=one)
        await visit(tmp_path, tablet)
        await visit(tmp_path, tablet)
    shutil.copytree(tmp_path / "server", tmp_path / "copy")
    key = uuid.UUID(written[2]).bytes
    connection = sqlite3.connect(tmp_path / "copy" / "crdtsync.db")
    with connection:
        place = "(SELECT position FROM receipts WHERE op_id = ?)"
        if what == "loss":
            connection.execute(f"DELETE FROM log WHERE position = {place}", (key,))
            connection.execute("DELETE FROM receipts WHERE op_id = ?", (key,))
        else:
            connection.execute(
                "INSERT INTO log SELECT (SELECT max(position) + 1 FROM log), content_digest, "
                "entry, request_id, replica, attempts, created_us FROM log "
                f"WHERE position = {place}",
                (key,),
            )
    connection.close()
    found = account(tmp_path, "copy")
    named = {op for one in found.reconciliation.findings for op in one.op_ids}
    kinds = {one.kind for one in found.reconciliation.findings}
    assert written[2] in named
    assert kinds == ({"missing", "gap"} if what == "loss" else {"doubled", "chain", "head"})
    assert (found.reconciliation.mood, found.go) == ("bad", False)
    assert account(tmp_path).reconciliation.mood == "good"
