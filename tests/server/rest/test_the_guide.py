"""The guide for thin clients is true: its commands run, in their order, as they stand there."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

import crdtsync_server.rest
from crdtsync.policy import Policy
from tests.server.rest.thin import Thin, trim
from tests.server.serving import serving

GUIDE = (Path(crdtsync_server.rest.__file__).parent / "GUIDE.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The code blocks in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", GUIDE, re.S | re.M)


async def run(script: str, folder: Path) -> tuple[int, str]:
    """Run a shell script with this environment's programs on its path."""
    programs = str(Path(sys.executable).parent)
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-c",
        script,
        cwd=folder,
        env={**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def test_the_commands_of_the_guide_run_as_written(tmp_path: Path) -> None:
    if shutil.which("curl") is None or shutil.which("bash") is None:
        pytest.skip("the guide's commands need bash and curl: apt-get install curl")
    (program,) = blocks("python")
    (policy,) = blocks("toml")
    (tmp_path / "follow.py").write_text(program, encoding="utf-8")
    shell = blocks("sh")
    assert len(shell) == 8
    async with serving(tmp_path / "data", policy=Policy.parse(policy)) as server:
        script = "\n".join(["set -e", *shell, "echo; echo to the end"])
        address = f"http://127.0.0.1:{server.port}"
        code, said = await run(script.replace("http://127.0.0.1:8000", address), tmp_path)
        assert (code, said.splitlines()[-1]) == (0, "to the end"), said
        assert (await Thin(server).read("/v1/conflicts?space=ward-3"))["conflicts"] == []
        # What the program did with a log that was cut: it listed the records and went on.
        (tmp_path / "clinic.db").unlink()
        await trim(Thin(server))
        sheet = "CREATE TABLE people (no PRIMARY KEY, full_name, phone, visits)"
        again = f"""export SERVER={address} CRDTSYNC_TOKEN=kim
        python3 -c 'import sqlite3; sqlite3.connect("clinic.db").execute("{sheet}")'
        python3 follow.py --once"""
        code, said = await run(again, tmp_path)
        assert code == 0, said
    with closing(sqlite3.connect(tmp_path / "clinic.db")) as clinic:
        rows = clinic.execute("SELECT no, full_name FROM people ORDER BY no").fetchall()
    assert rows == [
        ("a1", "Dora"),
        ("a2", "Emil"),
        ("p-17", "Anna"),
        ("p-18", "Bob"),
        ("p-19", "Cem"),
    ]
