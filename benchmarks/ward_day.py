"""A day on a ward, on synthetic patients: three devices, no network, then a network.

``python -m benchmarks.ward_day --data ../shared/data/synthea`` imports the patients of
Synthea (patients.csv, allergies.csv) with their allergies on one device, syncs them to
two others, edits all three offline, syncs, restarts everything in between, resolves
what needs a person, and counts: what was written, what settled and how, what is in
conflict, what was lost and what was doubled. The exit code is 1 unless the last two
are 0. What the rules should give is computed apart, in ``benchmarks.ward_model``.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import random
import sqlite3
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.ward_model import LoggedWrite, Model, Write
from benchmarks.ward_report import Report, table
from crdtsync import Conflict, Policy, Replica
from crdtsync.documents.state import LogEntry
from crdtsync.protocol.messages import Limits
from crdtsync.replica.surroundings import System
from crdtsync_server.service import RunningServer

POLICY = """
version = 1

[patient]
label = { en = "Patient", ko = "환자" }
[patient.fields]
name      = { type = "string", merge = "server-latest", label = { en = "Name", ko = "이름" } }
address   = { type = "string", merge = "user-latest", label = { en = "Address", ko = "주소" } }
city      = { type = "string", merge = "server-latest" }
state     = { type = "string", merge = "server-latest" }
zip       = { type = "string", merge = "server-latest" }
gender    = { type = "string", merge = "server-latest", choices = ["F", "M"] }
birthdate = { type = "date", merge = "server-latest" }
deathdate = { type = "date", merge = "server-latest" }
visits    = { type = "integer", merge = "counter" }
allergies = { type = "set<string>", merge = "manual", label = { en = "Allergy", ko = "알레르기" } }
"""

SPACE = "ward-3"
CLOCKS_OFF_S = {"reception": 0.0, "tablet": 95.0, "phone": -40.0}
"""The tablet's clock is beyond what counts for ``user-latest`` (60 s ahead), so the bound shows."""

SMALL_WINDOW = Limits(ops_per_push=50, ops_in_flight=100)
"""Ops on their way at once: few, so that "in the middle of pushing" lasts a while."""

SETTLED = ("name", "address", "city")
TIMEOUT_S = 120

Say = Callable[[str, int, int], None]
"""(step, done, of how many)."""


class Surroundings(System):
    """The machine's clock, wrong by a fixed amount."""

    def __init__(self, off_s: float) -> None:
        super().__init__()
        self._off_us = round(off_s * 1_000_000)

    def now_us(self) -> int:
        """What this device takes for the time."""
        return super().now_us() + self._off_us

    def draw(self) -> float:
        """The shortest retry delays: this is a day in fast motion."""
        return 0.0


class Day:
    """One run. Everything it writes is under ``folder``."""

    def __init__(self, folder: Path, data: Path, patients: int, seed: int, say: Say) -> None:
        self.report = Report()
        self.model = Model()
        self._folder = folder
        self._patients, self._allergies = read_synthea(data, patients)
        self._draw = random.Random(seed)
        self._say = say
        self._policy = Policy.parse(POLICY, source="the ward's policy")
        self._server: RunningServer | None = None
        self._port = 0
        self._devices: dict[str, Replica] = {}

    async def run(self) -> Report:
        """The whole day."""
        started = time.monotonic()
        async with AsyncExitStack() as at_the_end:
            at_the_end.push_async_callback(self._close)
            await self._start_server()
            for name in CLOCKS_OFF_S:
                await self._open(name)
            await self._import()
            await self._sync("the import goes out", restart_in_the_middle=("reception",))
            await self._restart_all()
            await self._edit_offline()
            await self._sync("everyone is back", restart_in_the_middle=("tablet", "phone"))
            self._check_fields()
            await self._restart_all()
            await self._resolve()
            await self._sync("the choices go out", restart_in_the_middle=())
            self._check_fields()
            await self._restart_all()
            await self._sync("after the last restart", restart_in_the_middle=())
            self._check_fields()
            self._count()
        self.report.seconds = time.monotonic() - started
        return self.report

    # ── devices and the server ──────────────────────────────────────────────

    async def _start_server(self) -> None:
        self._server = RunningServer(
            policy=self._policy,
            data=self._folder / "server",
            dev=True,
            port=self._port,
            limits=SMALL_WINDOW,
        )
        await self._server.start()
        self._port = self._server.port

    async def _stop_server(self) -> None:
        if self._server is not None:
            await self._server.stop()
            self._server = None

    async def _open(self, name: str) -> None:
        replica = Replica.open(
            self._folder / f"{name}.db",
            space=SPACE,
            policy=self._policy,
            user=f"{name}-user",
            device=name,
            surroundings=Surroundings(CLOCKS_OFF_S[name]),
        )
        await replica.start()
        self._devices[name] = replica

    async def _restart_device(self, name: str) -> None:
        await self._devices.pop(name).close()
        await self._open(name)
        self.report.resent += sum(item.attempts > 0 for item in self._devices[name].outbox)
        self.report.restarts += 1

    async def _restart_all(self) -> None:
        await self._stop_server()
        for name in list(self._devices):
            await self._restart_device(name)
        await self._start_server()
        self.report.restarts += 1

    async def _close(self) -> None:
        for replica in self._devices.values():
            await replica.close()
        await self._stop_server()

    # ── the day ─────────────────────────────────────────────────────────────

    async def _import(self) -> None:
        self.model.next_phase()
        rows = {one["ID"]: self._fields_of(one) for one in self._patients}
        self.report.patients = len(rows)
        self.report.allergic = sum("allergies" in fields for fields in rows.values())
        reception = self._devices["reception"]
        await reception.collection("patient").update_many(rows)
        for item in reception.outbox:
            self.model.wrote(Write(item.op_id, "reception", item.record_id, rows[item.record_id]))
        self._say("import", len(rows), len(rows))

    def _fields_of(self, row: dict[str, str]) -> dict[str, Any]:
        fields: dict[str, Any] = {
            "name": " ".join(filter(None, (row["PREFIX"], row["FIRST"], row["LAST"]))),
            "address": row["ADDRESS"],
            "city": row["CITY"],
            "state": row["STATE"],
            "zip": row["ZIP"].removesuffix(".0"),
            "gender": row["GENDER"],
            "birthdate": row["BIRTHDATE"],
            "deathdate": row["DEATHDATE"],
        }
        fields = {name: value for name, value in fields.items() if value}
        if row["ID"] in self._allergies:
            fields["allergies"] = frozenset(self._allergies[row["ID"]])
        return fields

    async def _edit_offline(self) -> None:
        """Everyone works without a network; every device is restarted half way."""
        self.model.next_phase()
        for replica in self._devices.values():
            await replica.disconnect()
        edits = self._plan()
        for n, (name, record, fields) in enumerate(edits):
            if n == len(edits) // 2:
                for device in list(self._devices):
                    await self._restart_device(device)
            await self._write(name, record, fields)
            self._say("offline edits", n + 1, len(edits))

    def _plan(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Names and addresses by two devices each, every allergy set by two, visits by all."""
        ids = [row["ID"] for row in self._patients]
        names = list(CLOCKS_OFF_S)
        plan: list[tuple[str, str, dict[str, Any]]] = []
        for kind in SETTLED:
            for record in self._draw.sample(ids, max(len(ids) // 5, 1)):
                for device in self._draw.sample(names, 2):
                    plan.append((device, record, {kind: f"{kind} by {device}"}))
                    if self._draw.random() < 0.3:
                        plan.append((device, record, {kind: f"{kind} by {device}, corrected"}))
        for record in sorted(self._allergies):
            first, second = self._draw.sample(names, 2)
            known = frozenset(self._allergies[record])
            one = known | {f"Allergy to {self._draw.choice(('latex', 'penicillin', 'nuts'))}"}
            # Some do the same, some take one away that was a mistake, most differ.
            other = self._draw.choice([one, known - {min(known)}, known | {"Allergy to bee venom"}])
            plan += [(first, record, {"allergies": one}), (second, record, {"allergies": other})]
        for record in self._draw.sample(ids, max(len(ids) // 10, 1)):
            plan += [(device, record, {"visits": 1}) for device in names]
        self._draw.shuffle(plan)
        return plan

    async def _write(self, name: str, record: str, fields: dict[str, Any]) -> None:
        patients = self._devices[name].collection("patient")
        op_id = str(uuid.uuid4())
        if "visits" in fields:
            await patients.increment(record, "visits", fields["visits"], op_id=op_id)
        else:
            await patients.update(record, fields, op_id=op_id)
        self.model.wrote(Write(op_id, name, record, fields))

    async def _sync(self, step: str, *, restart_in_the_middle: tuple[str, ...]) -> None:
        """Connect everyone; on the way the server and the named devices restart."""
        assert self._server is not None
        waiting = self._waiting()
        for replica in self._devices.values():
            replica.connect(self._server.url)
        if restart_in_the_middle:
            await self._until_waiting(waiting * 3 // 4)
            self.report.cut_at.append(self._waiting())
            await self._stop_server()
            await self._start_server()
            self.report.restarts += 1
            await self._until_waiting(waiting // 2)
            self.report.cut_at.append(self._waiting())
            for name in restart_in_the_middle:
                await self._restart_device(name)
                self._devices[name].connect(self._server.url)
        for _ in range(2):  # in the second round every outbox is empty and the head is final
            for done, replica in enumerate(self._devices.values(), start=1):
                await replica.synced(timeout=TIMEOUT_S)
                self._say(step, done, len(self._devices))

    def _waiting(self) -> int:
        return sum(replica.status.waiting for replica in self._devices.values())

    async def _until_waiting(self, most: int) -> None:
        """Until at most so many ops are left in all outboxes together."""
        async with asyncio.timeout(TIMEOUT_S):
            for name, replica in self._devices.items():
                others = sum(
                    other.status.waiting for one, other in self._devices.items() if one != name
                )
                async with replica.watch_status() as statuses:
                    async for status in statuses:
                        if status.waiting + others <= most or not status.waiting:
                            break

    async def _resolve(self) -> None:
        """One person chooses everywhere: the union of what was seen, the safe reading."""
        self.model.next_phase()
        tablet = self._devices["tablet"]
        found = tablet.conflicts()
        for done, conflict in enumerate(found, start=1):
            known = {item.op_id for item in tablet.outbox}
            choice = conflict.union()
            await conflict.resolve(choice, if_unchanged=True)
            (op_id,) = {item.op_id for item in tablet.outbox} - known
            self.model.wrote(Write(op_id, "tablet", conflict.record_id, {"allergies": choice}))
            self._say("choices", done, len(found))

    # ── checks ──────────────────────────────────────────────────────────────

    def _check_fields(self) -> None:
        """Every field on every device is exactly what the model says."""
        log = read_log(self._folder)
        expected = self.model.expected(log)
        report = self.report
        report.settled.clear()
        conflicts = candidates = agreed = 0
        for name, replica in self._devices.items():
            patients = replica.collection("patient")
            if set(patients) != {record for record, _ in expected}:
                report.mistakes.append(f"{name}: other patients than were written")
            shown = {record: dict(patient) for record, patient in patients.items()}
            conflicts = candidates = agreed = 0
            for (record, which), wanted in expected.items():
                value = shown.get(record, {}).get(which)
                if isinstance(value, Conflict):
                    conflicts += 1
                    candidates += len(value.candidates)
                    held = {(plain(c.value), c.user) for c in value.candidates}
                    if held != {(v, f"{d}-user") for v, d in wanted.candidates}:
                        report.mistakes.append(f"{name}: {record}.{which}: other candidates")
                elif len(wanted.candidates) > 1 or plain(value) != wanted.value:
                    report.mistakes.append(
                        f"{name}: {record}.{which} is {value!r}, not {wanted.value!r}"
                    )
                elif wanted.concurrent and which == "allergies":
                    agreed += 1
                elif wanted.concurrent and name == "tablet":
                    report.settled[self._policy.collection("patient").fields[which].merge] += 1
        views = [
            {one: patient.to_json() for one, patient in replica.collection("patient").items()}
            for replica in self._devices.values()
        ]
        if any(view != views[0] for view in views):
            report.mistakes.append("the devices do not read alike")
        # The most of the day: after the choices there are none.
        report.conflicts = max(report.conflicts, conflicts)
        report.candidates = max(report.candidates, candidates)
        report.agreed = max(report.agreed, agreed)

    def _count(self) -> None:
        """Written = in the log exactly once."""
        log = Counter(entry.op_id for entry in read_log(self._folder))
        written = self.model.op_ids
        self.report.written = len(written)
        self.report.in_log = sum(log.values())
        self.report.lost = len(written - log.keys())
        self.report.doubled = sum(count - 1 for count in log.values())
        if log.keys() - written:
            self.report.mistakes.append("the log holds ops that nobody wrote")
        for name, replica in self._devices.items():
            if replica.outbox or replica.conflicts():
                self.report.mistakes.append(f"{name}: something is left at the end of the day")


def read_synthea(folder: Path, limit: int) -> tuple[list[dict[str, str]], dict[str, set[str]]]:
    """(patients, allergies by patient) of Synthea's CSV files."""
    with (folder / "patients.csv").open(encoding="utf-8", newline="") as file:
        patients = list(csv.DictReader(file))[:limit]
    ids = {row["ID"] for row in patients}
    allergies: dict[str, set[str]] = {}
    with (folder / "allergies.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["PATIENT"] in ids:
                allergies.setdefault(row["PATIENT"], set()).add(row["DESCRIPTION"])
    return patients, allergies


def plain(value: Any) -> Any:
    """A value as it was written: dates as text, nothing as the empty value."""
    return value.isoformat() if hasattr(value, "isoformat") else value


def read_log(folder: Path) -> list[LoggedWrite]:
    """What the server's log says happened when: nothing of what the server decided."""
    return [
        LoggedWrite(entry.op_id, entry.seq, entry.time_us, entry.received_us)
        for entry in (
            msgspec.msgpack.decode(row[0], type=LogEntry)
            for row in _query(folder, "SELECT entry FROM log ORDER BY position")
        )
    ]


def _query(folder: Path, text: str) -> list[Any]:
    path = folder / "server" / "crdtsync.db"
    connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
    try:
        return connection.execute(text).fetchall()
    finally:
        connection.close()


async def ward_day(
    folder: Path,
    data: Path,
    *,
    patients: int = 1_000,
    seed: int = 1,
    say: Say = lambda step, done, total: None,
) -> Report:
    """Run a day in ``folder`` on the patients of ``data``."""
    return await Day(folder, data, patients, seed, say).run()


# ── the script ──────────────────────────────────────────────────────────────


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ward_day", description="A day on a ward with three devices."
    )
    parser.add_argument("--patients", type=int, default=1_000, help="how many of them (1000)")
    parser.add_argument(
        "--data",
        type=Path,
        default=Path("../shared/data/synthea"),
        help="folder with Synthea's patients.csv and allergies.csv",
    )
    parser.add_argument("--seed", type=int, default=1, help="who edits what (1)")
    chosen = parser.parse_args()
    console = Console()
    if not (chosen.data / "patients.csv").is_file():
        console.print(
            f"There is no patients.csv in {chosen.data}. Pass --data with the folder that holds "
            "Synthea's patients.csv and allergies.csv (https://synthea.mitre.org/downloads)."
        )
        return 2
    columns = (
        TextColumn("{task.description:<24}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with tempfile.TemporaryDirectory() as folder, Progress(*columns, console=console) as progress:
        tasks: dict[str, Any] = {}

        def say(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = progress.add_task(step, total=total)
            progress.update(tasks[step], completed=done)

        report = asyncio.run(
            ward_day(
                Path(folder),
                chosen.data,
                patients=chosen.patients,
                seed=chosen.seed,
                say=say,
            )
        )
    console.print(table(report))
    for mistake in report.mistakes[:20]:
        console.print(f"[red]{mistake}[/red]")
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
