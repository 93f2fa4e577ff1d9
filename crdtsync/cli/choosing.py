"""Choosing between the values of a field in conflict (UX.md, Choosing between values).

Every value is shown with who wrote it and when, differences are said in words,
nothing is preselected, and the choice is asked for once more before it counts.
``Choosing`` reads and writes nothing itself, so commands, the demo and tests all
drive the same steps.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from crdtsync.catalogue import message
from crdtsync.cli.failures import value_words
from crdtsync.cli.screen import safe, time_text, value_text
from crdtsync.cli.texts import say
from crdtsync.cli.typed_text import ConflictCell, value_of
from crdtsync.documents.conflict import Candidate, Conflict
from crdtsync.errors import CrdtsyncError
from crdtsync.policy import FieldPolicy, InvalidValue

SIDE_BY_SIDE = 4
"""Values beside each other at most; more stand below each other."""

_YES: Final = frozenset({"y", "yes", "예", "네", "ㅇ"})
_NO: Final = frozenset({"n", "no", "아니요", "아니오", "아니"})


def conflict_view(conflict: Conflict, field: FieldPolicy, lang: str) -> RenderableType:
    """All values of a conflict side by side, numbered, differences in words."""
    label = safe(field.label_in(lang))
    heading = Text(
        f"{conflict.collection} {safe(conflict.record_id)}: "
        + several_words(len(conflict.candidates), label, lang),
        style="bold",
    )
    panels = [
        _panel(number, candidate, conflict.candidates, lang)
        for number, candidate in enumerate(conflict.candidates, start=1)
    ]
    shared = _shared(conflict.candidates)
    parts: list[RenderableType] = [heading]
    if shared:
        parts.append(Text(say("in_all", lang, values=_joined(shared, lang))))
    parts.append(_beside(panels))
    return Group(*parts)


def several_words(n: int, label: str, lang: str) -> str:
    """ "Two different values for …", or however many there are."""
    if n == 2:
        return message("conflict", lang, field=label)
    return say("conflict_of_many", lang, n=n, field=label)


def _panel(
    number: int, candidate: Candidate, everyone: Sequence[Candidate], lang: str
) -> RenderableType:
    lines = [Text(value_text(candidate.value, lang), style="bold")]
    if candidate.value is None:
        lines = [Text(say("cleared", lang), style="bold")]
    mine = _elements(candidate.value)
    shared = _shared(everyone)
    if mine is not None and len(everyone) > 1:
        others = {item for c in everyone if c is not candidate for item in _elements(c.value) or ()}
        for key, items in (("only_here", mine - others), ("missing_here", others - mine - shared)):
            if items:
                lines.append(Text(say(key, lang, values=_joined(items, lang))))
    lines.append(Text(f"{safe(candidate.user)} · {time_text(candidate.at)}", style="dim"))
    if candidate.pending:
        lines.append(Text(say("not_sent_yet", lang), style="dim"))
    return Panel(Group(*lines), title=f"[{number}]", title_align="left")


def _beside(panels: Sequence[RenderableType]) -> RenderableType:
    if len(panels) > SIDE_BY_SIDE:
        return Group(*panels)
    grid = Table.grid(expand=True, padding=(0, 1))
    for _ in panels:
        grid.add_column(ratio=1)
    grid.add_row(*panels)
    return grid


def _elements(value: object) -> frozenset[object] | None:
    if isinstance(value, frozenset | set):
        return frozenset(value)
    if isinstance(value, list) and all(isinstance(item, str | int) for item in value):
        return frozenset(value)
    return None


def _shared(candidates: Sequence[Candidate]) -> frozenset[object]:
    sets = [_elements(candidate.value) for candidate in candidates]
    if not sets or any(found is None for found in sets):
        return frozenset()
    return frozenset.intersection(*(found for found in sets if found is not None))


def _joined(items: Collection[object], lang: str) -> str:
    return ", ".join(sorted(value_text(item, lang) for item in items))


def keep_all(conflict: Conflict) -> object | None:
    """Every element of every value, for fields of lists and sets; None for others."""
    values = [candidate.value for candidate in conflict.candidates if candidate.value is not None]
    if values and all(isinstance(value, frozenset | set) for value in values):
        return conflict.union()
    if values and all(isinstance(value, list) for value in values):
        kept: list[object] = []
        for value in values:
            kept.extend(item for item in value if item not in kept)
        return kept
    return None


class Choosing:
    """The steps of one choice: pick, perhaps type a value, confirm.

    Show ``prompt``, hand the person's line to ``answer``, until ``prompt`` is
    None. Then ``decided`` says whether ``value`` is their choice; ``said`` is
    what to show after a line that could not be used.
    """

    def __init__(self, conflict: Conflict, field: FieldPolicy, lang: str) -> None:
        self._conflict = conflict
        self._field = field
        self._lang = lang
        self._all = keep_all(conflict)
        self._step = "pick"
        self.said: str | None = None
        self.decided = False
        self.value: object = None

    @property
    def prompt(self) -> str | None:
        """The question to ask next; None when there is nothing left to ask."""
        n = len(self._conflict.candidates)
        match self._step:
            case "pick":
                key = "choose_with_all" if self._all is not None else "choose"
                return say(key, self._lang, n=n)
            case "type":
                key = "type_elements" if self._field.type.item is not None else "type_value"
                return say(key, self._lang, field=safe(self._field.label_in(self._lang)))
            case "confirm":
                return say(
                    "confirm_choice",
                    self._lang,
                    n=n,
                    field=safe(self._field.label_in(self._lang)),
                    value=value_text(self.value, self._lang),
                )
        return None

    def answer(self, line: str) -> None:
        """What the person typed."""
        self.said = None
        getattr(self, f"_{self._step}")(line.strip())

    def give_up(self) -> None:
        """End without a choice (the person left, or input ended)."""
        self._step, self.decided = "over", False

    def _pick(self, line: str) -> None:
        word = line.lower()
        if word in ("q", "quit"):
            self.give_up()
        elif word in ("a", "all") and self._all is not None:
            self._propose(self._all)
        elif word in ("v", "value"):
            self._step = "type"
        else:
            numbered = {str(n): c for n, c in enumerate(self._conflict.candidates, start=1)}
            if word in numbered:
                self._propose(numbered[word].value)
            else:
                self.said = say("not_a_choice", self._lang)

    def _type(self, line: str) -> None:
        if not line:
            self._step = "pick"
            return
        try:
            value = value_of(self._field, line)
            self._propose(self._field.decode(self._field.encode(value)))
        except (InvalidValue, ConflictCell) as error:
            self.said = _why(error, self._lang)

    def _confirm(self, line: str) -> None:
        if line.lower() in _YES:
            self._step, self.decided = "over", True
        elif line.lower() in _NO:
            self._step = "pick"
        else:
            self.said = say("yes_or_no", self._lang)

    def _propose(self, value: object) -> None:
        self.value, self._step = value, "confirm"


def _why(error: CrdtsyncError, lang: str) -> str:
    return value_words(error, lang) if isinstance(error, InvalidValue) else str(error)
