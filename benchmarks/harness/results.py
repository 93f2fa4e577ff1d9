"""What a run found, with everything that is needed to judge it: kept as JSON."""

from __future__ import annotations

import errno
import importlib.metadata
import os
import platform
import secrets
import sqlite3
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from benchmarks.harness.measuring import ROOT
from crdtsync.version import __version__

FORMAT = 1
WHOLE_RUN_BYTES = 400_000
"""Twice what the results of a run of everything take."""


class Round(msgspec.Struct):
    """One measurement of one contender."""

    contender: str
    figures: dict[str, float]
    took_s: float = 0.0
    """The whole measurement, with what it prepared."""


class CaseResult(msgspec.Struct):
    """All rounds of one case, in the order in which they ran."""

    case: str
    rounds: list[Round] = []
    missing: dict[str, str] = {}
    """Contenders that failed in any round or were not there, and why."""

    def counted(self) -> list[Round]:
        """The rounds that count. Who failed in a later round has none: what it did before it
        failed says nothing that could be held against those that ran to the end."""
        return [one for one in self.rounds if one.contender not in self.missing]

    def of(self, contender: str, figure: str) -> list[float]:
        """A figure of every round of a contender; empty where it is missing."""
        return [
            one.figures[figure]
            for one in self.counted()
            if one.contender == contender and figure in one.figures
        ]

    def ratios(self, contender: str, against: str, figure: str) -> list[float]:
        """A contender's figure divided by another's, round by round of the same turn."""
        pairs = zip(self.of(contender, figure), self.of(against, figure), strict=False)
        return [one / other for one, other in pairs if other]


class ScenarioResult(msgspec.Struct):
    """One scenario."""

    name: str
    cases: list[CaseResult] = []
    commit: str = "unknown"
    started: str = ""
    load_before: float = 0.0
    """Processes that wanted a core in the minute before; 0 is a quiet machine."""
    command: str = ""
    """What measured it; a file that was gone on with holds scenarios of several commands."""
    rounds_asked: int | None = None
    """How often everybody was to run; a case may have asked for fewer."""
    finished: bool = True
    """False where somebody stopped the run in the middle of it."""

    def case(self, name: str) -> CaseResult | None:
        """The case of that name, if it was run."""
        return next((one for one in self.cases if one.case == name), None)


class Machine(msgspec.Struct):
    """What it ran on."""

    cpu: str
    cores: int
    memory_bytes: int
    system: str
    python: str
    sqlite: str
    node: str | None


class Results(msgspec.Struct):
    """One run."""

    format: int
    command: str
    started: str
    quick: bool
    machine: Machine
    versions: dict[str, str]
    peers: dict[str, list[str]]
    scenarios: list[ScenarioResult] = []

    def scenario(self, name: str) -> ScenarioResult | None:
        """The scenario of that name, if it was run."""
        return next((one for one in self.scenarios if one.name == name), None)

    def put(self, result: ScenarioResult) -> None:
        """Keep a scenario's result in the place of an earlier one."""
        self.scenarios = [one for one in self.scenarios if one.name != result.name]
        self.scenarios.append(result)


def begin(command: str, *, quick: bool, peers: dict[str, list[str]]) -> Results:
    """Results without figures yet."""
    return Results(FORMAT, command, now(), quick, _machine(), _versions(), peers)


def begin_scenario(name: str, command: str, rounds: int) -> ScenarioResult:
    """A scenario without figures yet, measured by ``command`` in so many rounds."""
    return ScenarioResult(name, [], commit(), now(), os.getloadavg()[0], command, rounds)


def commit() -> str:
    """What git calls the code that is measured."""
    return _said(["git", "-C", str(ROOT), "describe", "--always", "--dirty"]) or "unknown"


def now() -> str:
    """The time in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def go_on(kept: Results, fresh: Results) -> Results:
    """``kept`` with room for what ``fresh`` is about to measure: each scenario replaces its
    earlier result. Raises BadResults where the two cannot stand in one file."""
    if kept.machine != fresh.machine or kept.versions != fresh.versions:
        raise BadResults(
            "these results are of another machine or of other versions; choose another file"
        )
    if kept.quick or fresh.quick:
        raise BadResults("results of --quick are not kept; choose another file")
    kept.peers = kept.peers | fresh.peers
    return kept


class NotSaved(Exception):
    """Results that cannot be written; says where, why, and what helps."""

    def __init__(self, path: Path, error: OSError) -> None:
        super().__init__(
            f"{path} cannot be written: {error.strerror or error}; name another file with --out"
        )


def save(results: Results, path: Path) -> None:
    """Write, wholly or not at all. Raises NotSaved."""
    _write(results, path, lambda part: part.replace(path))


def save_new(results: Results, path: Path) -> Path:
    """Write to a file that nobody has yet: ``path``, or its name with a number where two runs
    began in the same second. Raises NotSaved."""
    free, number = path, 1
    while True:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            free.open("xb").close()
            break
        except FileExistsError:
            if not path.parent.is_dir():
                raise NotSaved(path, NotADirectoryError(errno.ENOTDIR, "no folder")) from None
            number += 1
            free = path.with_stem(f"{path.stem}-{number}")
        except OSError as error:
            raise NotSaved(path, error) from error
    try:
        check_writable(results, free)
        save(results, free)
    except NotSaved:
        free.unlink(missing_ok=True)
        raise
    return free


def check_writable(results: Results, path: Path) -> None:
    """Try to write as much as a run of everything takes, and leave nothing. Raises NotSaved."""
    if path.is_dir():
        raise NotSaved(path, IsADirectoryError(errno.EISDIR, "it is a folder"))
    _write(results, path, lambda part: part.unlink(), padding=b" " * WHOLE_RUN_BYTES)


def _write(
    results: Results, path: Path, then: Callable[[Path], object], padding: bytes = b""
) -> None:
    """Into a file beside ``path`` whose name no other run has, and what becomes of it ``then``."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    written = msgspec.json.format(msgspec.json.encode(results), indent=1) + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with part.open("xb") as file:
                file.write(written + padding)
            then(part)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise NotSaved(path, error) from error


class _Format(msgspec.Struct):
    format: int


class BadResults(Exception):
    """A file that holds no results; says which, and why."""


def load(path: Path) -> Results:
    """Read a file of results. Raises BadResults."""
    try:
        written = path.read_bytes()
        # Another format has other fields, so it is looked at before them.
        kept_as = msgspec.json.decode(written, type=_Format).format
        found = msgspec.json.decode(written, type=Results) if kept_as == FORMAT else None
    except OSError as error:
        raise BadResults(f"{path} cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadResults(
            f"{path} holds no results of `python -m benchmarks run`: {error}"
        ) from error
    if found is None:
        raise BadResults(
            f"{path} has format {kept_as}, and this version reads {FORMAT}; run the benchmark again"
        )
    return found


def _machine() -> Machine:
    return Machine(
        _cpu(), os.cpu_count() or 1,
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        f"{platform.system()} {platform.release()}", platform.python_version(),
        sqlite3.sqlite_version, _said(["node", "--version"]),
    )  # fmt: skip


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or "unknown"
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _versions() -> dict[str, str]:
    names = ("pycrdt", "msgspec", "websockets", "aiosqlite", "starlette", "uvicorn", "uvloop")
    found = {"crdtsync": __version__}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def _said(arguments: list[str]) -> str | None:
    try:
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None
