"""``crdtsync import`` in this process: a bad file is an error in words, and nothing is lost.

What the report says was written is what stands in the queue, each line of the file is
told of, and a file that cannot be used writes nothing.
"""

from __future__ import annotations

import json
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from random import Random
from typing import Any

from tests.cli.command_line import Device, Done, new_device
from tests.fuzz.bad_frames import spoil_bytes
from tests.fuzz.bad_ops import VALUES
from tests.fuzz.hostile import TEXTS
from tests.fuzz.notebook import Notebook
from tests.fuzz.target import Found

FIELDS = (
    *("name", "phone", "allergies", "dose", "visits", "tags", "born", "seen", "smoker", "notes"),
    *("extra", "nothing"),
)
CELLS = (
    *("", "Kim", "김", "a;b", '["a","b"]', "1.5", "3", "2024-01-31", "2024-01-31T00:00:00Z", "yes"),
    *('{"conflict":[{"value":1}]}', "=1+1", "'=1", '"', '""', "a\nb", "NaN", "1e400", "9" * 400),
    *("{", "[" * 2_000, "\ufeff", "\x00", "x" * 70_000, "-0", "２", "true", ";;;", "[null]"),
)
OPTIONS = (
    *((), (), (), ("--empty-clears",), ("--only-new",), ("--counters", "add")),
    *(("--counters", "skip"), ("--spreadsheet-safe",), ("--delimiter", ";"), ("--lang", "ko")),
    *(("--encoding", "cp949"), ("--encoding", "utf-16"), ("--id-column", "name")),
    ("--map", "name=phone"),
)
MEMORY_FOLDER = Path("/dev/shm")


class ImportTarget:
    """Files into one replica, which goes on over an episode."""

    name = "import"
    frames_per_episode = 40
    memory_bytes = 250 * 1_048_576
    frame_limit_s = 20.0

    def episode(self, draw: Random, notebook: Notebook) -> None:
        """See ``Target``."""
        parent = MEMORY_FOLDER if MEMORY_FOLDER.is_dir() else None
        with tempfile.TemporaryDirectory(prefix="crdtsync-fuzz-", dir=parent) as folder:
            device = new_device(Path(folder))
            for _ in range(self.frames_per_episode):
                self._import(draw, notebook, device, Path(folder))

    def _import(self, draw: Random, notebook: Notebook, device: Device, folder: Path) -> None:
        form = draw.choice(("csv", "jsonl"))
        data = _csv(draw) if form == "csv" else _jsonl(draw)
        sound = draw.random() < 0.4
        if not sound:
            data = spoil_bytes(draw, data)
        file = folder / f"in.{form}"
        file.write_bytes(data)
        options = draw.choice(OPTIONS)
        notebook.frame(data, spoiled=not sound)
        before = _queued(device.file)
        done = device.run("import", file, "-c", "patient", "--json", *options)
        notebook.counts[f"exit code {done.exit_code}"] += 1
        written = _queued(device.file) - before
        if done.exit_code == 2:
            self._check_nothing(done, written)
        elif done.exit_code in (0, 1):
            self._check_report(done, written, notebook)
        else:
            raise Found(f"exit code {done.exit_code}: {done.stderr[-500:]}")

    def _check_nothing(self, done: Done, written: int) -> None:
        if written or not done.stderr.strip():
            raise Found(f"a file that cannot be used wrote {written} ops: {done.stderr[-500:]!r}")

    def _check_report(self, done: Done, written: int, notebook: Notebook) -> None:
        report: dict[str, Any] = done.json
        bad = report["bad"]
        if (done.exit_code == 1) != bool(bad):
            raise Found(f"exit code {done.exit_code} with the bad lines {bad}")
        if not all(line["line"] >= 1 and line["reason"] for line in bad):
            raise Found(f"a bad line without number or reason: {bad}")
        rows = report["new"] + report["changed"]
        if written < rows:
            raise Found(f"{rows} records are said to be written, {written} ops are in the queue")
        if written and not rows:
            raise Found(f"{written} ops are in the queue, and none is reported: {report}")
        told = rows + report["unchanged"] + report["kept"] + len(bad)
        if told != report["lines"]:
            raise Found(f"{report['lines']} lines were read, {told} are told of: {report}")
        notebook.counts["records written"] += rows
        notebook.counts["bad lines named"] += len(bad)


def _queued(file: Path) -> int:
    """Ops in the queue."""
    with closing(sqlite3.connect(file)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM outbox").fetchone()
    return int(count)


def _csv(draw: Random) -> bytes:
    columns = ["id", *draw.sample(FIELDS, draw.randrange(1, 5))]
    lines = [",".join(columns)]
    for n in range(draw.randrange(1, 12)):
        cells = [f"p{draw.randrange(30)}" if draw.random() < 0.9 else draw.choice(TEXTS)]
        cells += [draw.choice(CELLS) for _ in columns[1:]]
        if draw.random() < 0.05:
            cells.append(str(n))
        lines.append(",".join(_quoted(draw, cell) for cell in cells))
    return "\n".join(lines).encode(errors="replace")


def _quoted(draw: Random, cell: str) -> str:
    if draw.random() < 0.9 and any(sign in cell for sign in ',"\n\r'):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _jsonl(draw: Random) -> bytes:
    lines = []
    for _ in range(draw.randrange(1, 12)):
        row: dict[str, Any] = {"id": draw.choice((f"p{draw.randrange(30)}", draw.randrange(9)))}
        for name in draw.sample(FIELDS, draw.randrange(1, 5)):
            row[name] = draw.choice((*CELLS, 1, 1.5, True, None, [], ["a"], {"a": 1}, 10**30))
        text = json.dumps(row, ensure_ascii=draw.random() < 0.5)
        if draw.random() < 0.15:
            text = text.replace(": ", f": {draw.choice(VALUES)} ", 1)
        lines.append(text)
    return "\n".join(lines).encode(errors="replace")
