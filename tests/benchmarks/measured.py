"""Contenders whose figures are known before they are measured."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn


def counted(params: Mapping[str, float]) -> dict[str, float]:
    return {"per_s": params["n"], "pid": os.getpid()}


async def counted_twice(params: Mapping[str, float]) -> dict[str, float]:
    return {"per_s": params["n"] * 2, "pid": os.getpid()}


def driven(params: Mapping[str, Any]) -> dict[str, float]:
    return {"per_s": params["n"] * params["times"], "words": len(params["server_command"])}


def broken(params: Mapping[str, float]) -> dict[str, float]:
    raise OSError("the disk is made of cheese")


def endless(params: Mapping[str, float]) -> dict[str, float]:
    threading.Event().wait()
    return {}


def prepare(folder: Path, turn: int) -> None:
    if turn < 0:
        (folder / "half").touch()
        raise ValueError("no turn below 0")
    (folder / "turn").write_text(str(turn))


async def prepare_soon(folder: Path, turn: int) -> None:
    prepare(folder, turn)


def with_a_large_child(params: Mapping[str, int]) -> dict[str, float]:
    script = (
        "from benchmarks.harness.disk import peak_bytes\n"
        f"held = b'x' * {params['child_mb']} * 1_000_000\n"
        "print(peak_bytes())"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True).stdout
    return {"child_peak_bytes": int(said)}


def litter(params: Mapping[str, int]) -> dict[str, float]:
    folder = Path(tempfile.gettempdir()) / "left-behind"
    folder.mkdir()
    return {"folder_was_there": folder.parent.name.startswith("crdtsync-measured-")}


def fails_once(params: Mapping[str, Any]) -> dict[str, float]:
    tried = Path(params["folder"]) / "tried"
    if not tried.exists():
        tried.touch()
        raise OSError("not today")
    return {"per_s": 1.0}


def says(params: Mapping[str, Any]) -> NoReturn:
    """End with a line of the contender's own."""
    print(params["line"], flush=True)
    os._exit(0)


def endless_with_a_child(params: Mapping[str, Any]) -> NoReturn:
    """Say through a pipe where temporary files lie, and stay. The pipe's end is the end of this
    process and of its child: both hold it open."""
    pipe = os.open(params["pipe"], os.O_WRONLY)
    subprocess.Popen(
        [sys.executable, "-c", "import threading; threading.Event().wait()"], pass_fds=(pipe,)
    )
    os.write(pipe, f"{tempfile.gettempdir()}\n".encode())
    while True:
        threading.Event().wait()
