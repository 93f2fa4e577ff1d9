"""Folding a counter: many confirmed deltas become one entry with their sum.

The folded entry is named by its field and the seq up to which it stands, so two
replicas that fold at the same place write the same item. Pending deltas (seq 0)
are never folded.
"""

from __future__ import annotations

from decimal import Context, Decimal

from crdtsync.documents.ops import EntryId
from crdtsync.documents.state import FOLD_PREFIX, Entry, RecordState

FOLD_ABOVE = 8
"""Confirmed deltas that a counter may hold before it is folded: adding up eight
small numbers costs less than rewriting the record at every increment."""


_EXACT = Context(prec=2_000)
"""Wide enough that no sum of bounded decimals is ever rounded."""


def add_deltas(values: list[str]) -> str:
    """The canonical text of the sum of canonical integer or decimal deltas.

    Any grouping gives the same text. Deltas of both types give a decimal.
    """
    if any(text.startswith('"') for text in values):
        exact = Decimal(0)
        for text in values:
            exact = _EXACT.add(exact, Decimal(text.strip('"')))
        return f'"{exact:f}"'
    return str(sum(map(int, values)))


def sum_of_deltas(values: list[str]) -> int | Decimal:
    """The sum as a number. It may be larger than what one delta may be."""
    total = add_deltas(values)
    return Decimal(total.strip('"')) if total.startswith('"') else int(total)


def fold_counters(state: RecordState, *, above: int = FOLD_ABOVE) -> bool:
    """Fold each counter of ``state`` that holds more than ``above`` confirmed deltas.

    Whether there was any: then there is an entry that no op wrote.
    """
    folded = False
    for root, entries in state.fields.items():
        if len(entries) > above and root.startswith("c/"):
            confirmed = [entry for entry in entries.values() if entry.seq]
            if len(confirmed) > max(above, 1):
                _fold(entries, confirmed)
                folded = True
    return folded


def _fold(entries: dict[EntryId, Entry], confirmed: list[Entry]) -> None:
    last = max(confirmed, key=lambda entry: entry.seq)
    value = add_deltas([entry.value for entry in confirmed])
    for entry in confirmed:
        del entries[entry.id]
    folded = Entry(
        f"{FOLD_PREFIX}{last.seq}", 0, value, last.time_us, "", last.effective_us, last.seq
    )
    entries[folded.id] = folded
