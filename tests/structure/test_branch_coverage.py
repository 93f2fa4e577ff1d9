"""Every branch of the pure packages is taken by an example in their own tests.

Tests with drawn inputs are left out: which branches they take is chance, and this
figure has to be the same in every run.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PURE = ("policy", "documents", "protocol")
TESTS = [*(f"tests/{package}" for package in PURE), "tests/server/test_server_session.py"]


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What coverage found for each module of the pure packages, by its path."""
    folder = tmp_path_factory.mktemp("coverage")
    outside = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    for command in (
        ["run", "-m", "pytest", "-n0", "-p", "no:cacheprovider", "-m", "not hypothesis", *TESTS],
        ["json", "-q", "-o", str(folder / "report.json")],
    ):
        done = subprocess.run(
            [sys.executable, "-m", "coverage", *command],
            cwd=ROOT,
            env=outside | {"COVERAGE_FILE": str(folder / "measured")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-4_000:] + done.stderr
    files: dict[str, Any] = json.loads((folder / "report.json").read_text(encoding="utf-8"))[
        "files"
    ]
    return files


@pytest.mark.timeout(300)
def test_every_line_and_branch_is_taken(measured: dict[str, Any]) -> None:
    modules = {
        path.relative_to(ROOT).as_posix()
        for package in PURE
        for path in (ROOT / "crdtsync" / package).rglob("*.py")
    }
    assert len(modules) > 40
    assert set(measured) == modules
    assert sum(found["summary"]["num_branches"] for found in measured.values()) > 1_000
    assert [words for path in sorted(measured) for words in missing(path, measured[path])] == []


def missing(path: str, found: dict[str, Any]) -> list[str]:
    """What no test takes, in words that lead to the line."""
    lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
    words = [
        f"{path}:{line} is never run: {lines[line - 1].strip()}" for line in found["missing_lines"]
    ]
    words += [
        f"{path}:{start} never goes on to {f'line {end}' if end > 0 else 'the end'}: "
        f"{lines[start - 1].strip()}"
        for start, end in found["missing_branches"]
        if start not in found["missing_lines"] and end not in found["missing_lines"]
    ]
    return words


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    source = tmp_path / "module.py"
    source.write_text("if a:\n    b()\n    c()\nwhile d:\n    e()\nf()\n", encoding="utf-8")
    found = {"missing_lines": [3], "missing_branches": [[1, 3], [1, 4], [4, -1]]}
    assert missing(str(source), found) == [
        f"{source}:3 is never run: c()",
        f"{source}:1 never goes on to line 4: if a:",
        f"{source}:4 never goes on to the end: while d:",
    ]


def test_nothing_is_left_out_of_the_figure() -> None:
    for package in PURE:
        for path in (ROOT / "crdtsync" / package).rglob("*.py"):
            assert not re.search(r"#\s*pragma", path.read_text(encoding="utf-8")), path
