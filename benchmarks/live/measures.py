"""What is measured of a live server. Each function drives one server and gives its figures."""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.harness.percentiles import percentile
from benchmarks.live.dialects import DIALECTS, Dialect
from benchmarks.live.latency import Latencies, Pacer
from benchmarks.live.load import Client, Load, connected, prepare
from benchmarks.live.processes import ServerProcess, running

STEADY_S = 0.5
STEADY_AT_MOST_S = 5.0
WARM_CLIENTS = 50


def throughput(params: Mapping[str, Any]) -> dict[str, float]:
    """Clients send as fast as they are answered."""
    dialect = DIALECTS[params["dialect"]]()
    many, spaces, ops = params["clients"], params["spaces"], params["ops_per_frame"]
    frames = max(params["most_ops"] // (many * ops), 1)
    with (
        _server(params) as server,
        connected(dialect, server.port, many, spaces) as clients,
    ):
        prepare(dialect, clients, frames, ops)
        load = Load(dialect, clients, ops, params["window"])
        sent = load.run(params["warm_s"], params["seconds"], server.cpu_s)
        memory_bytes = server.memory_bytes()
        _check(dialect, clients)
    return {
        "ops_per_s": sent.ops / sent.took_s,
        "server_cpu_us_per_op": sent.server_cpu_s * 1e6 / sent.ops,
        "server_cpu_us_per_delivery": sent.server_cpu_s * 1e6 / sent.deliveries,
        "server_cores": sent.server_cpu_s / sent.took_s,
        "generator_cores": sent.generator_cpu_s / sent.took_s,
        "bytes_per_delivery": sent.received_bytes / sent.deliveries,
        "server_memory_bytes": memory_bytes,
    }


def latency(params: Mapping[str, Any]) -> dict[str, float]:
    """One op after the other at a steady pace, from a client each time, to all others."""
    dialect = DIALECTS[params["dialect"]]()
    many, rate = params["clients"], params["ops_per_s"]
    warm, timed = round(rate * params["warm_s"]), round(rate * params["seconds"])
    with _server(params) as server, connected(dialect, server.port, many, 1) as clients:
        prepare(dialect, clients, -(-(warm + timed) // many), 1)
        found: Latencies = Pacer(clients, rate).run(warm + timed, warm, server.cpu_s)
        _check(dialect, clients)
    return {
        "p99_ms": found.at(0.99),
        "p50_ms": found.at(0.50),
        "max_ms": found.at(1.0),
        "late_p99_ms": percentile(found.late_ms, 0.99),
        "server_cpu_us_per_op": found.server_cpu_s * 1e6 / timed,
        "generator_cores": found.generator_cpu_s / found.took_s,
        "deliveries": len(found.sorted_ms),
    }


def idle(params: Mapping[str, Any]) -> dict[str, float]:
    """What the server grows by with clients that are connected and say nothing."""
    dialect = DIALECTS[params["dialect"]]()
    many, spaces = params["clients"], params["spaces"]
    with (
        _server(params) as server,
        connected(dialect, server.port, WARM_CLIENTS, spaces),
    ):
        before_bytes = _steady_memory(server)
        with connected(dialect, server.port, many, spaces, first=WARM_CLIENTS):
            after_bytes = _steady_memory(server)
    return {
        "bytes_per_connection": (after_bytes - before_bytes) / many,
        "server_memory_bytes": after_bytes,
    }


@contextmanager
def _server(params: Mapping[str, Any]) -> Iterator[ServerProcess]:
    """A server of ours is named as a module, one of a peer by the command that starts it."""
    module = params.get("server_module")
    command = [sys.executable, "-m", module] if module else params["server_command"]
    with tempfile.TemporaryDirectory() as folder, running(command, Path(folder)) as server:
        yield server


def _check(dialect: Dialect, clients: list[Client]) -> None:
    """Ask for the log of every space, now that the clock has stopped."""
    sent: dict[str, list[Client]] = {}
    for client in clients:
        sent.setdefault(client.space, []).append(client)
    for space, several in sent.items():
        asking = several[0].socket
        asking.raw.settimeout(60.0)
        dialect.check(asking, space, [(client.number, client.sent) for client in several])


def _steady_memory(server: ServerProcess) -> int:
    """Once it has stayed the same for a while."""
    last, since_s = server.memory_bytes(), time.monotonic()
    until_s = since_s + STEADY_AT_MOST_S
    while time.monotonic() < min(since_s + STEADY_S, until_s):
        time.sleep(0.05)
        now = server.memory_bytes()
        if now != last:
            last, since_s = now, time.monotonic()
    return last
