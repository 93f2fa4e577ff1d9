"""Runs of the simulator with a planted worker, and as a process."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from crdtsync_server.simulation import running
from tests.cli.command_line import Done, crdtsync

WORKER_FILE = Path(__file__).with_name("planted_worker.py")


def planted(trouble: str) -> Sequence[str]:
    """The command line of a worker with this trouble."""
    return (sys.executable, "-P", str(WORKER_FILE), trouble)


def simulate(*args: object) -> Done:
    """``crdtsync simulate`` inside of this process."""
    return crdtsync("simulate", *args)


def plant(monkeypatch: pytest.MonkeyPatch, trouble: str) -> None:
    """The command uses such a worker from now on."""
    monkeypatch.setattr(running, "WORKER", planted(trouble))
