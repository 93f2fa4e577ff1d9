"""Starting a contender's process, and what it says at its end."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.harness.disk import disk_folder
from benchmarks.harness.peers import Missing, Peers
from benchmarks.harness.scenario import Case, Contender

ROOT = Path(__file__).parents[2]
TOLD_LINES = 15
"""Of what a contender printed before it failed."""
TOLD_CHARACTERS = 200
FIGURES = '{"figures":'
"""How the line begins that a contender ends with."""


class Failed(Exception):
    """A contender did not end with figures; says what it printed."""


def command(contender: Contender, params: Mapping[str, Any], peers: Peers) -> list[str]:
    """How the contender's process is started."""
    given = {**params, **contender.params}
    if contender.server_peer is not None:
        server = peers.command(contender.server_peer, contender.server_script)
        given["server_command"] = server
    if contender.peer is not None:
        return [*peers.command(contender.peer, contender.target), json.dumps(given)]
    worker = [sys.executable, "-m", "benchmarks.harness.worker"]
    return [*worker, contender.target, json.dumps(given)]


def measure(contender: Contender, case: Case, peers: Peers, timeout_s: float) -> dict[str, float]:
    """The figures of one run, with its peak memory. Raises Failed."""
    try:
        started = command(contender, case.params, peers)
    except (Missing, OSError) as error:
        raise Failed(f"{contender.name} cannot be started: {error}") from error
    with (
        tempfile.TemporaryFile() as said,
        tempfile.TemporaryFile() as complained,
        # What a contender leaves behind when it is ended goes with this folder.
        tempfile.TemporaryDirectory(
            prefix="crdtsync-measured-", dir=disk_folder(), ignore_cleanup_errors=True
        ) as folder,
    ):
        try:
            process = subprocess.Popen(
                started,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=complained,
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": folder},
                # A group of its own: what it starts is ended with it.
                start_new_session=True,
            )
        except OSError as error:
            raise Failed(f"{contender.name} cannot be started: {error}") from error
        late = threading.Event()

        def give_up() -> None:
            late.set()
            end(process)

        timer = threading.Timer(timeout_s, give_up)
        timer.daemon = True
        timer.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            timer.cancel()
            end(process)
        said.seek(0)
        complained.seek(0)
        lines = said.read().decode(errors="replace").splitlines()
        if late.is_set():
            raise Failed(f"{contender.name} took more than {timeout_s:.0f} s")
        printed = next((one for one in reversed(lines) if one.startswith(FIGURES)), None)
        if process.returncode != 0 or printed is None:
            told = [*lines, *complained.read().decode(errors="replace").splitlines()]
            raise Failed(
                f"{contender.name} ended with exit code {process.returncode} and no figures:\n"
                + "\n".join(told[-TOLD_LINES:])
            )
        try:
            figures = figures_of(printed)
        except ValueError as error:
            raise Failed(f"{contender.name} printed no figures, but {error}") from error
    # Linux counts kilobytes, macOS bytes.
    unit = 1 if sys.platform == "darwin" else 1024
    return {"peak_memory_bytes": float(usage.ru_maxrss * unit), **figures}


def end(process: subprocess.Popen[bytes]) -> None:
    """End a contender with everything that it started."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


def figures_of(line: str) -> dict[str, float]:
    """The figures of the line that a contender ends with. Raises ValueError where it is damaged.

    Null and NaN stand for what the contender's system does not say.
    """
    try:
        found = json.loads(line)["figures"]
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"{line[:TOLD_CHARACTERS]!r}") from error
    if not isinstance(found, dict):
        raise ValueError(f"{line[:TOLD_CHARACTERS]!r}")
    figures = {}
    for name, value in found.items():
        if value is None or (isinstance(value, float) and math.isnan(value)):
            continue
        if isinstance(value, str | list | dict) or math.isinf(value):
            raise ValueError(f"{value!r} as {name}"[:TOLD_CHARACTERS])
        figures[name] = float(value)
    return figures
