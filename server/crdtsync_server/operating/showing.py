"""``crdtsync serve --show-settings``: every value and where it came from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crdtsync_server.operating.declared import GROUPS, PREFIX, Declared
from crdtsync_server.operating.loading import Loaded


def shown(loaded: Loaded) -> str:
    """The settings for people, group by group. Secrets are only said to be set."""
    lines = []
    for group in GROUPS:
        lines += ["", group.title]
        for declared in group.settings:
            one = loaded.chosen[declared.name]
            unit = f" {declared.unit}" if declared.unit else ""
            lines.append(f"  {declared.name:<26} {one.shown + unit:<34} {one.source}")
    lines += ["", f"Each can be given as --name, as {PREFIX}NAME, or in the file of --config;"]
    lines += ["secrets only by the environment or the file. The first that is given counts."]
    return "\n".join(lines[1:])


def as_json(loaded: Loaded) -> dict[str, Any]:
    """The same for programs."""
    return {
        "settings": [
            {
                "name": one.declared.name,
                "value": one.shown if one.declared.secret else _plain(loaded, one.declared),
                "from": one.source,
                "unit": one.declared.unit,
                "meaning": one.declared.meaning,
            }
            for one in loaded.chosen.values()
        ],
        "mistakes": list(loaded.mistakes),
        "warnings": list(loaded.warnings),
    }


def _plain(loaded: Loaded, declared: Declared) -> object:
    one = loaded.chosen[declared.name]
    if isinstance(one.value, bool | int | float) and declared.name != "keep_log":
        return one.value
    if isinstance(one.value, tuple):
        return list(one.value)
    return None if one.shown == "not set" else one.shown


def page() -> str:
    """``server/deploy/SETTINGS.md``: the same table for readers, made from the declarations."""
    return "\n".join(_page_lines()) + "\n"


def _page_lines() -> Iterator[str]:
    yield "# Settings of `crdtsync serve`"
    yield ""
    yield "Made by `python -m crdtsync_server.operating.showing` from `operating/declared.py`; a"
    yield "test holds it to that. A setting `keep_log` is the flag `--keep-log`, the variable"
    yield "`CRDTSYNC_KEEP_LOG` and the key `keep_log` of the file that `--config` (or"
    yield "`CRDTSYNC_CONFIG`) names; the first of these that is given counts. Secrets are never"
    yield "flags. Paths in the file are relative to the file's folder."
    yield "`crdtsync serve --show-settings` prints every value and where it came from."
    for group in GROUPS:
        yield ""
        yield f"## {group.title}"
        yield ""
        yield "| setting | default | unit | meaning |"
        yield "|---|---|---|---|"
        for one in group.settings:
            yield f"| `{one.name}` | {_default(one)} | {one.unit or '–'} | {one.meaning} |"


def _default(declared: Declared) -> str:
    if declared.required:
        return "required"
    if declared.secret:
        return "not set (secret: environment or file only)"
    if declared.default is None or declared.default == ():
        return "not set"
    return f"`{declared.kind.show(declared.default)}`"


if __name__ == "__main__":  # pragma: no cover - run by people
    print(page(), end="")
