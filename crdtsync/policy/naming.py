"""Names, labels and roles of a policy file."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from .limits import (
    MAX_LABEL_CHARS,
    MAX_LABEL_LANGUAGES,
    MAX_NAME_CHARS,
    MAX_ROLE_CHARS,
    MAX_ROLES,
)
from .toml_reading import Path, Problems

_LANGUAGE = re.compile(r"[a-z]{2,3}(?:-[A-Za-z0-9]{1,8})*")


def read_name(path: Path, problems: Problems) -> None:
    """Check the name at the end of `path`: an identifier in NFC, of letters of any script."""
    name = path[-1]
    if len(name) > MAX_NAME_CHARS:
        short = (*path[:-1], f"{name[:20]}…")
        problems.add(
            short, f"the name is longer than {MAX_NAME_CHARS} characters", "Shorten the name."
        )
    elif not name.isidentifier():
        problems.add(
            path,
            f"{name!r} is not a name",
            "Use letters, digits and _, and start with a letter; spaces, - and / belong "
            "into the label.",
        )
    elif unicodedata.normalize("NFC", name) != name:
        problems.add(
            path, f"{name!r} is not in Unicode form NFC", "Type the name anew, or normalise it."
        )


def read_label(value: object, path: Path, problems: Problems) -> Mapping[str, str]:
    """The label of a collection or field: language to words."""
    label: dict[str, str] = {}
    if not isinstance(value, dict):
        problems.add(path, "a label is a table of languages", 'Write { en = "…", ko = "…" }.')
        return label
    if len(value) > MAX_LABEL_LANGUAGES:
        problems.add(path, f"more than {MAX_LABEL_LANGUAGES} languages", "Leave some out.")
        return label
    for lang, words in value.items():
        if not _LANGUAGE.fullmatch(lang):
            problems.add(
                (*path, lang), f'"{lang}" is not a language', "Use a code such as en, ko or pt-BR."
            )
        elif not isinstance(words, str) or not words.strip():
            problems.add((*path, lang), "a label is a text", 'Write words in quotes: "Name".')
        elif len(words) > MAX_LABEL_CHARS or not words.isprintable():
            problems.add(
                (*path, lang),
                f"a label is one printable line of at most {MAX_LABEL_CHARS} characters",
                "Shorten it, and remove line breaks and control characters.",
            )
        else:
            label[lang] = words
    return MappingProxyType(label)


def read_roles(value: Any, path: Path, problems: Problems) -> frozenset[str] | None:
    """A list of roles. An empty one means nobody; None stands for a mistake."""
    if not isinstance(value, list) or not all(isinstance(role, str) for role in value):
        problems.add(
            path, "roles are a list of texts", 'Write ["clinician", "nurse"], or [] for nobody.'
        )
        return None
    if len(value) > MAX_ROLES:
        problems.add(path, f"more than {MAX_ROLES} roles", "Group people into fewer roles.")
        return None
    for role in value:
        if not role.strip() or len(role) > MAX_ROLE_CHARS or not role.isprintable():
            problems.add(
                path,
                f"{role[:80]!r} is not a role",
                f"Use 1 to {MAX_ROLE_CHARS} printable characters.",
            )
            return None
    return frozenset(value)
