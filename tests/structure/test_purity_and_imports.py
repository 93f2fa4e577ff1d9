"""The shape of the code is held here: purity, direction of imports, the top level."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PURE = ("policy", "documents", "protocol")
# What each package may import of crdtsync besides itself.
ALLOWED = {
    "policy": {"errors"},
    "documents": {"errors", "policy"},
    "protocol": {"errors", "policy", "documents"},
    "catalogue": {"errors", "policy"},
}
BANNED_MODULES = {
    "asyncio",
    "sqlite3",
    "aiosqlite",
    "socket",
    "time",
    "random",
    "secrets",
    "os",
    "pathlib",
    "io",
    "subprocess",
    "threading",
    "uuid",
    "websockets",
    "starlette",
}
BANNED_CALLS = {"uuid4", "urandom", "now", "utcnow", "today", "open", "input", "print"}


def modules(folder: str) -> Iterator[tuple[Path, ast.Module]]:
    """Every module below a folder, parsed."""
    found = sorted((ROOT / folder).rglob("*.py"))
    assert found, f"{folder} holds no modules"
    for path in found:
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path, tree: ast.Module) -> Iterator[str]:
    """The absolute names of all that a module imports."""
    package = path.relative_to(ROOT).with_suffix("").parts
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = ".".join(package[: len(package) - node.level])
                yield f"{base}.{node.module}" if node.module else base
            else:
                yield str(node.module)


def impurities(path: Path, tree: ast.Module) -> list[str]:
    """What a module does that a pure one may not."""
    found = [
        f"{path.name} imports {name}"
        for name in imported(path, tree)
        if name.partition(".")[0] in BANNED_MODULES
    ]
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
        where = f"{path.name}:{node.lineno}"
        if name in BANNED_CALLS:
            found.append(f"{where} calls {name}()")
        if name == "Doc" and not any(word.arg == "client_id" for word in node.keywords):
            found.append(f"{where} makes a Doc without a client id")
    return found


@pytest.mark.parametrize("package", PURE)
def test_the_pure_packages_do_no_io_and_read_no_clock_or_randomness(package: str) -> None:
    found = [
        words for path, tree in modules(f"crdtsync/{package}") for words in impurities(path, tree)
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from os import urandom",
        "x = Doc()",
        "uuid4()",
        "datetime.now()",
        "open('x')",
    ],
)
def test_the_purity_check_notices_what_it_is_for(source: str) -> None:
    assert impurities(ROOT / "crdtsync/policy/planted.py", ast.parse(source))


@pytest.mark.parametrize("package", sorted(ALLOWED))
def test_imports_point_one_way(package: str) -> None:
    allowed = ALLOWED[package] | {package}
    for path, tree in modules(f"crdtsync/{package}"):
        for name in imported(path, tree):
            parts = name.split(".")
            if parts[0] == "crdtsync" and len(parts) > 1:
                assert parts[1] in allowed, f"{path.name} imports {name}"


def test_the_library_imports_nothing_of_the_server() -> None:
    for path, tree in modules("crdtsync"):
        for name in imported(path, tree):
            assert not name.startswith(("crdtsync_server", "server")), f"{path} imports {name}"
            assert name.partition(".")[0] not in {"starlette", "uvicorn"}, f"{path} imports {name}"


def test_the_top_level_holds_what_was_agreed_and_nothing_else() -> None:
    agreed = {
        "pyproject.toml",
        "crdtsync",
        "server",
        "tests",
        "benchmarks",
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
    }
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\n")
    visible = {name.split("/")[0] for name in listed if name and not name.startswith(".")}
    assert visible <= agreed
    assert {"crdtsync", "README.md"} <= visible
