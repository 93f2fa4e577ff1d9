"""/metrics counts what happened, to those who may know; /readyz says whether ops are taken."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from crdtsync.documents.ops import EntryId
from crdtsync.protocol.messages import CursorReport, EarlierAttempt, OutboxSummary
from crdtsync_server.access.settings import AccessSettings
from crdtsync_server.authentication import Credentials, Identity, NotAuthenticated
from crdtsync_server.observing import store_watch
from crdtsync_server.observing.histogram import Histogram
from crdtsync_server.observing.metrics import Metrics
from crdtsync_server.observing.routes import FORWARDED
from crdtsync_server.observing.settings import ObservingSettings
from crdtsync_server.service import RunningServer
from tests.server.access.asking import ask
from tests.server.observing.traced import Clock, again, greeting, observed
from tests.server.serving import START_US, Wire, device, hello_of, new_id, push_of, serving, write


async def scrape(server: RunningServer) -> dict[str, float]:
    """Every sample of /metrics; labels in the order of their names."""
    server.service.store_watch._looked_us = None  # figures are otherwise kept for some seconds
    answer = await ask(server, "/metrics")
    assert answer.status == 200, answer.body
    lines = answer.body.decode().splitlines()
    samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


async def test_ops_are_counted_by_what_became_of_them(tmp_path: Path) -> None:
    op = write({"r/allergies": '["nuts"]'})
    told = (
        EarlierAttempt(new_id(), 1, "cut"),
        EarlierAttempt(new_id(), 2, "held"),
        EarlierAttempt(new_id(), 3, "transient:disk_full"),
        EarlierAttempt(new_id(), 4, "refused:made_up_code"),
    )
    async with observed(tmp_path) as server, device(server, **greeting()) as wire:
        await wire.push_frame(again(op, attempts=6, earlier=told))
        await wire.push_frame(push_of(op))
        bad = write({"r/name": "7"}, record="p2")
        await wire.push(bad, write({"r/phone": '"1"'}, record="p2"), after=[None, bad.op_id])
        other = write({"r/allergies": '["milk"]'})
        await wire.accept(other)
        first = await scrape(server)
        seen = [EntryId(op.op_id, 0), EntryId(other.op_id, 0)]
        await wire.accept(write({"r/allergies": '["milk"]'}, supersedes={"r/allergies": seen}))
        second = await scrape(server)
    count = 'crdtsync_operations_total{reason="%s",result="%s"}'
    assert first[count % ("", "accepted")] == 2
    assert first[count % ("", "duplicate")] == 1
    assert first[count % ("wrong_type", "refused")] == 1
    assert first[count % ("", "held")] == 1
    retries = {k: v for k, v in first.items() if k.startswith("crdtsync_client_retries_total")}
    assert {re.findall('"(.*)"', k)[0]: v for k, v in retries.items()} == {
        "cut": 1,
        "disk_full": 1,
        "other": 3,  # a code that nobody knows, and two attempts of which nothing was told
    }
    assert first['crdtsync_conflicts_opened_total{field="patient.allergies"}'] == 1
    assert first["crdtsync_conflicts_open"] == 1
    assert first["crdtsync_conflict_oldest_open_timestamp_seconds"] > 1e9
    assert second['crdtsync_conflicts_resolved_total{method="chosen"}'] == 1
    assert second["crdtsync_conflicts_open"] == 0
    assert "crdtsync_conflict_oldest_open_timestamp_seconds" not in second
    for stage in ("persist", "broadcast"):
        assert first[f'crdtsync_operation_duration_seconds_count{{stage="{stage}"}}'] == 2
    assert first["crdtsync_update_size_bytes_count"] == 2
    assert first["crdtsync_document_size_bytes_sum"] > 0
    assert first["crdtsync_database_size_bytes"] > 10_000
    assert first["crdtsync_disk_free_bytes"] > 0
    assert first["process_resident_memory_bytes"] > 0


async def test_connections_close_codes_and_the_clock_that_is_furthest_off(tmp_path: Path) -> None:
    clock = Clock(START_US)
    async with observed(tmp_path, now_us=clock) as server:
        async with (
            device(server, **greeting(), client_us=START_US - 90_000_000),
            device(server, "lee", **greeting(), client_us=START_US + 60_000_000),
            await Wire.open(server.url) as newcomer,
        ):
            open_ = await scrape(server)
            await newcomer.send(hello_of(protocol=9))
            assert await newcomer.closed() == 4001
        closed = await scrape(server)
    assert open_["crdtsync_websocket_connections"] == 3
    assert open_["crdtsync_clock_skew_seconds"] == pytest.approx(-90, abs=1)
    assert closed["crdtsync_websocket_connections"] == 0
    assert closed["crdtsync_clock_skew_seconds"] == 0
    assert closed['crdtsync_websocket_closes_total{code="1000"}'] == 2
    assert closed['crdtsync_websocket_closes_total{code="4001"}'] == 1


async def test_the_end_to_end_time_begins_when_the_person_wrote_by_the_right_clock(
    tmp_path: Path,
) -> None:
    clock = Clock(START_US)
    hour_us = 3_600_000_000
    async with observed(tmp_path, now_us=clock) as server:
        async with device(server, **greeting(), client_us=START_US + hour_us) as wire:
            await wire.accept(write({"c/visits": "1"}, time_us=START_US + hour_us - 7_000_000))
        samples = await scrape(server)
    assert samples["crdtsync_end_to_end_seconds_sum"] == pytest.approx(7, abs=0.5)


async def test_the_oldest_pending_op_goes_on_ageing_while_its_device_is_away(
    tmp_path: Path,
) -> None:
    clock = Clock(START_US)
    async with observed(tmp_path, now_us=clock) as server:
        assert (await scrape(server))["crdtsync_client_outbox_oldest_age_seconds"] == 0
        async with device(server, **greeting(), outbox=OutboxSummary(2, 0, 60_000)):
            pass
        clock.now += 600_000_000
        away = await scrape(server)
        assert away["crdtsync_client_outbox_oldest_age_seconds"] == pytest.approx(660, abs=1)
        clock.now += 40 * 86_400_000_000
        gone = await scrape(server)
        assert gone["crdtsync_client_outbox_oldest_age_seconds"] == 0


def test_labels_are_bounded_whatever_peers_send() -> None:
    metrics = Metrics()
    for code in range(3_000, 5_000):
        metrics.count_close(code)
    for number in range(1_000):
        metrics.count_failed(f"made_up_{number}", 1)
    page = metrics.render().decode()
    assert page.count("crdtsync_websocket_closes_total{") < 15
    assert 'crdtsync_operations_total{reason="other",result="failed"} 1000.0' in page


def test_a_histogram_counts_at_or_below_each_bound() -> None:
    histogram = Histogram((1.0, 2.0))
    histogram.observe_all([0.5, 1.0, 1.5])
    histogram.observe(9.0, times=2)
    assert histogram.buckets() == [("1.0", 2.0), ("2.0", 3.0), ("+Inf", 5.0)]
    assert histogram.sum == 21.0


async def test_two_servers_in_one_process_count_for_themselves(tmp_path: Path) -> None:
    async with observed(tmp_path / "a") as one, observed(tmp_path / "b") as other:
        async with device(one, **greeting()) as wire:
            await wire.accept(write({"c/visits": "1"}))
        accepted = 'crdtsync_operations_total{reason="",result="accepted"}'
        assert (await scrape(one))[accepted] == 1
        assert (await scrape(other))[accepted] == 0


class Nobody:
    """Lets nobody in."""

    async def authenticate(self, credentials: Credentials) -> Identity:
        raise NotAuthenticated("nobody")


class TestWhoMayScrape:
    async def test_this_machine_without_a_token(self, tmp_path: Path) -> None:
        async with observed(tmp_path) as server:
            answer = await ask(server, "/metrics")
            assert answer.status == 200
            assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")

    @pytest.mark.parametrize("header", FORWARDED)
    async def test_nobody_through_a_proxy_without_the_token(
        self, tmp_path: Path, header: str
    ) -> None:
        async with observed(tmp_path) as server:
            elsewhere: dict[str, Any] = {header.replace("-", "_"): "203.0.113.9"}
            answer = await ask(server, "/metrics", **elsewhere)
        assert (answer.status, answer.json["code"]) == (403, "metrics_token_needed")

    @pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil", ""])
    async def test_no_page_that_points_its_own_name_at_this_machine(
        self, tmp_path: Path, host: str
    ) -> None:
        access = AccessSettings(metrics_token="s3cret-and-long-enough-for-anyone")
        async with serving(tmp_path, dev=False, authenticator=Nobody(), access=access) as server:
            answer = await ask(server, "/metrics", Host=host)
            assert (answer.status, answer.json["code"]) == (403, "metrics_token_needed")
            assert "localhost" in answer.json["detail"]
            token = f"Bearer {access.metrics_token}"
            assert (await ask(server, "/metrics", Host=host, Authorization=token)).status == 200
            for own in ("localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]", "[::1]:8000"):
                assert (await ask(server, "/metrics", Host=own)).status == 200, own

    async def test_the_token_opens_it_and_another_one_does_not(self, tmp_path: Path) -> None:
        access = AccessSettings(metrics_token="s3cret-and-long-enough-for-anyone")
        elsewhere: dict[str, Any] = {"X_Forwarded_For": "203.0.113.9"}
        async with observed(tmp_path, access=access) as server:
            token = f"Bearer {access.metrics_token}"
            assert (await ask(server, "/metrics", Authorization=token, **elsewhere)).status == 200
            bad = await ask(server, "/metrics", Authorization="Bearer s3cre", **elsewhere)
        assert bad.status == 401
        assert "s3cre" not in bad.body.decode()

    async def test_switched_off_it_says_so(self, tmp_path: Path) -> None:
        off = ObservingSettings(metrics=False, trace=False)
        async with observed(tmp_path, observing=off) as server, device(server, **greeting()) as w:
            await w.accept(write({"c/visits": "1"}))
            answer = await ask(server, "/metrics")
            assert (answer.status, answer.json["code"]) == (404, "metrics_off")
            answer = await ask(server, "/v1/trace?q=kim", Authorization="Bearer kim")
            assert (answer.status, answer.json["code"]) == (404, "trace_off")


class TestReady:
    async def test_a_server_that_works_is_alive_and_ready(self, tmp_path: Path) -> None:
        async with observed(tmp_path) as server:
            assert (await ask(server, "/healthz")).body == b"ok\n"
            assert (await ask(server, "/readyz")).body == b"ready\n"
            server.service.draining = True
            answer = await ask(server, "/readyz")
            assert (answer.status, answer.body) == (503, b"stopping\n")
            server.service.draining = False

    async def test_a_disk_that_takes_nothing_is_said_until_it_does_again(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(store_watch, "PROBE_US", 0)

        async def full(job: Any) -> Any:
            raise sqlite3.OperationalError("database or disk is full")

        async with observed(tmp_path) as server, device(server, **greeting()) as wire:
            with monkeypatch.context() as faulty:
                faulty.setattr(server.service.store, "write", full)
                await wire.push(write({"c/visits": "1"}))
                answer = await ask(server, "/readyz")
                assert answer.status == 503
                assert b"cannot be written" in answer.body
                assert (await scrape(server))["crdtsync_store_writable"] == 0
                assert (await ask(server, "/healthz")).status == 200
            # Nobody writes: the look itself finds out that the disk works again.
            assert (await ask(server, "/readyz")).body == b"ready\n"
            assert (await scrape(server))["crdtsync_store_writable"] == 1

    async def test_a_store_that_cannot_be_read_is_said_and_has_no_old_figures(
        self, tmp_path: Path
    ) -> None:
        async with observed(tmp_path) as server:
            assert "crdtsync_conflicts_open" in await scrape(server)
            reader = server.service.store._reader
            await reader.run(lambda connection: connection.close())
            answer = await ask(server, "/readyz")
            assert answer.status == 503
            assert b"cannot be read" in answer.body
            samples = await scrape(server)
            assert "crdtsync_conflicts_open" not in samples
            assert "crdtsync_websocket_connections" in samples

    async def test_figures_of_the_store_are_read_every_few_seconds_at_most(
        self, tmp_path: Path
    ) -> None:
        clock = Clock(START_US)
        async with observed(tmp_path, now_us=clock) as server:
            await ask(server, "/metrics")
            before = server.service.metrics.figures
            await ask(server, "/metrics")
            assert server.service.metrics.figures is before
            clock.now += store_watch.FIGURES_US
            await ask(server, "/metrics")
            assert server.service.metrics.figures is not before


async def test_a_cursor_report_is_enough_to_see_an_outbox_empty_again(tmp_path: Path) -> None:
    full = OutboxSummary(1, 0, 5_000)
    async with observed(tmp_path) as server, device(server, **greeting(), outbox=full) as wire:
        assert (await scrape(server))["crdtsync_client_outbox_oldest_age_seconds"] >= 5
        await wire.accept(write({"c/visits": "1"}))
        await wire.send(CursorReport(1, OutboxSummary()))
        await wire.accept(write({"c/visits": "1"}))
        assert (await scrape(server))["crdtsync_client_outbox_oldest_age_seconds"] == 0
