"""How the demo looks: panels, two devices side by side, queues, claims."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from crdtsync.catalogue import message
from crdtsync.cli.queue_commands import SHORT_ID_CHARS
from crdtsync.cli.screen import change_text, safe, table, to_read, value_text
from crdtsync.cli.texts import say
from crdtsync.policy import CollectionPolicy
from crdtsync.replica.record import Record
from crdtsync_server.demo.watching import Claim, Seen
from crdtsync_server.demo.words import tell


class Teller:
    """Writes the story to standard output."""

    def __init__(self, lang: str) -> None:
        self.lang = lang
        self.out: Console = to_read()

    def chapter(self, title: str, *parts: RenderableType | str) -> None:
        """One panel of the story."""
        shown = [Text(part) if isinstance(part, str) else part for part in parts]
        spaced: list[RenderableType] = []
        for part in shown:
            spaced.extend([part, Text("")])
        self.out.print(
            Panel(
                Group(*spaced[:-1]),
                title=tell(title, self.lang),
                title_align="left",
                padding=(1, 2),
            )
        )

    def words(self, key: str, **params: object) -> str:
        """A text of the demo."""
        return tell(key, self.lang, **params)

    def value(self, value: object) -> str:
        """A value for people."""
        return value_text(value, self.lang)

    def side_by_side(
        self, devices: Sequence[tuple[str, Record]], policy: CollectionPolicy
    ) -> Table:
        """The same record as each device shows it."""
        rows = table(say("heading_field", self.lang), *(name for name, _ in devices))
        for field in policy.fields.values():
            rows.add_row(
                safe(field.label_in(self.lang)),
                *(self.value(record[field.name]) for _, record in devices),
            )
        return rows

    def states(self, devices: Sequence[tuple[str, Sequence[Seen]]]) -> Table:
        """Every change with the states that it was seen in."""
        rows = table(
            self.words("device"),
            say("heading_number", self.lang),
            say("heading_change", self.lang),
            self.words("states"),
        )
        for name, changes in devices:
            for seen in changes:
                rows.add_row(
                    name,
                    seen.item.op_id[:SHORT_ID_CHARS],
                    change_text(seen.item.fields, self.lang),
                    self.state_words(seen),
                )
        return rows

    def state_words(self, seen: Seen) -> str:
        """The states that a change was seen in, in order."""
        return " → ".join(message(f"state_{state}", self.lang) for state in seen.states)

    def facts(self, rows: Sequence[tuple[str, Any]]) -> Table:
        """Names and values."""
        shown = Table.grid(padding=(0, 2))
        for name, value in rows:
            shown.add_row(Text(name), Text(str(value), style="bold"))
        return shown

    def claims(self, claims: Sequence[Claim]) -> None:
        """What was checked, and the verdict."""
        lines = [
            Text(
                f"{'✓' if claim.holds else '✗'} {claim.words}", style="" if claim.holds else "bold"
            )
            for claim in claims
        ]
        failed = sum(not claim.holds for claim in claims)
        verdict = (
            self.words("some_fail", n=failed) if failed else self.words("all_hold", n=len(claims))
        )
        self.chapter("check_title", Group(*lines), Text(verdict, style="bold"))
