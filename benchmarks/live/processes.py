"""The server of a contender: a child process, and what it takes of the machine."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.harness.measuring import ROOT

START_TIMEOUT_S = 30.0
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
OPEN_FILES = 8_192


class NotStarted(Exception):
    """The server did not say its port."""


@dataclass(frozen=True)
class ServerProcess:
    """A server that listens."""

    port: int
    pid: int

    def cpu_s(self) -> float:
        """Processor time of all its threads until now."""
        stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii")
        # The name of the program, in parentheses, may hold spaces.
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_S

    def memory_bytes(self) -> int:
        """What it holds of the machine's memory now."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        line = next(line for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(line.split()[1]) * 1_024


@contextlib.contextmanager
def running(command: Sequence[str], folder: Path) -> Iterator[ServerProcess]:
    """Start ``command FOLDER`` and wait for its line ``port N``; cut it off at the end.

    Raises NotStarted with what the server complained about.
    """
    allow_many_sockets()
    complaints = folder / "complaints"
    with complaints.open("wb") as complained:
        process = subprocess.Popen(
            [*command, str(folder)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complained,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
    try:
        yield ServerProcess(_port(process, complaints), process.pid)
    finally:
        # Everything was measured and asked by now: a graceful end would only take time.
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


def allow_many_sockets() -> None:
    """A thousand clients need more open files than a shell allows at first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _port(process: subprocess.Popen[bytes], complaints: Path) -> int:
    assert process.stdout is not None
    said = b""
    while b"port " not in said or not said.endswith(b"\n"):
        ready, _, _ = select.select([process.stdout], [], [], START_TIMEOUT_S)
        more = os.read(process.stdout.fileno(), 4_096) if ready else b""
        if not more:
            told = complaints.read_text(encoding="utf-8", errors="replace")
            raise NotStarted(f"the server did not start: {said.decode()}\n{told[-2_000:]}")
        said += more
    return int(said.rpartition(b"port ")[2])
