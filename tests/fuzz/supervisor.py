"""The parent: starts children, watches the clock of each frame, gathers what they say."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.fuzz.notebook import Notebook
from tests.fuzz.targets import target_named

ROOT = Path(__file__).parents[2]
LOOK_EVERY_S = 0.25
START_LIMIT_S = 60.0
"""For a child to import everything on a busy machine."""


@dataclass(frozen=True)
class Failure:
    """Something was found: how to see it again, and what it was."""

    target: str
    seed: str
    frame: int
    what: str
    data: bytes

    def reproduction(self) -> str:
        """The line that replays it."""
        return f"python -m tests.fuzz --target {self.target} --replay {self.seed}:{self.frame}"


@dataclass
class Tally:
    """What was fed so far, by target."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    peak_bytes: Counter[str] = field(default_factory=Counter)
    seconds: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)

    def of(self, target: str) -> Counter[str]:
        """The counts of one target."""
        return self.counts.setdefault(target, Counter())

    @property
    def frames(self) -> int:
        """Of all targets together."""
        return sum(counts["frames"] for counts in self.counts.values())


@dataclass(frozen=True)
class Job:
    """Some episodes of a target for one child."""

    target: str
    seed: str
    first_episode: int
    frames: int
    last: int | None = None
    plant: str | None = None
    frame_limit_s: float | None = None
    """In place of the target's own."""


class Child:
    """A process of its own; ``poll`` says whether it goes on."""

    def __init__(self, job: Job, folder: Path, tally: Tally, woken: threading.Event) -> None:
        self.job = job
        self.ended = False
        self._woken = woken
        self._failed = False
        self._tally = tally
        self._target = target_named(job.target)
        notebook = folder / f"{job.target}-{job.first_episode}-{job.plant}"
        self._notebook = Notebook(notebook)
        self._started_s = self._spoke_s = time.monotonic()
        self._lines: queue.Queue[str] = queue.Queue()
        command = [sys.executable, "-W", "error", "-m", "tests.fuzz.worker", job.target, job.seed]
        command += [str(job.first_episode), str(job.frames), str(notebook)]
        command += ["--last", str(job.last)] if job.last is not None else []
        command += ["--plant", job.plant] if job.plant is not None else []
        # Sets and dicts by hash in the same order in each child: a seed replays.
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._errors: list[str] = []
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
            self._woken.set()
        self._woken.set()

    def _listen(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._errors = [*self._errors[-40:], line]

    def poll(self) -> bool:
        """Take in what was said, and end a child that hangs. False once it has ended."""
        code = self._process.poll()
        self._take_lines()
        if code is not None:
            self._reader.join()
            self._listener.join()
            self._take_lines()
            if code not in (0, 130) and not self._failed:
                errors = "".join(self._errors)[-3_000:]
                self._fail(f"the child ended with {_ending(code)}\n{errors}")
            self._end()
            return False
        number, age_s, _ = self._notebook.read()
        limit_s = self.job.frame_limit_s or self._target.frame_limit_s
        limit_s = limit_s if number else START_LIMIT_S
        if number == 0:
            age_s = time.monotonic() - self._started_s
        if age_s > limit_s:
            self._fail(f"a frame took longer than {limit_s:.0f} s")
            self.kill()
            return False
        return True

    def _take_lines(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._take(json.loads(self._lines.get_nowait()))

    def _take(self, said: dict[str, Any]) -> None:
        name = self.job.target
        self._tally.of(name).update(said["counts"])
        self._tally.peak_bytes[name] = max(self._tally.peak_bytes[name], said["peak_bytes"])
        now_s = time.monotonic()
        self._tally.seconds[name] += now_s - self._spoke_s  # type: ignore[assignment]
        self._spoke_s = now_s
        if said["failure"]:
            self._fail(said["failure"])

    def _fail(self, what: str) -> None:
        number, _, data = self._notebook.read()
        job = self.job
        self._failed = True
        self._tally.failures.append(Failure(job.target, job.seed, number, what, data))

    def kill(self) -> None:
        """End it now."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join()
        self._listener.join()
        self._take_lines()
        self._end()

    def _end(self) -> None:
        self.ended = True
        self._notebook.close()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    with contextlib.suppress(ValueError):
        return f"signal {signal.Signals(-code).name}"
    return f"signal {-code}"


def run(jobs: list[Job], tally: Tally, *, at_once: int = 1, go_on: bool = False) -> Iterator[None]:
    """Run all jobs, ``at_once`` children at a time; yields a few times a second.

    Ends at the first failure unless ``go_on``. Closing the iterator kills what runs.
    """
    waiting = list(jobs)
    running: list[Child] = []
    woken = threading.Event()
    with tempfile.TemporaryDirectory(prefix="crdtsync-fuzz-") as folder:
        try:
            while waiting or running:
                while waiting and len(running) < at_once:
                    running.append(Child(waiting.pop(0), Path(folder), tally, woken))
                woken.wait(LOOK_EVERY_S)
                woken.clear()
                running = [child for child in running if child.poll()]
                if tally.failures and not go_on:
                    return
                yield
        finally:
            for child in running:
                if not child.ended:
                    child.kill()
