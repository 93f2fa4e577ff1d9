"""What a ward's day came to, and the table that tells it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from rich.table import Table


@dataclass
class Report:
    """What a day came to. ``mistakes`` names everything that is not as it must be."""

    patients: int = 0
    allergic: int = 0
    written: int = 0
    in_log: int = 0
    settled: Counter[str] = field(default_factory=Counter)
    """Fields with concurrent writes, by rule, that show exactly what the rule gives."""
    agreed: int = 0
    """Allergy sets that two people changed alike: no conflict."""
    conflicts: int = 0
    candidates: int = 0
    lost: int = 0
    doubled: int = 0
    resent: int = 0
    """Ops that had left without an answer when their device was restarted."""
    cut_at: list[int] = field(default_factory=list)
    """Ops that were still waiting whenever something was restarted in the middle of pushing."""
    restarts: int = 0
    seconds: float = 0.0
    mistakes: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Nothing lost, nothing doubled, everything as the policy says."""
        return not (self.lost or self.doubled or self.mistakes)


def table(report: Report) -> Table:
    """What the script prints at the end."""
    made = Table(title="A day on the ward", show_header=False)
    rows: list[tuple[str, str]] = [
        ("patients (with allergies)", f"{report.patients} ({report.allergic})"),
        ("restarts of the server and of devices", str(report.restarts)),
        ("ops written on three devices", str(report.written)),
        ("ops in the server's log", str(report.in_log)),
        ("ops sent again after a restart", str(report.resent)),
        *(
            (f"fields settled by {rule}", str(count))
            for rule, count in sorted(report.settled.items())
        ),
        ("allergy sets that two people changed alike", str(report.agreed)),
        ("allergy sets in conflict (values kept)", f"{report.conflicts} ({report.candidates})"),
        ("lost", str(report.lost)),
        ("doubled", str(report.doubled)),
        ("not as the policy says", str(len(report.mistakes))),
        ("seconds", f"{report.seconds:.1f}"),
    ]
    for name, value in rows:
        made.add_row(name, value)
    return made
