"""Ctrl-C while the command is still being loaded."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from crdtsync.cli.failures import INTERRUPTED
from crdtsync_command import INTERRUPTED as INTERRUPTED_EARLY
from tests.cli.command_line import environment

ROOT = Path(__file__).parents[2]

# What the installed script does, in a process that gets a Ctrl-C when it imports a module.
SCRIPT = """
import importlib, os, signal, sys

class CtrlC:
    def find_spec(self, name, path=None, target=None):
        if name == wanted:
            os.kill(os.getpid(), signal.SIGINT)

# A test run in the background hands on that SIGINT is ignored; a terminal does not.
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, CtrlC())
wanted, entry = sys.argv[1:]
module, main = entry.split(":")
sys.argv[1:] = ["--version"]
sys.exit(getattr(importlib.import_module(module), main)())
"""


@pytest.mark.parametrize("module", ["pycrdt", "crdtsync.cli.failures", "crdtsync_server.cli"])
def test_ctrl_c_while_modules_are_loaded_is_no_traceback(module: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, module, project["project"]["scripts"]["crdtsync"]],
        capture_output=True,
        env=environment(PYTHONPATH=os.pathsep.join([str(ROOT), str(ROOT / "server")])),
        check=False,
        timeout=60,
        text=True,
    )
    assert "Traceback" not in done.stderr
    assert "Stopped. Nothing is lost" in done.stderr
    assert (done.returncode, done.stdout) == (INTERRUPTED, "")


def test_the_exit_code_is_that_of_every_other_ctrl_c() -> None:
    assert INTERRUPTED_EARLY == INTERRUPTED
