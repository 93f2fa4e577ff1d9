"""THREATS.md: every test that it names exists."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from crdtsync import Replica
from tests.server.access.signing import secured, token
from tests.server.serving import POLICY, SPACE

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "server/crdtsync_server/access/THREATS.md").read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split(" | ")]
    for line in PAGE.splitlines()
    if line.startswith("| ") and "::" in line
]
PLACES = sorted({row[-1].strip("| ") for row in ROWS})


@cache
def names_in(path: str) -> frozenset[str]:
    """The names of the tests in a module, by its path below the project."""
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, kinds))


@pytest.mark.parametrize("place", PLACES)
def test_every_named_test_exists(place: str) -> None:
    path, *_, name = place.split("::")
    assert name.startswith("test_")
    assert name in names_in(path)


def test_the_table_is_whole() -> None:
    assert len(ROWS) > 50
    assert all(len(row) == 3 for row in ROWS)
    headings = re.findall(r"^## (.*)$", PAGE, re.M)
    for peer in ("An outsider", "A user", "A former user", "A hostile replica", "A broken proxy"):
        assert any(heading.startswith(peer) for heading in headings)
    assert "test_nothing_of_this_name" not in names_in("tests/server/test_once.py")


def everything_in(folder: Path) -> bytes:
    """The bytes of all files."""
    return b"".join(file.read_bytes() for file in folder.rglob("*") if file.is_file())


async def test_a_replica_file_never_holds_a_token(tmp_path: Path) -> None:
    shown = token()
    path = tmp_path / "tablet.db"
    async with (
        secured(tmp_path) as server,
        Replica.open(path, space=SPACE, policy=POLICY, user="kim") as tablet,
    ):
        await tablet.collection("patient").update("p1", name="to be found")
        tablet.connect(server.url, token=shown)
        await tablet.synced(timeout=20)
        held = everything_in(tmp_path)
    held += everything_in(tmp_path)
    assert b"to be found" in held  # in the replica's file, and in the server's
    assert shown.encode() not in held
    assert shown.rpartition(".")[2].encode() not in held
