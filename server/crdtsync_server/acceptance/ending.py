"""The end of every scenario: gather the evidence, account for every change, compare what
everyone reads with the model, and say what was seen."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from crdtsync_server.acceptance.evidence import LogCopy
from crdtsync_server.acceptance.handles import DeviceGone
from crdtsync_server.acceptance.reconciling import (
    Difference,
    Reconciliation,
    candidates_in,
    expected_values,
    reconcile,
    wrong_values,
)
from crdtsync_server.acceptance.stage import NEWCOMER, NotInStep, Stage

LAST_CHANCE_S = 5

TRACEBACK = "Traceback (most recent call last)"
"""What Python writes into a log when something happened that nobody foresaw."""

MAX_TOLD = 5
"""Differences that are told in words; all of them stand in the trace."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that the end of a scenario looks at."""

    log: LogCopy
    shown: dict[str, dict[str, dict[str, Any]]]
    """Per device what it shows."""
    outboxes: dict[str, list[dict[str, Any]]]
    """Per device what waits there."""

    @property
    def waiting(self) -> list[str]:
        """op_ids that wait visibly somewhere."""
        return [item["op_id"] for queue in self.outboxes.values() for item in queue]


async def gather(stage: Stage) -> Evidence:
    """Wait until everyone is in step, a new device included, then look at everything."""
    devices = [device for device in stage.devices.values() if device.running]
    stage.step("gathered")
    await stage.connect(*devices)
    with suppress(NotInStep):
        # Who failed to come into step once is not waited for that long again.
        await stage.in_step(*devices, limit_s=LAST_CHANCE_S if stage.failed else None)
        newcomer = await stage.device(NEWCOMER)
        await newcomer.connect()
        devices.append(newcomer)
        await stage.in_step(*devices)
        if stage.recovery_s is None:
            stage.check("in_step_all_along", True)
        else:
            took = f"{stage.recovery_s:.1f}"
            stage.check("in_step", True, limit=stage.limit_s, seconds=took)
    return Evidence(
        log=await stage.server.log_copy(stage.space, stage.policy),
        shown={device.name: await device.records() for device in devices},
        outboxes={device.name: await device.outbox() for device in devices},
    )


def judge(stage: Stage, evidence: Evidence) -> Reconciliation:
    """Say what the evidence shows, check by check."""
    account = reconcile(stage.journal, evidence.log, evidence.waiting)
    stage.check(
        "all_kept",
        account.holds and account.written > 0,
        n=account.written,
        found=account.acknowledged,
        lost=len(account.lost),
        doubled=len(account.doubled),
        invented=len(account.invented),
        ops=", ".join((*account.lost, *account.doubled, *account.invented)[:MAX_TOLD]),
    )
    flaws = evidence.log.flaws
    stage.check("log_sound", not flaws, n=len(evidence.log.entries), flaws=len(flaws))
    stage.check("none_waiting", not evidence.waiting, waiting=len(evidence.waiting))
    same = alike(evidence)
    stage.check("alike", 0 < same == len(evidence.shown), n=len(evidence.shown), same=same)
    wrong = differences(stage, evidence)
    stage.check(
        "values",
        not wrong,
        wrong=len(wrong),
        examples="; ".join(map(_told, wrong[:MAX_TOLD])),
    )
    if stage.candidates:
        bad = {(one.record, one.field) for one in wrong} & stage.candidates.keys()
        n, fields = sum(map(len, stage.candidates.values())), len(stage.candidates)
        stage.check("candidates", not bad, fields=fields, n=n, right=fields - len(bad))
    if account.lost or account.doubled or account.invented or wrong or evidence.waiting or flaws:
        write_trace(stage, evidence, account, wrong)
    return account


def alike(evidence: Evidence) -> int:
    """How many devices show the same as the first one; none where that one shows nothing."""
    first = next(iter(evidence.shown.values()), None)
    return sum(shown == first for shown in evidence.shown.values()) if first else 0


def differences(stage: Stage, evidence: Evidence) -> list[Difference]:
    """Where a device shows something else than the model."""
    expected = expected_values(stage.journal, evidence.log)
    for (record, name), value in stage.values.items():
        expected.setdefault(record, {})[name] = value
    return [
        one
        for device, shown in evidence.shown.items()
        for one in wrong_values(device, shown, expected, stage.candidates)
    ]


def _told(one: Difference) -> str:
    return f"{one.device} {one.record}.{one.field}: {one.shown!r}, not {one.expected!r}"


def write_trace(
    stage: Stage, evidence: Evidence, account: Reconciliation, wrong: list[Difference]
) -> None:
    """Everything that is known of the changes that do not add up."""
    records = {one.record for one in wrong}
    concerned = {*account.lost, *account.doubled, *account.invented, *evidence.waiting}
    concerned |= {
        note.op_id for note in stage.journal.notes.values() if note.write["record"] in records
    }
    rows: dict[str, list[dict[str, Any]]] = {}
    for entry in evidence.log.entries:
        if entry.op_id in concerned:
            row = {
                "seq": entry.seq,
                "user": entry.user,
                "record": entry.record,
                "time_us": entry.time_us,
                "received_us": entry.received_us,
                "effective_us": entry.effective_us,
                "writes": entry.writes,
                "outcomes": entry.outcomes,
                **evidence.log.deliveries.get(entry.op_id, {}),
            }
            rows.setdefault(entry.op_id, []).append(row)
    queued = {item["op_id"]: item for queue in evidence.outboxes.values() for item in queue}
    ops = [
        {
            "op_id": op_id,
            "why": [
                name
                for name in ("lost", "doubled", "invented", "waiting")
                if op_id in getattr(account, name)
            ],
            "written": asdict(note) if (note := stage.journal.notes.get(op_id)) else None,
            "in_queue": queued.get(op_id),
            "in_log": rows.get(op_id, []),
        }
        for op_id in sorted(concerned)
    ]
    trace = {
        "space": stage.space,
        "log_flaws": list(evidence.log.flaws),
        "wrong_values": [asdict(one) for one in wrong],
        "ops": ops,
        "devices_show": {
            name: {record: shown.get(record) for record in sorted(records)}
            for name, shown in evidence.shown.items()
        },
    }
    text = json.dumps(trace, ensure_ascii=False, indent=2, default=str)
    (stage.folder / "trace.json").write_text(text, encoding="utf-8")


def note_faults(stage: Stage) -> None:
    """A program that met a fault of its own has failed, even where it went on by itself."""
    faults = list(stage.journal.faults)
    for log in sorted(stage.folder.glob("*.log")):
        if TRACEBACK in log.read_text(encoding="utf-8", errors="replace"):
            faults.append(log.name)
    told = "; ".join(faults[:MAX_TOLD])
    stage.check("no_faults", not faults, n=len(faults), faults=told)


async def clean_up(stage: Stage) -> None:
    """On a server of somebody else's: delete the records, by ops. Conflicts are settled
    before, so that none stays open among those that people have to decide."""
    running = [device for device in stage.devices.values() if device.running]
    if not running:
        raise DeviceGone("no device runs that could delete the records")
    device = running[0]
    records = await device.records()
    stage.step("cleaned_up", n=len(records))
    for record, fields in records.items():
        for name, value in fields.items():
            if (candidates := candidates_in(value)) is not None:
                await device.choose(record, name, candidates[0])
    await device.write([{"kind": "delete", "record": record} for record in records])
    await device.connect()
    await device.synced(stage.limit_s)
    left = len(await device.records())
    stage.check("cleaned_up", left == 0, left=left)
