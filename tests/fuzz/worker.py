"""The child: runs the episodes of one target under limits and tells its parent of each.

``python -m tests.fuzz.worker TARGET SEED FIRST_EPISODE FRAMES NOTEBOOK [--last N] [--plant NAME]``.
One JSON object per episode goes to standard output; the last one may tell a failure.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import sys
import traceback
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.notebook import Notebook, Stop
from tests.fuzz.planted import plant
from tests.fuzz.targets import target_named

ADDRESS_SPACE_BYTES = 3 * 1_073_741_824
"""What the kernel gives at most. Resident memory has a bound of its own, per target."""


def _peak_bytes() -> int:
    """The most memory that this process had at once.

    Linux's own count of it, which begins with the program: ``ru_maxrss`` is handed down
    from the process that started it, and a test runner is larger than its children.
    """
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1_024
    return int(status.partition("VmHWM:")[2].split()[0]) * 1_024


def main() -> int:
    """Run and report; 0 if nothing was found."""
    given = _arguments()
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE_BYTES, ADDRESS_SPACE_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    notebook = Notebook(Path(given.notebook))
    target = target_named(given.target)
    if given.plant:
        plant(given.plant)
    episode, left = given.first_episode, given.frames
    while left > 0:
        before = notebook.number
        notebook.number = episode * target.frames_per_episode
        notebook.counts.clear()
        notebook.last = given.last
        failure = None
        try:
            target.episode(Random(f"{given.seed}/{given.target}/{episode}"), notebook)
        except Stop:
            left = 0
        except BaseException as error:
            # Also what is no Exception: a panic of pycrdt, a frame that raised SystemExit.
            if isinstance(error, KeyboardInterrupt):
                return 130
            failure = _told(error)
        peak_bytes = _peak_bytes()
        if failure is None and peak_bytes > target.memory_bytes:
            failure = (
                f"{peak_bytes >> 20} MiB were in use; the bound is {target.memory_bytes >> 20}"
            )
        _say(
            {
                "episode": episode,
                "counts": dict(notebook.counts),
                "peak_bytes": peak_bytes,
                "failure": failure,
                "frame": notebook.number,
            }
        )
        if failure is not None:
            return 1
        left -= target.frames_per_episode
        episode += 1
        notebook.number = before
        gc.collect()
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("seed")
    parser.add_argument("first_episode", type=int)
    parser.add_argument("frames", type=int)
    parser.add_argument("notebook")
    parser.add_argument("--last", type=int)
    parser.add_argument("--plant")
    return parser.parse_args()


def _told(error: BaseException) -> str:
    lines = traceback.format_exception(error)
    return "".join(lines)[-6_000:]


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    # A broken pipe means that the parent is gone.
    try:
        code = main()
    except BrokenPipeError:
        code = 1
    sys.stdout.flush()
    os._exit(code)
