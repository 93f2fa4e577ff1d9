"""The scenarios of this group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.harness.scenario import Case, Chart, Contender, Figure, Mark, Scenario

OURS, BARE, HOCUSPOCUS = "crdtsync", "bare loop", "hocuspocus + SQLite"
YJS, PYCRDT = "@y/websocket-server", "pycrdt-websocket + SQLite"

THROUGHPUT = (
    Figure(name="ops_per_s", label="ops/s", better="higher"),
    Figure(name="server_cpu_us_per_op", label="CPU µs/op", better="lower", digits=1),
    Figure(name="server_cpu_us_per_delivery", label="CPU µs/delivery", better="lower", digits=2),
    Figure(name="server_cores", label="server cores", better="lower", digits=2),
    Figure(name="generator_cores", label="generator cores", better="lower", digits=2),
    Figure(name="bytes_per_delivery", label="bytes/delivery", better="lower"),
    Figure(name="server_memory_bytes", label="server bytes", better="lower"),
)
LATENCY = (
    Figure(name="p99_ms", label="p99, ms", better="lower", digits=2),
    Figure(name="p50_ms", label="p50, ms", better="lower", digits=2),
    Figure(name="max_ms", label="longest, ms", better="lower", digits=1),
    Figure(name="late_p99_ms", label="generator late, p99, ms", better="lower", digits=2),
    Figure(name="server_cpu_us_per_op", label="CPU µs/op", better="lower"),
    Figure(name="generator_cores", label="generator cores", better="lower", digits=2),
)
IDLE = (
    Figure(name="bytes_per_connection", label="bytes/connection", better="lower"),
    Figure(name="server_memory_bytes", label="server bytes", better="lower"),
)

NOTES = {
    OURS: "durable before it answers; every op gets a receipt; policy, idempotency, sight, "
    "limits, tracing and metrics are on (only the rates are raised)",
    BARE: "the limit: Starlette, pycrdt and one commit (WAL, FULL) before fan-out; no policy, no "
    "receipts, no idempotency",
    HOCUSPOCUS: "acknowledges before anything is on disk: the whole document is written 2 to "
    "10 s after a change; its own defaults, merged broadcasts included",
    YJS: "in memory only, and acknowledges nothing",
    PYCRDT: "hands out before it writes, a task for each write; acknowledges nothing",
}


def contenders(measure: str, *names: str) -> tuple[Contender, ...]:
    """Who takes part, all driven by the same function of ``measures.py``."""
    target = f"benchmarks.live.measures:{measure}"

    def of(name: str, params: Mapping[str, Any], peer: str = "", script: str = "") -> Contender:
        return Contender(
            name=name, target=target, note=NOTES[name], params=params,
            server_peer=peer or None, server_script=script,
        )  # fmt: skip

    ours = "benchmarks.live.crdtsync_server_process"
    everybody = (
        of(OURS, {"dialect": "crdtsync", "server_module": ours}),
        of(BARE, {"dialect": "bare updates", "server_module": "benchmarks.live.bare_loop"}),
        of(HOCUSPOCUS, {"dialect": "hocuspocus"}, "node-sync", "hocuspocus.mjs"),
        of(YJS, {"dialect": "y-sync"}, "node-sync", "y-websocket.mjs"),
        of(PYCRDT, {"dialect": "y-sync"}, "pycrdt-websocket", "serve.py"),
    )
    return tuple(one for one in everybody if one.name in names)


WINDOW_FRAMES = {1: 16, 100: 2}
"""Frames of a client that wait for their answer, by the ops in a frame: 200 clients with 200
ops each stay below what a crdtsync server lets wait (50,000)."""


def case(
    clients: int, spaces: int, ops: int, *, one_by_one: bool = False, quick: bool = False
) -> Case:
    """So many clients that send as fast as they are answered; ``one_by_one`` means that each
    waits for the answer to a frame before its next one."""
    where = "one space" if spaces == 1 else f"{spaces} spaces"
    return Case(
        name=f"{clients} clients in {where}" + (", one frame in flight" if one_by_one else ""),
        params={
            "clients": clients,
            "spaces": spaces,
            "ops_per_frame": ops,
            "window": 1 if one_by_one else WINDOW_FRAMES[ops],
            "warm_s": 0.0 if quick else 0.7,
            "seconds": 0.3 if quick else 3.0,
            "most_ops": 5_000 if quick else 150_000 if ops == 1 else 400_000,
        },
        x=None if one_by_one else clients,
    )


FLOW = (
    "all clients send as fast as they are answered; the clock stops when every op is "
    "acknowledged (where that is done) and every client has received every op of its space. "
    "What happens in the first 0.7 s is left out"
)


def at_least(case: str, of: float, against: str, what: str) -> Mark:
    """A mark against another contender."""
    return Mark(what=what, figure="ops_per_s", of=OURS, case=case, against=against, at_least=of)


ONE_OP = Scenario(
    name="live-one-op",
    group="live",
    what=f"Ops a second, one op a frame, up to 16 frames of a client in flight: {FLOW}.",
    figures=THROUGHPUT,
    cases=(
        *(case(clients, 1, 1) for clients in (10, 50, 200)),
        case(50, 1, 1, one_by_one=True),
    ),
    quick=(case(10, 1, 1, quick=True),),
    contenders=contenders("throughput", OURS, BARE, HOCUSPOCUS, YJS, PYCRDT),
    baseline=BARE,
    marks=(
        *(
            at_least(
                f"{clients} clients in one space", 0.6, BARE,
                f"durable ops/s, one op a frame, K = {clients}",
            )
            for clients in (10, 50, 200)
        ),
        at_least(
            "50 clients in one space", 15, PYCRDT, "durable ops/s, one op a frame, K = 50"
        ),
        *(
            at_least(
                f"{clients} clients in one space", 1.0, HOCUSPOCUS,
                f"aim: ops/s, one op a frame, K = {clients}",
            )
            for clients in (10, 200)
        ),
    ),
    chart=Chart(figure="ops_per_s", x_label="clients in one space", log_x=True, log_y=True),
)  # fmt: skip

HUNDRED_OPS = Scenario(
    name="live-100-ops",
    group="live",
    what=f"Ops a second, 100 ops a frame, up to 2 frames of a client in flight: {FLOW}.",
    figures=THROUGHPUT,
    cases=tuple(case(clients, 1, 100) for clients in (10, 50, 200)),
    quick=(case(10, 1, 100, quick=True),),
    contenders=contenders("throughput", OURS, BARE, HOCUSPOCUS, YJS, PYCRDT),
    baseline=BARE,
    marks=(
        Mark(
            what="durable ops/s, 100 ops a frame, K = 50", figure="ops_per_s", of=OURS,
            case="50 clients in one space", at_least=25_000, unit="ops/s",
        ),
    ),
)  # fmt: skip

SPACES = Scenario(
    name="live-spaces",
    group="live",
    what=f"Ops a second, one op a frame, in many small spaces: {FLOW}.",
    figures=THROUGHPUT,
    cases=(case(200, 50, 1),),
    quick=(case(20, 5, 1, quick=True),),
    contenders=contenders("throughput", OURS, BARE, HOCUSPOCUS, YJS, PYCRDT),
    baseline=BARE,
)

PACE = {"ops_per_s": 100}

FAN_OUT = Scenario(
    name="live-latency",
    group="live",
    what="From sending an op on one client until another one has it: 50 clients in one space, "
    "100 ops/s in all at fixed times, over every delivery to another client, timed from when the "
    "op was due. What happens in the first 0.7 s is left out.",
    figures=LATENCY,
    cases=(
        Case(name="100 ops/s", params={**PACE, "clients": 50, "warm_s": 0.7, "seconds": 5.0}),
    ),
    quick=(
        Case(name="100 ops/s", params={**PACE, "clients": 10, "warm_s": 0.1, "seconds": 0.3}),
    ),
    contenders=contenders("latency", OURS, BARE, HOCUSPOCUS, YJS, PYCRDT),
    baseline=HOCUSPOCUS,
    marks=(
        Mark(
            what="visible on another device, 100 ops/s, K = 50, p99", figure="p99_ms", of=OURS,
            case="100 ops/s", against=HOCUSPOCUS, at_most=1.0,
        ),
    ),
)  # fmt: skip

CONNECTIONS = Scenario(
    name="live-idle",
    group="live",
    what="Memory of the server for a client that is connected and says nothing: growth by "
    "1,000 of them in 50 spaces, after 50 others.",
    figures=IDLE,
    cases=(Case(name="1,000 clients", params={"clients": 1_000, "spaces": 50}, rounds=3),),
    quick=(Case(name="50 clients", params={"clients": 50, "spaces": 10}),),
    contenders=contenders("idle", OURS, BARE, HOCUSPOCUS, YJS, PYCRDT),
    baseline=BARE,
    marks=(
        Mark(
            what="an idle connection", figure="bytes_per_connection", of=OURS,
            case="1,000 clients", at_most=40_000, unit="bytes",
        ),
    ),
)  # fmt: skip

SCENARIOS: tuple[Scenario, ...] = (ONE_OP, HUNDRED_OPS, SPACES, FAN_OUT, CONNECTIONS)
