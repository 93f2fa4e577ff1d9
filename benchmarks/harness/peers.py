"""The environments of the peers: exact pins, apart from ours, made when they are first asked for.

A peer is a folder in ``peers/`` with its scripts and its pins: ``requirements.txt`` gets a
virtual environment, ``package.json`` with ``package-lock.json`` gets Node packages.
Environments lie in a cache folder, under a name that holds a digest of the pins. A peer
that cannot be installed is named as missing, with the reason; nothing else stops.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import venv
from collections.abc import Callable
from pathlib import Path

FOLDER = Path(__file__).parents[1] / "peers"
PIP_PINS, NODE_PINS = ("requirements.txt",), ("package.json", "package-lock.json")
INSTALL_TIMEOUT_S = 900
TOLD_LINES, TOLD_CHARACTERS = 6, 300
CAUSES = re.compile(
    r"^(ERROR|error|npm (ERR!|error)|Error)\b|connection broken|being ignored|No space left|denied"
)
ADVICE = re.compile(
    r"behind a proxy|problem related to network|complete log of this run|"
    r"^npm (ERR!|error)( network)?$"
)
PARTS_LEFT_OUT = re.compile(r"WARNING: Retrying \(.*\) after |<[\w.]+ object at 0x[0-9a-f]+>: ")
"""In them the lines of one cause differ that are told at every attempt."""
CURE = (
    "Where the registry cannot be reached, the settings of pip (PIP_INDEX_URL) or npm "
    "(npm_config_registry) name another one; --no-peers leaves all peers out"
)


class Missing(Exception):
    """A peer that is not here; says why, and what would bring it."""


def default_folder() -> Path:
    """Where environments lie unless somebody says otherwise."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "crdtsync-benchmarks"


class Peers:
    """The environments in one folder."""

    def __init__(self, folder: Path | None = None, *, install: bool) -> None:
        """``install`` says whether what is missing may be brought from the registries."""
        # Contenders are started in another folder than the one that a relative path is meant in.
        self._folder = (folder or default_folder()).absolute()
        self._install = install
        self._known: dict[str, Path | Missing] = {}

    def path(self, peer: str, say: Callable[[str], None] = lambda words: None) -> Path:
        """The peer's environment, installed if need be. Raises Missing."""
        if peer not in self._known:
            try:
                self._known[peer] = self._find(peer, say)
            except Missing as missing:
                self._known[peer] = missing
            except OSError as error:
                self._known[peer] = Missing(
                    f"{peer} cannot be installed in {self._folder}: {error}; "
                    "name another folder with --peers-folder"
                )
        found = self._known[peer]
        if isinstance(found, Missing):
            raise found
        return found

    def command(self, peer: str, script: str) -> list[str]:
        """What starts ``script`` of the peer's folder in its environment. Raises Missing."""
        folder = self.path(peer)
        if _is_node(peer):
            # Node looks for packages above the script, so it is run from the environment.
            for module in (FOLDER / peer).glob("*.mjs"):
                shutil.copyfile(module, folder / module.name)
            return ["node", str(folder / script)]
        return [str(folder / "bin" / "python"), str(FOLDER / peer / script)]

    # ── installing ──────────────────────────────────────────────────────────

    def _find(self, peer: str, say: Callable[[str], None]) -> Path:
        files = _pin_files(peer)
        digest = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:12]
        folder = self._folder / f"{peer}-{digest}"
        ready = folder / "ready"
        if ready.exists():
            return folder
        if not self._install:
            raise Missing(f"{peer} is not installed")
        say(f"installing {peer} …")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if _is_node(peer):
            self._install_node(folder, files)
        else:
            self._install_python(folder, files[0])
        ready.touch()
        return folder

    def _install_python(self, folder: Path, file: Path) -> None:
        try:
            venv.create(folder, with_pip=True)
        except subprocess.CalledProcessError as error:
            told = (error.output or b"").decode(errors="replace")
            raise Missing(
                f"{folder.name} could not be installed, since no virtual environment could be "
                f"made: {cause_in(told) or error}. On Debian it needs the package python3-venv"
            ) from error
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "-q", "-r", str(file)]
        _run(pip, folder)

    def _install_node(self, folder: Path, files: list[Path]) -> None:
        if shutil.which("node") is None or shutil.which("npm") is None:
            raise Missing("Node.js is not installed; its peers are left out")
        for file in files:
            shutil.copyfile(file, folder / file.name)
        _run(["npm", "ci", "--no-audit", "--no-fund"], folder)


def _is_node(peer: str) -> bool:
    return (FOLDER / peer / NODE_PINS[0]).exists()


def _pin_files(peer: str) -> list[Path]:
    names = NODE_PINS if _is_node(peer) else PIP_PINS
    return [FOLDER / peer / name for name in names]


def _run(arguments: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(
            arguments,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Missing(f"{folder.name} could not be installed: {error}") from error
    if done.returncode != 0:
        why = cause_in(f"{done.stdout}\n{done.stderr}") or f"exit code {done.returncode}"
        raise Missing(f"{folder.name} could not be installed: {why}. {CURE}")


def cause_in(printed: str) -> str:
    """What an installer complained about, without its advice and what it said twice.

    pip tells the host and the cause only in its warnings of trying again, and npm at the
    beginning, before a paragraph of advice. Where neither is found, the last lines are told.
    """
    lines = [PARTS_LEFT_OUT.sub("", line.strip()) for line in printed.splitlines()]
    lines = [*dict.fromkeys(line[:TOLD_CHARACTERS] for line in lines if line)]
    found = [line for line in lines if CAUSES.search(line) and not ADVICE.search(line)]
    return " / ".join(found[:TOLD_LINES] or lines[-TOLD_LINES:])


def pins(peer: str) -> list[str]:
    """What is pinned for a peer, as it is told with the results."""
    if _is_node(peer):
        wanted = json.loads((FOLDER / peer / NODE_PINS[0]).read_text(encoding="utf-8"))
        return [f"{name} {version}" for name, version in wanted["dependencies"].items()]
    lines = (FOLDER / peer / PIP_PINS[0]).read_text(encoding="utf-8").splitlines()
    return [line.replace("==", " ") for line in lines if line and not line.startswith("#")]
