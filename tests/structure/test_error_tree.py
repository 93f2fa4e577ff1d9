"""The tree in crdtsync/errors.py is the tree in the code."""

from __future__ import annotations

import importlib
import pkgutil
import re

import crdtsync
from crdtsync import errors


def drawn() -> dict[str, str]:
    """Each error in the drawing with its parent."""
    assert errors.__doc__
    parents: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for line in errors.__doc__.splitlines():
        found = re.match(r"^([ │├└─]*)([A-Z]\w+)(?: \((\w+)\))?(?:  |$)", line)
        if found is None or not line.startswith("    "):
            continue
        depth, name = len(found[1]), found[2]
        while path and path[-1][0] >= depth:
            path.pop()
        if path:
            parents[name] = path[-1][1]
        path.append((depth, name))
    return parents


def in_code() -> dict[str, str]:
    """Each public error of the library (the command line aside) with its parent."""
    for module in pkgutil.walk_packages(crdtsync.__path__, "crdtsync."):
        if not module.name.startswith("crdtsync.cli"):
            importlib.import_module(module.name)
    parents: dict[str, str] = {}
    waiting = [errors.CrdtsyncError]
    while waiting:
        base = waiting.pop()
        for error in base.__subclasses__():
            if error.__module__.startswith("crdtsync.") and ".cli" not in error.__module__:
                parents[error.__name__] = base.__name__
                waiting.append(error)
    return parents


def test_the_drawing_is_the_code() -> None:
    assert len(drawn()) > 15
    assert drawn() == in_code()


def test_what_programs_catch_is_importable_from_the_top() -> None:
    inner = {"CatalogueError"}
    assert set(in_code()) - inner <= set(crdtsync.__all__) | {"ConnectionLost"}
