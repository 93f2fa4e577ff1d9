"""How cost and size grow: with records in a store, with edits of a record, with ops in a log."""

from __future__ import annotations

from benchmarks.harness.scenario import Case, Chart, Contender, Figure, Mark, Scenario

RECORDS, EDITS = "benchmarks.growth.records", "benchmarks.growth.edits"
BARE = "benchmarks.growth.bare"
MEMORY, SIZES = "benchmarks.growth.memory", "benchmarks.growth.sizes"

SPREAD, HOT = "edits all over the store", "edits of 500 records"
RECEIPTS, APPENDS = "a row under a random key, alone", "a row at the end, alone"

US = Figure(name="us", label="µs an op", better="lower", digits=1)
CPU = Figure(name="cpu_us", label="CPU µs an op", better="lower", digits=1)


def _records(size: int, name: str, *, ops: int = 10_000, rounds: int | None = None) -> Case:
    params = {"records": size, "ops": ops}
    return Case(name=name, params=params, x=size, rounds=rounds)


SMALLEST, LARGEST = "10,000 records", "1,000,000 records"

BY_RECORDS = Scenario(
    name="growth-records",
    group="growth",
    what="What an op costs a server that holds so many records: groups of 100 ops, each committed "
    "on its own, decided as they are behind a socket (policy, receipts, trace, metrics). Beside "
    "it what SQLite alone takes for one row an op in a table of that size, committed alike: under "
    "the random key that finds an op_id for ever, and under one that grows.",
    figures=(CPU, US),
    cases=(
        _records(10_000, SMALLEST),
        _records(100_000, "100,000 records"),
        _records(1_000_000, LARGEST, rounds=3),
    ),
    quick=(_records(500, "500 records", ops=300),),
    contenders=(
        Contender(
            name=SPREAD, target=f"{RECORDS}:spread",
            note="each of another record, which no edit before it has brought into memory",
        ),
        Contender(name=HOT, target=f"{RECORDS}:hot", note="in turn, as people work"),
        Contender(
            name=RECEIPTS, target=f"{BARE}:receipts_alone",
            note="what the index on op_ids costs by itself: a page of its own for nearly every op",
        ),
        Contender(name=APPENDS, target=f"{BARE}:appends_alone"),
    ),
    baseline=SPREAD,
    marks=(
        *(
            Mark(
                what=f"cost of an op from 10,000 to 1,000,000 records, {who} ({what})",
                figure=figure, of=who, case=LARGEST, at_case=SMALLEST, at_most=1.5,
            )
            for who in (SPREAD, HOT)
            for figure, what in (("cpu_us", "CPU"), ("us", "time"))
        ),
    ),
    chart=Chart(figure="us", x_label="records in the store", log_x=True),
)  # fmt: skip


def _edits(edits: int, *, records: int, groups: int = 20, rounds: int | None = None) -> Case:
    name = f"{edits:,} edit{'s' if edits > 1 else ''} before"
    params = {"edits": edits, "records": records, "groups": groups}
    return Case(name=name, params=params, x=edits, rounds=rounds)


BY_EDITS = Scenario(
    name="growth-edits",
    group="growth",
    what="What an op costs by how often its record was edited before: groups of 100 edits of one "
    "record of ten fields (registers, manual fields, counters, a set), decided and committed.",
    figures=(
        CPU,
        US,
        Figure(name="record_bytes", label="record at rest, B", better="lower"),
    ),
    cases=(
        _edits(1, records=20),
        _edits(1_000, records=20),
        _edits(100_000, records=1, rounds=3),
    ),
    quick=(_edits(100, records=2, groups=2),),
    contenders=(
        Contender(name="crdtsync server", target=f"{EDITS}:on_a_server"),
        Contender(
            name="pycrdt alone", target=f"{EDITS}:in_pycrdt",
            note="a Map in memory and a second one that follows it: no commit, no policy, no "
            "receipts, and nothing is ever compacted",
        ),
    ),
    baseline="pycrdt alone",
    marks=(
        Mark(
            what="cost of an op from 1 to 100,000 edits of its record (CPU)",
            figure="cpu_us", of="crdtsync server", case="100,000 edits before",
            at_case="1 edit before", at_most=1.5,
        ),
    ),
    chart=Chart(figure="record_bytes", x_label="edits of the record", log_x=True, log_y=True),
)  # fmt: skip

COLD, IN_USE = "a record that nobody uses", "a record in use"
COLD_CASES = ("100,000 cold records", "1,000,000 cold records")

BY_MEMORY = Scenario(
    name="growth-memory",
    group="growth",
    what="What a record costs in the memory of a server. Cold: a server that has opened a store "
    "beside one over an empty store, and after a device has paged through all records. In use: "
    "what a server holds of a record of ten fields that was edited lately (up to 50,000 records).",
    figures=(
        Figure(name="record_bytes", label="B a record", better="lower", digits=1),
        Figure(name="paged_bytes", label="B a record, after paging", better="lower", digits=1),
        Figure(name="server_mb", label="the whole server, MB", better="lower"),
    ),
    cases=(
        Case(name=COLD_CASES[0], params={"records": 100_000}, rounds=3),
        Case(name=COLD_CASES[1], params={"records": 1_000_000}, rounds=1),
        Case(name="10,000 records in use", params={"records": 10_000}),
    ),
    quick=(Case(name="500 records", params={"records": 500}),),
    contenders=(
        Contender(name=COLD, target=f"{MEMORY}:cold", only=frozenset({*COLD_CASES, "500 records"})),
        Contender(name=IN_USE, target=f"{MEMORY}:hot", only=frozenset({"10,000 records in use"})),
    ),
    baseline=COLD,
    marks=tuple(
        Mark(
            what=f"memory of {case}, each, once all were paged through",
            figure="paged_bytes", of=COLD, case=case, at_most=500, unit="B",
        )
        for case in COLD_CASES
    ),
)  # fmt: skip


def _at_once(at_once: int, *, records: int = 10_000) -> Case:
    name = f"{at_once} op{'s' if at_once > 1 else ''} a frame"
    return Case(name=name, params={"records": records, "at_once": at_once})


BY_SIZE = Scenario(
    name="growth-bytes",
    group="growth",
    what="What an edit of one field leaves on the disk: 10,000 edits, each of another record of "
    "ten fields. The log's detail and the trace go after 90 days; receipts stay.",
    figures=(
        Figure(name="file_bytes", label="files, B an op", better="lower"),
        Figure(name="log_bytes", label="log", better="lower"),
        Figure(name="receipt_bytes", label="receipts", better="lower"),
        Figure(name="trace_bytes", label="trace", better="lower"),
        Figure(name="record_bytes", label="records", better="lower"),
        Figure(name="waiting_bytes", label="while it waits", better="lower"),
        Figure(name="op_bytes", label="the op itself", better="lower"),
    ),
    cases=(_at_once(100), _at_once(1)),
    quick=(_at_once(100, records=200),),
    contenders=(
        Contender(name="server", target=f"{SIZES}:on_a_server"),
        Contender(
            name="device", target=f"{SIZES}:on_a_device",
            note="once in step, without what became free in its file",
            only=frozenset({"100 ops a frame"}),
        ),
    ),
    baseline="server",
)  # fmt: skip

SCENARIOS: tuple[Scenario, ...] = (BY_RECORDS, BY_EDITS, BY_MEMORY, BY_SIZE)
"""The scenarios of this group."""
