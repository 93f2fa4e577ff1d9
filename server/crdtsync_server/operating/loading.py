"""Reading settings: flags before the environment before the file, and every mistake at once."""

from __future__ import annotations

import dataclasses
import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from crdtsync.errors import CrdtsyncError
from crdtsync_server.operating.declared import CONFIG_VARIABLE, PREFIX, SETTINGS, Declared
from crdtsync_server.operating.kinds import BadValue
from crdtsync_server.settings import BadSettings, Settings

DEFAULT = "default"

MAX_FILE_BYTES = 1_048_576
"""Of a file of settings; fifty lines are usual."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A setting, what it was set to, and by what."""

    declared: Declared
    value: object
    source: str
    """``default``, the flag, the variable, or the file's name."""

    @property
    def is_set(self) -> bool:
        """Whether somebody gave it."""
        return self.source != DEFAULT

    @property
    def shown(self) -> str:
        """The value for people; of a secret only whether it is set."""
        if self.declared.secret:
            return "set" if self.value is not None else "not set"
        if self.value is None and self.declared.name != "keep_log":
            return "not set"
        return self.declared.kind.show(self.value) or "none"


@dataclass(frozen=True, slots=True)
class Loaded:
    """All settings with their sources, and what is wrong with them."""

    chosen: Mapping[str, Chosen]
    mistakes: tuple[str, ...]
    warnings: tuple[str, ...] = ()

    def require(self) -> tuple[Path, Settings]:
        """The policy file and the settings of a server. Raises BadSettings with every mistake."""
        mistakes = list(self.mistakes)
        if not mistakes:
            try:
                self.settings.check()
            except CrdtsyncError as error:
                mistakes.append(str(error))
        if mistakes:
            raise BadSettings(_all(mistakes))
        policy = self.chosen["policy"].value
        assert isinstance(policy, Path)
        return policy, self.settings

    @property
    def settings(self) -> Settings:
        """What the server is told; where something is missing, its default."""
        settings: Any = Settings(Path())
        for one in self.chosen.values():
            if one.is_set and one.declared.place:
                settings = _put(settings, one.declared.place, one.value)
        found: Settings = settings
        return found


def _all(mistakes: Sequence[str]) -> str:
    if len(mistakes) == 1:
        return mistakes[0]
    return "\n  ".join([f"{len(mistakes)} settings are not as they must be:", *mistakes])


def load(
    flags: Mapping[str, str | bool | None],
    environment: Mapping[str, str],
    config: Path | None = None,
) -> Loaded:
    """Settle every setting. ``flags`` by name, None where the flag was not given.

    ``config`` is the file; CRDTSYNC_CONFIG names one too. Raises nothing: what is
    wrong stands in ``mistakes``, all of it, each with its cure.
    """
    if config is None and environment.get(CONFIG_VARIABLE, "").strip():
        config = Path(environment[CONFIG_VARIABLE].strip()).expanduser()
    mistakes: list[str] = []
    chosen = {name: Chosen(one, one.default, DEFAULT) for name, one in SETTINGS.items()}
    if config is not None:
        mistakes += _take_file(config, chosen)
    mistakes += _take_environment(environment, chosen)
    mistakes += _take_flags(flags, chosen)
    if not mistakes:
        # A file that could not be read may well name them.
        mistakes += _missing(chosen)
    return Loaded(chosen, tuple(mistakes), tuple(_misspelt(environment)))


def _take_file(path: Path, chosen: dict[str, Chosen]) -> Iterator[str]:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            yield f"{path} is larger than {MAX_FILE_BYTES} bytes; this is no file of settings"
            return
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        yield f"{path} cannot be read: {error.strerror}. Check --config ({CONFIG_VARIABLE})"
        return
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        yield f"{path} is not a TOML file: {error}"
        return
    for key, value in given.items():
        declared = SETTINGS.get(key)
        if declared is None:
            yield f"{path}: {_unknown(key, value)}"
            continue
        try:
            taken = declared.kind.take(value, path.absolute().parent)
        except BadValue as error:
            yield f"{path}: {key}: {_without_secret(declared, str(error))}"
        else:
            chosen[key] = Chosen(declared, taken, path.name)


def _unknown(key: str, value: object) -> str:
    if isinstance(value, dict):
        return f"[{key}] is a section, and settings have none; write every key at the top"
    plain = key.replace("-", "_").lower().removeprefix(PREFIX.lower())
    near = difflib.get_close_matches(plain, SETTINGS, n=1, cutoff=0.6)
    cure = f"did you mean {near[0]}?" if near else "crdtsync serve --show-settings names all"
    return f"{key} is not a setting; {cure}"


def _take_environment(environment: Mapping[str, str], chosen: dict[str, Chosen]) -> Iterator[str]:
    for name, declared in SETTINGS.items():
        text = environment.get(declared.variable)
        if text is None or not text.strip():
            continue  # in files of variables, an empty one is one that is not given
        try:
            chosen[name] = Chosen(declared, declared.kind.read(text), declared.variable)
        except BadValue as error:
            yield f"{declared.variable}: {_without_secret(declared, str(error))}{_links(text)}"


def _links(text: str) -> str:
    if not text.startswith("tcp://"):
        return ""
    return (
        ". Kubernetes made this variable for a service called crdtsync; set "
        "enableServiceLinks: false, or give the service another name"
    )


def _take_flags(flags: Mapping[str, str | bool | None], chosen: dict[str, Chosen]) -> Iterator[str]:
    for name, given in flags.items():
        declared = SETTINGS[name]
        if given is None:
            continue
        assert declared.flag is not None, "secrets have no flags"
        try:
            value = declared.kind.read(given) if isinstance(given, str) else given
        except BadValue as error:
            yield f"{declared.flag}: {error}"
        else:
            chosen[name] = Chosen(declared, value, declared.flag)


def _missing(chosen: Mapping[str, Chosen]) -> Iterator[str]:
    for name, one in chosen.items():
        if one.declared.required and one.value is None:
            yield (
                f"{name} is missing: {one.declared.meaning} Give {one.declared.flag} PATH, "
                f"set {one.declared.variable}, or write {name} = … into the file of settings"
            )


def _misspelt(environment: Mapping[str, str]) -> Iterator[str]:
    known = {one.variable for one in SETTINGS.values()} | {CONFIG_VARIABLE}
    for variable in sorted(environment):
        if not variable.startswith(PREFIX) or variable in known | _OF_OTHER_COMMANDS:
            continue
        near = difflib.get_close_matches(variable, known, n=1, cutoff=0.8)
        if near:
            yield f"{variable} is not a setting and changes nothing; did you mean {near[0]}?"


_OTHER_NAMES = ("TOKEN", "LANG", "REPLICA", "USER", "SEED", "JWT_PRIVATE_KEY")
_OF_OTHER_COMMANDS = {PREFIX + name for name in _OTHER_NAMES}


def _without_secret(declared: Declared, words: str) -> str:
    """A mistake must not tell the secret that it is about."""
    return "what it holds is not a text that can be used" if declared.secret else words


def _put(parent: Any, place: tuple[str, ...], value: object) -> Any:
    name, *rest = place
    if rest:
        value = _put(getattr(parent, name), tuple(rest), value)
    if isinstance(parent, msgspec.Struct):
        return msgspec.structs.replace(parent, **{name: value})
    return dataclasses.replace(parent, **{name: value})
