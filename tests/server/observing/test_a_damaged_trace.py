"""A trace decides nothing: where its pages are damaged, ops are saved without it."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from crdtsync.protocol.messages import CursorReport, EarlierAttempt, Receipt, Transient
from crdtsync_server.service import RunningServer
from crdtsync_server.storage.store import FILE_NAME
from tests.server.access.asking import ask
from tests.server.observing.traced import again, greeting, observed
from tests.server.operating.pages_of_tables import leaves, settle, spoil
from tests.server.serving import device, new_id, push_of, rows_of, write

TABLES = ("requests", "attempts", "client_attempts", "connections", "groups", "cursor_reports")
INDEXES = ("client_attempts_by_push", "requests_by_time", "groups_by_time")


async def with_damage(folder: Path, *names: str) -> None:
    """A server's data with some of everything, and then nonsense in tables or indexes."""
    async with observed(folder) as server, device(server, **greeting()) as wire:
        for _ in range(3):
            await wire.accept(write({"c/visits": "1"}))
        await wire.push(write({"r/name": "7"}))
        await wire.send(CursorReport(1))
        await wire.accept(write({"c/visits": "1"}))
    path = folder / FILE_NAME
    settle(path)
    for number in {number for name in names for number, _ in leaves(path, name)}:
        spoil(path, number)


async def scraped(server: RunningServer) -> str:
    return (await ask(server, "/metrics")).body.decode()


@pytest.mark.parametrize("name", [*TABLES, *INDEXES])
async def test_ops_are_saved_though_a_page_of_the_trace_is_damaged(
    tmp_path: Path, name: str
) -> None:
    await with_damage(tmp_path, name)
    async with observed(tmp_path) as server, device(server, **greeting()) as wire:
        op, earlier = write({"c/visits": "1"}), (EarlierAttempt(new_id(), 1, "cut"),)
        (answer,) = await wire.push_frame(again(op, attempts=2, earlier=earlier))
        assert isinstance(answer, Receipt)
        await wire.push(write({"r/name": "7"}))
        await wire.send(CursorReport(5))
        await wire.accept(write({"c/visits": "1"}))
        assert "crdtsync_trace_writable 0.0" in await scraped(server)
    assert len(rows_of(tmp_path, "SELECT * FROM log")) == 6


async def test_the_damage_is_said_once_with_its_cure_and_where_machines_look(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await with_damage(tmp_path, "requests_by_time")
    caplog.set_level(logging.ERROR, "crdtsync.server")
    async with observed(tmp_path) as server, device(server, **greeting()) as wire:
        assert "crdtsync_trace_writable 1.0" in await scraped(server)
        for _ in range(3):
            await wire.accept(write({"c/visits": "1"}))
        page = await scraped(server)
        assert "crdtsync_trace_writable 0.0" in page
        assert "crdtsync_store_writable 1.0" in page
        assert 'crdtsync_operations_total{reason="",result="accepted"} 3.0' in page
        ready = await ask(server, "/readyz")
        assert (ready.status, b"crdtsync verify" in ready.body) == (200, True)
    said = [record for record in caplog.records if "damaged pages" in record.getMessage()]
    assert [record.levelname for record in said] == ["ERROR"]
    assert "crdtsync verify" in said[0].getMessage()
    assert str(tmp_path / FILE_NAME) in said[0].getMessage()


async def test_a_server_starts_though_the_connections_of_its_trace_are_damaged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await with_damage(tmp_path, "connections", "connections_open")
    async with observed(tmp_path) as server, device(server, **greeting()) as wire:
        assert "crdtsync_trace_writable 0.0" in await scraped(server)
        await wire.accept(write({"c/visits": "1"}))
    assert "nothing more is recorded" in caplog.text


async def test_damage_outside_the_trace_is_still_a_fault_and_the_trace_goes_on(
    tmp_path: Path,
) -> None:
    await with_damage(tmp_path, "receipts")
    async with observed(tmp_path) as server, device(server, **greeting()) as wire:
        (answer,) = await wire.push(write({"c/visits": "1"}))
        assert isinstance(answer, Transient)
        assert answer.reason == "disk_fault"
        assert "crdtsync_trace_writable 1.0" in await scraped(server)


async def test_several_works_of_one_group_are_saved_together_without_the_trace(
    tmp_path: Path,
) -> None:
    await with_damage(tmp_path, "requests", "attempts")
    async with observed(tmp_path) as server, device(server, **greeting()) as wire:
        ops = [write({"c/visits": "1"}) for _ in range(20)]
        for op in ops:
            await wire.send(push_of(op))
        answers = [await wire.receive() for _ in ops]
    assert len(answers) == 20
    assert len(rows_of(tmp_path, "SELECT * FROM log")) == 24
