"""What README.md says is true: its program runs, its commands, paths and tests exist."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from crdtsync import Policy
from crdtsync.cli import make_app
from crdtsync_server.service import RunningServer

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The first code block in a language."""
    found = re.search(rf"```{language}\n(.*?)```", README, re.S)
    assert found, f"README has no {language} block"
    return found[1]


async def test_the_program_runs_as_written(tmp_path: Path) -> None:
    policy_file = tmp_path / "policy.toml"
    policy_file.write_text(block("toml"), encoding="utf-8")
    policy = Policy.load(policy_file)
    async with RunningServer(policy=policy, data=tmp_path / "server", dev=True) as server:
        program = block("python").replace("ws://127.0.0.1:8000", server.url)
        assert server.url in program
        run = await _run(program, tmp_path)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "tablet.db").exists()


async def test_the_program_would_fail_if_its_claims_were_false(tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(block("toml"), encoding="utf-8")
    policy = Policy.load(tmp_path / "policy.toml")
    async with RunningServer(policy=policy, data=tmp_path / "server", dev=True) as server:
        program = block("python").replace("ws://127.0.0.1:8000", server.url)
        run = await _run(program.replace('{"latex", "peanut"})', '{"latex"})', 1), tmp_path)
    assert "AssertionError" in run.stderr


async def _run(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    import asyncio

    return await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "error", "-c", program],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_two_commands_stand_where_ci_and_people_look_for_them() -> None:
    lines = README.splitlines()
    assert sum(line.endswith("# runs the demo") for line in lines) == 1
    assert sum(line.endswith("# runs the tests") for line in lines) == 1
    assert "# runs the tests" in (ROOT / ".ci/run").read_text(encoding="utf-8")


def commands() -> list[str]:
    """Every `crdtsync …` that README tells people to type."""
    quoted = re.findall(r"`([^`\n]+)`", README)
    named = [re.match(r"(?:\S*/)?crdtsync ([a-z]+(?: [a-z]+)?)", text) for text in quoted]
    listed = re.search(r"The same from the command line: (.*?)Each has", README, re.S)
    assert listed
    words = re.findall(r"`(?:crdtsync )?(\w+)`", listed[1])
    return sorted({*(found[1] for found in named if found), *words, "demo"})


@pytest.mark.parametrize("command", commands())
def test_every_command_exists(command: str) -> None:
    run = CliRunner().invoke(make_app(), [*command.split(), "--help"])
    assert run.exit_code == 0, run.output


def test_every_path_exists() -> None:
    paths = re.findall(r"`((?:crdtsync|server|tests|benchmarks)/[\w./-]+)", README)
    assert len(paths) > 10
    for path in paths:
        assert (ROOT / path).exists(), path


def test_every_guarantee_names_tests_that_exist() -> None:
    cited = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", README)
    assert len(cited) >= 10
    for path, name in cited:
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        functions = {
            node.name
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
        assert name in functions, f"{path} has no {name}"
