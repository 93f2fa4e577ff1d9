"""What a device costs its user: writing, reading, opening, syncing; beside PouchDB."""

from __future__ import annotations

from benchmarks.harness.scenario import Case, Contender, Figure, Mark, Scenario

WRITING, READING = "benchmarks.replica.writing", "benchmarks.replica.reading"
SYNCING, PUSHING = "benchmarks.replica.syncing", "benchmarks.replica.pushing"
PEER = "node-pouch"

OURS, POUCH = "crdtsync", "PouchDB"
COMMIT = "one FULL commit"
AS_SHIPPED = "PouchDB as it ships"
SYNCED = (
    "PouchDB 9 on LevelDB (its adapter for Node). Every batch that it hands to LevelDB is written "
    "with sync, which PouchDB itself does not do: one fdatasync a put, a bulk write, or a batch "
    "of a replication. It keeps no receipts, no times and no outcome per change, and settles "
    "conflicts by taking one revision"
)
REMOTE = (
    "the remote is express-pouchdb, its LevelDB synced in the same way; batches of 1,000 "
    "documents instead of 100, which is 1.5 to 2 times as fast"
)
UNSAFE = "answers before the write is on the disk: a power cut takes it away"

P50 = Figure(name="p50_us", label="p50 µs", better="lower")
P99 = Figure(name="p99_us", label="p99 µs", better="lower")
CPU = Figure(name="cpu_us", label="CPU µs each", better="lower", digits=1)
PER_S = Figure(name="per_s", label="per s", better="higher")
SECONDS = Figure(name="seconds", label="seconds", better="lower", digits=2)
DEVICE_CPU = Figure(name="device_cpu_us", label="device CPU µs each", better="lower", digits=1)
SERVER_CPU = Figure(name="server_cpu_us", label="server CPU µs each", better="lower", digits=1)
MEMORY = Figure(name="peak_memory_bytes", label="peak memory, B", better="lower")


def _ours(target: str, *, note: str = "") -> Contender:
    return Contender(name=OURS, target=target, note=note)


def _pouch(script: str, *, note: str = SYNCED, only: frozenset[str] = frozenset()) -> Contender:
    return Contender(name=POUCH, target=script, peer=PEER, note=note, only=only)


def _as_shipped(script: str) -> Contender:
    return Contender(name=AS_SHIPPED, target=script, peer=PEER, note=UNSAFE)


def _sizes(*sizes: int, what: str = "records", **more: int) -> tuple[Case, ...]:
    return tuple(
        Case(name=f"{size:,} {what}", params={what: size, **more}, x=size) for size in sizes
    )


WRITE = Scenario(
    name="local-write",
    group="replica",
    what="One write after the other, each durable on the device when it returns: a field of a "
    "record among so many, without a network.",
    figures=(P50, P99, PER_S, CPU, MEMORY),
    cases=_sizes(1_000, 100_000, writes=1_000),
    quick=_sizes(200, writes=20),
    contenders=(
        _ours(f"{WRITING}:replica_writes", note="`await collection.update(id, phone=…)`"),
        Contender(
            name=COMMIT, target=f"{WRITING}:bare_commits",
            note="a bare sqlite3 loop: BEGIN IMMEDIATE, INSERT of 400 bytes, COMMIT (WAL, "
            "synchronous=FULL); it reads, checks and knows nothing",
        ),
        _pouch("put.mjs"),
        _as_shipped("put_as_shipped.mjs"),
    ),
    baseline=COMMIT,
    marks=tuple(
        Mark(
            what=f"durable local write among {case.name}, p50",
            figure="p50_us", of=OURS, case=case.name, against=COMMIT, at_most=2,
        )
        for case in _sizes(1_000, 100_000)
    ),
)  # fmt: skip

WRITE_MANY = Scenario(
    name="local-write-100",
    group="replica",
    what="A hundred records a call, durable together when it returns.",
    figures=(PER_S, P50, P99, CPU, MEMORY),
    cases=_sizes(10_000, writes=80, at_once=100),
    quick=_sizes(200, writes=3, at_once=10),
    contenders=(
        _ours(f"{WRITING}:replica_writes_many", note="`await collection.update_many(…)`"),
        Contender(
            name=COMMIT, target=f"{WRITING}:bare_commits_many",
            note="the bare loop with a hundred rows a commit",
        ),
        _pouch("bulk.mjs"),
        _as_shipped("bulk_as_shipped.mjs"),
    ),
    baseline=POUCH,
)  # fmt: skip

READ = Scenario(
    name="read",
    group="replica",
    what="Whole records of ten fields by their ids, all over the replica.",
    figures=(P50, P99, CPU, MEMORY),
    cases=_sizes(100_000, reads=3_000),
    quick=_sizes(200, reads=50),
    contenders=(
        _ours(f"{READING}:read", note="every field as its Python type, conflicts included"),
        _pouch("read.mjs", note="documents as JSON gives them"),
    ),
    baseline=POUCH,
)

QUERY = Scenario(
    name="query",
    group="replica",
    what="The 100 patients of one last name among all, as whole records.",
    figures=(
        Figure(name="p50_ms", label="p50 ms", better="lower", digits=1),
        Figure(name="p99_ms", label="p99 ms", better="lower", digits=1),
        Figure(name="index_s", label="building the index, s", better="lower", digits=1),
        MEMORY,
    ),
    cases=_sizes(100_000, queries=3),
    quick=_sizes(200, queries=2),
    contenders=(
        _ours(f"{READING}:query", note="`await collection.where({…})`; no index has to be made"),
        Contender(
            name="PouchDB, without an index", target="find.mjs", peer=PEER, note="pouchdb-find"
        ),
        Contender(
            name="PouchDB, with an index", target="find_indexed.mjs", peer=PEER,
            note="an index on the field, built before the clock runs; every write pays for it",
        ),
    ),
    baseline="PouchDB, without an index",
)  # fmt: skip

REOPEN = Scenario(
    name="reopen",
    group="replica",
    what="A replica that is there already: from opening its file until a first record was read. "
    "The process has started and imported, and the file is in the system's cache. Memory is the "
    "most that the process held by then.",
    figures=(
        Figure(name="first_read_s", label="seconds", better="lower", digits=3),
        Figure(name="cpu_ms", label="CPU ms", better="lower", digits=1),
        Figure(name="peak_mb", label="peak memory, MB", better="lower"),
    ),
    cases=_sizes(10_000, 100_000),
    quick=_sizes(200),
    contenders=(_ours(f"{READING}:reopen"), _pouch("reopen.mjs")),
    baseline=POUCH,
    marks=(
        Mark(
            what="reopening a replica of 100,000 records, until the first read",
            figure="first_read_s", of=OURS, case="100,000 records", at_most=1, unit="s",
        ),
        Mark(
            what="memory after reopening a replica of 100,000 records",
            figure="peak_mb", of=OURS, case="100,000 records", at_most=150, unit="MB",
        ),
    ),
)  # fmt: skip

SYNC_FIGURES = (PER_S, SECONDS, DEVICE_CPU, SERVER_CPU, MEMORY)

FIRST_SYNC = Scenario(
    name="first-sync",
    group="replica",
    what="An empty device gets every record of a server over loopback, and holds them durably.",
    figures=SYNC_FIGURES,
    cases=_sizes(10_000, 100_000),
    quick=_sizes(200),
    contenders=(_ours(f"{SYNCING}:first_sync"), _pouch("first_sync.mjs", note=REMOTE)),
    baseline=POUCH,
    marks=(
        Mark(
            what="first sync of 100,000 records",
            figure="per_s", of=OURS, case="100,000 records", at_least=20_000, unit="records/s",
        ),
        *(
            Mark(
                what=f"first sync of {case.name}",
                figure="per_s", of=OURS, case=case.name, against=POUCH, at_least=10,
            )
            for case in _sizes(10_000, 100_000)
        ),
    ),
)  # fmt: skip

CATCH_UP = Scenario(
    name="catch-up",
    group="replica",
    what="A device comes back that held everything; 1 % of the records changed meanwhile.",
    figures=SYNC_FIGURES,
    cases=_sizes(10_000, 100_000),
    quick=_sizes(200),
    contenders=(_ours(f"{SYNCING}:catch_up"), _pouch("catch_up.mjs", note=REMOTE)),
    baseline=POUCH,
)

DRAIN = Scenario(
    name="outbox",
    group="replica",
    what="A device that wrote so many records without a network finds an empty server; the clock "
    "ends when everything is durable there and the device knows it.",
    figures=SYNC_FIGURES,
    cases=_sizes(10_000, what="ops"),
    quick=_sizes(200, what="ops"),
    contenders=(_ours(f"{SYNCING}:drain"), _pouch("drain.mjs", note=REMOTE)),
    baseline=POUCH,
)


def _push(name: str, what: str, target: str, script: str, *marks: Mark) -> Scenario:
    return Scenario(
        name=name,
        group="replica",
        what=f"{what} One client sends a hundred a frame, the next frame when the last is "
        "answered; a server answers when they are durable.",
        figures=(PER_S, P50, P99, SERVER_CPU),
        cases=(Case(name=FRAMES, params={"frames": 100, "ops": 100}),),
        quick=(Case(name=FRAMES, params={"frames": 2, "ops": 100}),),
        contenders=(
            _ours(f"{PUSHING}:{target}", note="over a WebSocket, receipts and trace included"),
            _pouch(script, note="POST _bulk_docs to express-pouchdb, its LevelDB synced"),
        ),
        baseline=POUCH,
        marks=marks,
    )


FRAMES = "100 ops a frame"

PUSH_EDITS = _push(
    "push-edits",
    "Edits of one field of 10,000 records at a server. Ours sends the field, PouchDB the "
    "document with the revision that it had.",
    "edits",
    "push_edits.mjs",
    Mark(
        what="durable edits/s of one client, 100 ops a frame",
        figure="per_s", of=OURS, case=FRAMES, against=POUCH, at_least=2,
    ),
)  # fmt: skip

PUSH_NEW = _push(
    "push-new",
    "New records of ten fields at a server.",
    "new_records",
    "push_new.mjs",
    Mark(
        what="durable new records/s of one client, 100 ops a frame",
        figure="per_s", of=OURS, case=FRAMES, against=POUCH, at_least=2,
    ),
)  # fmt: skip

SCENARIOS: tuple[Scenario, ...] = (
    WRITE, WRITE_MANY, READ, QUERY, REOPEN, FIRST_SYNC, CATCH_UP, DRAIN, PUSH_EDITS, PUSH_NEW,
)  # fmt: skip
"""The scenarios of this group."""
