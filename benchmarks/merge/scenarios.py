"""The scenarios of this group: merging as a library, without files and network."""

from __future__ import annotations

from typing import Any

from benchmarks.harness.scenario import Case, Chart, Contender, Figure, Mark, Scenario

GROUP = "merge"
OURS, RAW, RAW_MAP = "crdtsync", "raw pycrdt", "raw pycrdt, one Map"
RAW_KEPT, BY_STATE = "raw pycrdt, kept updates", "crdtsync, by state"

# How long a slow contender works at most (s): its rate is told of what it did by then.
AT_MOST_S = 4.0

MEMORY = Figure(name="peak_memory_bytes", label="peak memory, B", better="lower")
CPU_DOC = Figure(name="cpu_us", label="CPU µs/record", better="lower", digits=1)
CPU_OP = Figure(name="cpu_us", label="CPU µs/op", better="lower", digits=1)
DOCS = Figure(name="docs_per_s", label="records/s", better="higher")
OPS = Figure(name="ops_per_s", label="ops/s", better="higher")


def _bytes(label: str) -> Figure:
    return Figure(name="bytes", label=label, better="lower")


def _case(name: str, task: str, x: float | None = None, **params: Any) -> Case:
    return Case(name=name, params={"task": task, "at_most_s": AT_MOST_S, **params}, x=x)


def _ours(task: str, name: str = OURS, note: str = "", **params: Any) -> Contender:
    return Contender(name=name, target=f"benchmarks.merge.ours:{task}", note=note, params=params)


def _with_doc(task: str) -> Contender:
    return _ours(
        task,
        f"{OURS}, with its Doc",
        "somebody has asked for the pycrdt Doc, which is kept in step from then on. Else it is "
        "made when it is first asked for: until then crdtsync merges in its own index, and writes "
        "the same bytes",
        with_doc=True,
    )


def _raw(task: str, note: str = "") -> Contender:
    return Contender(name=RAW, target=f"benchmarks.merge.raw_fields:{task}", note=note)


def _raw_map(task: str, note: str = "") -> Contender:
    return Contender(name=RAW_MAP, target=f"benchmarks.merge.raw_map:{task}", note=note)


def _python(peer: str, note: str = "") -> Contender:
    return Contender(name=f"{peer} (Python)", target="merge.py", peer=peer, note=note)


def _in_process(note: str) -> Contender:
    return Contender(
        name="automerge (Python, in process)", target="in_process.py", peer="automerge", note=note
    )


def _node(script: str, note: str = "") -> Contender:
    return Contender(name=f"{script} (Node)", target=f"{script}.mjs", peer="node-merge", note=note)


SAME_SHAPE = (
    "a root Map a field, the text [value, time, user, op_id] under the op_id, replaced keys "
    "deleted by whoever knows them; no policy, nothing that arrives is checked, no op is known "
    "again"
)
ONE_MAP = (
    "a key a field; the last writer wins by client id, what lost is gone, and there are no "
    "authors, times and op ids. The peers without a note do the same"
)

CREATE = Scenario(
    name="merge-create",
    group=GROUP,
    what="Records of ten short texts are made and encoded, one after the other.",
    figures=(DOCS, CPU_DOC, _bytes("B/record"), MEMORY),
    cases=(_case("10,000 records of 10 fields", "create", records=10_000, batch=100),),
    quick=(_case("50 records", "create", records=50, batch=50),),
    contenders=(
        _ours("create", note="with the policy, and author, time and op id kept by each field"),
        _raw("create", SAME_SHAPE),
        _raw_map("create", ONE_MAP),
        _python("loro", "encodes snapshots, which are larger and load faster"),
        _python("automerge"),
        _node("yjs"),
        _node("loro"),
        _node("automerge"),
    ),
    baseline=RAW,
)

OVERWRITE = Scenario(
    name="merge-overwrite",
    group=GROUP,
    what="One side overwrites a field of a record, exports the change as bytes, and the other "
    "side applies it; the next field is next.",
    figures=(OPS, CPU_OP, _bytes("B/op"), MEMORY),
    cases=(_case("1,000 records, 20 edits each", "overwrite", records=1_000, batch=50, edits=20),),
    quick=(_case("10 records, 10 edits each", "overwrite", records=10, batch=10, edits=10),),
    contenders=(
        _ours(
            "overwrite",
            note="the policy is asked, the op (value, time, user, op id, what it replaces) goes "
            "over as msgpack, is checked, and is remembered for ever",
        ),
        _with_doc("overwrite"),
        _raw("overwrite", f"{SAME_SHAPE}; exports by the event of the transaction"),
        _raw_map("overwrite", ONE_MAP),
        _python("loro", "exports by the event of local updates"),
        _python("automerge", "takes no single changes: two documents run its sync protocol"),
        _in_process("right.merge(left); no bytes are made"),
        _node("yjs"),
        _node("loro", "exports since a version: its event comes later, in a microtask"),
        _node("automerge", "documents are frozen values, made anew at every change"),
    ),
    baseline=RAW,
    marks=(
        Mark(
            what="overwrite → export → apply, through our layer",
            figure="ops_per_s",
            of=OURS,
            case="1,000 records, 20 edits each",
            against=RAW,
            at_least=0.5,
        ),
    ),
)

TWO_WAY = Scenario(
    name="merge-two-way",
    group=GROUP,
    what="Two replicas of a record made three edits each without seeing the other's, one field "
    "on both sides; each hands the other what it lacks as bytes, and both merge it.",
    figures=(DOCS, CPU_DOC, _bytes("B/record"), MEMORY),
    cases=(_case("10,000 records, 3 edits a side", "two_way", records=10_000, batch=100),),
    quick=(_case("50 records, 3 edits a side", "two_way", records=50, batch=50),),
    contenders=(
        _ours(
            "two_way",
            note="the ops that each made meanwhile, as its outbox has them; each is checked, and "
            "the field that both wrote keeps both values with their authors",
        ),
        _with_doc("two_way"),
        _ours(
            "two_way_by_state",
            BY_STATE,
            "encode(since=…) and merge: documents without a log tell what they hold; every byte "
            "is checked",
        ),
        _raw("two_way", f"{SAME_SHAPE}; exchanges state vectors and what the other lacks"),
        Contender(
            name=RAW_KEPT,
            target="benchmarks.merge.raw_fields:two_way_kept",
            note="the same with the update of every edit kept, as an outbox would",
        ),
        _raw_map("two_way", f"{ONE_MAP}, but for automerge, which keeps both values"),
        _python("loro"),
        _python("automerge", "its sync protocol, which was in step before the edits"),
        _in_process("merges documents; no bytes are made"),
        _node("yjs"),
        _node("loro"),
        _node("automerge", "knows the heads that both had before, and sends the changes since"),
    ),
    baseline=RAW,
    marks=(
        *(
            Mark(
                what=f"two-way merge, through our layer, {how}",
                figure="docs_per_s",
                of=ours,
                case="10,000 records, 3 edits a side",
                against=raw,
                at_least=0.5,
            )
            for how, ours, raw in (
                ("by the ops of an outbox; raw pycrdt by state vectors", OURS, RAW),
                ("by the ops of an outbox; raw pycrdt by kept updates", OURS, RAW_KEPT),
                ("documents without a log; raw pycrdt by state vectors", BY_STATE, RAW),
            )
        ),
    ),
)

WRITERS = Scenario(
    name="merge-writers",
    group=GROUP,
    what="N clients, none of which has seen another, each set one of the ten fields of one "
    "record; what they wrote is merged into one document (B3 of crdt-benchmarks).",
    figures=(
        Figure(name="ms", label="ms", better="lower", digits=2),
        CPU_OP,
        _bytes("B/op"),
        MEMORY,
    ),
    cases=(
        _case("20 clients", "writers", x=20.0, clients=20, records=500),
        _case("200 clients", "writers", x=200.0, clients=200, records=60),
        _case("2,000 clients", "writers", x=2_000.0, clients=2_000, records=10),
    ),
    quick=(_case("20 clients", "writers", clients=20, records=2),),
    contenders=(
        _ours(
            "writers",
            note="ops as msgpack, each decoded and checked, applied in one step; every value "
            "stays with its author",
        ),
        _with_doc("writers"),
        _ours("writers_one_by_one", "crdtsync, one by one", "the same, each op on its own"),
        _raw_map(
            "writers",
            "random client ids, each update applied as it arrives, all in one transaction (faster "
            "than without, and than merge_updates); of each field one value stays",
        ),
        _raw("writers", f"{SAME_SHAPE}; every value stays"),
        _python("loro", "one import_batch of all updates"),
        _in_process("merges documents; no bytes are made"),
        _node("yjs"),
        _node("loro", "one importBatch of all updates"),
        _node("automerge", "one applyChanges of all changes"),
    ),
    baseline=RAW_MAP,
    marks=(
        Mark(
            what="2,000 concurrent writers of one record (ms)",
            figure="ms",
            of=OURS,
            case="2,000 clients",
            against=RAW_MAP,
            at_most=1.0,
        ),
    ),
    chart=Chart(figure="ms", x_label="clients", log_x=True, log_y=True),
)

CONFLICTS = Scenario(
    name="merge-conflicts",
    group=GROUP,
    what="Records lie as bytes, one in a hundred with two values in a field that only a person "
    "may settle; each is read, and its fields in conflict are named.",
    figures=(DOCS, CPU_DOC, MEMORY),
    cases=(
        _case("100,000 records, 1 % in conflict", "conflicts",
              records=100_000, batch=1_000, one_in=100),
    ),
    quick=(
        _case("100 records, 10 % in conflict", "conflicts", records=100, batch=50, one_in=10),
    ),
    contenders=(
        _ours("conflicts", note="opens each document: every byte is checked"),
        _ours(
            "conflicts_at_rest", "crdtsync, at rest",
            "reads each record in the form in which server and replica keep it",
        ),
        _raw("conflicts", f"{SAME_SHAPE}; looks at the one field of which it knows the rule"),
        _node("automerge", "getConflicts of the one field of a loaded document. loro, Yjs and one "
              "Map keep no value that lost, so they have no conflicts to find"),
    ),
    baseline=RAW,
)  # fmt: skip

LOAD = Scenario(
    name="merge-load",
    group=GROUP,
    what="Records are made from their bytes, and all of them are held in memory.",
    figures=(DOCS, CPU_DOC, MEMORY),
    cases=(_case("10,000 records of 10 fields", "load", records=10_000, batch=10_000),),
    quick=(_case("50 records", "load", records=50, batch=50),),
    contenders=(
        _ours("load", note="every byte is checked, and all values can be read; the pycrdt Doc is "
              "made at the first change"),
        _raw("load", SAME_SHAPE),
        _raw_map("load", ONE_MAP),
        _python("loro"),
        _python("automerge"),
        _node("yjs"),
        _node("loro"),
        _node("automerge"),
    ),
    baseline=RAW,
)  # fmt: skip

READ = Scenario(
    name="merge-read",
    group=GROUP,
    what="All ten fields of records in memory are read as values of the language.",
    figures=(DOCS, CPU_DOC, MEMORY),
    cases=(_case("10,000 records of 10 fields", "read", records=10_000, batch=10_000),),
    quick=(_case("50 records", "read", records=50, batch=50),),
    contenders=(
        _ours("read", note="decodes each value by its type and looks for conflicts"),
        _raw("read", f"{SAME_SHAPE}; takes each text apart"),
        _raw_map("read", ONE_MAP),
        _python("loro"),
        _python("automerge"),
        _node("yjs"),
        _node("loro"),
        _node("automerge", "a loaded document is a JavaScript object already; it is copied"),
    ),
    baseline=RAW,
)

SCENARIOS: tuple[Scenario, ...] = (
    CREATE,
    OVERWRITE,
    TWO_WAY,
    WRITERS,
    CONFLICTS,
    LOAD,
    READ,
)
"""The scenarios of this group."""
