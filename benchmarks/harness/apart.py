"""Work in a process of its own, so that neither its memory nor its time count for who asked.

``python -m benchmarks.harness.apart TARGET FOLDER PARAMS`` calls ``package.module:function``
with the folder and the parameters; a coroutine function is run to its end.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path


class FailedApart(Exception):
    """It did not end well; says what it printed last."""


def run_apart(target: str, folder: Path, **params: int) -> None:
    """Wait until it is done. Raises FailedApart."""
    command = [sys.executable, "-m", "benchmarks.harness.apart", target, str(folder)]
    done = subprocess.run([*command, json.dumps(params)], capture_output=True, text=True)
    if done.returncode != 0:
        last = "\n".join(done.stderr.splitlines()[-5:])
        raise FailedApart(f"{target} ended with exit code {done.returncode}:\n{last}")


def main() -> None:
    """Call it."""
    target, folder, params = sys.argv[1:4]
    module, _, name = target.partition(":")
    done = getattr(importlib.import_module(module), name)(Path(folder), **json.loads(params))
    if inspect.iscoroutine(done):
        asyncio.run(done)


if __name__ == "__main__":
    main()
