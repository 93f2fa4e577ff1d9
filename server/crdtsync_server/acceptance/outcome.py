"""What a run of the suite found, as plain frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from crdtsync.catalogue.wording import lang_of
from crdtsync_server.acceptance.words import tell

Status = Literal["passed", "failed", "not run"]


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence in every language: a key of the texts and what is filled in."""

    key: str
    params: dict[str, Any] = field(default_factory=dict)

    def words(self, lang: str) -> str:
        """The sentence."""
        spoken = {name: _spoken(name, value, lang) for name, value in self.params.items()}
        text = tell(self.key, lang, **spoken)
        return text[:1].upper() + text[1:]  # a device's name may stand first

    def to_json(self) -> dict[str, str]:
        """In both languages."""
        return {"en": self.words("en"), "ko": self.words("ko")}


def _spoken(name: str, value: Any, lang: str) -> Any:
    """What is filled in, in the reader's language: devices have names, a device's own
    words come in every language, a failed check says what was expected and what was seen,
    scenarios go by their titles."""
    if name == "device":
        return tell(f"device_{value}", lang)
    if isinstance(value, Check):
        expected, saw = value.expected.words(lang), value.saw.words(lang)
        return tell("failed_check", lang, expected=expected, saw=saw)
    if isinstance(value, Said):
        return value.words(lang)
    if isinstance(value, list):
        return "; ".join(one.words(lang) for one in value)
    if isinstance(value, dict):
        return value[lang_of(lang)]
    return value


class NotRun(Exception):
    """This scenario cannot be played here; why is told to people."""

    def __init__(self, key: str, **params: object) -> None:
        super().__init__(key)
        self.why = Said(key, dict(params))


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that had to be so. Its texts are ``expect_<key>`` and ``saw_<key>``."""

    key: str
    ok: bool
    params: dict[str, Any]

    @property
    def expected(self) -> Said:
        """What had to be so."""
        return Said(f"expect_{self.key}", self.params)

    @property
    def saw(self) -> Said:
        """What was seen."""
        return Said(f"saw_{self.key}", self.params)


@dataclass(frozen=True, slots=True)
class Counts:
    """The numbers of one scenario."""

    written: int = 0
    acknowledged: int = 0
    lost: int = 0
    doubled: int = 0
    conflicts: int = 0
    recovery_s: float | None = None
    """From "the network is back" to "everybody is in step", the longest; None: never gone."""


@dataclass(frozen=True, slots=True)
class ScenarioResult:
    """What one scenario did, expected and saw."""

    name: str
    status: Status
    seconds: float = 0.0
    steps: tuple[Said, ...] = ()
    checks: tuple[Check, ...] = ()
    counts: Counts = Counts()
    proof: str | None = None
    """``file`` or ``protocol``: how the server's log was read."""
    why_not: Said | None = None
    """Why it was not run."""
    lost_ops: tuple[str, ...] = ()
    doubled_ops: tuple[str, ...] = ()
    invented_ops: tuple[str, ...] = ()
    logs: str | None = None

    @property
    def title(self) -> Said:
        """Its name for people."""
        return Said(f"title_{self.name.replace('-', '_')}")


@dataclass(frozen=True, slots=True)
class RunResult:
    """What a whole run found."""

    seed: int
    quick: bool
    server: str | None
    """The address of a server of one's own; None: the suite started its own."""
    started_at: str
    seconds: float
    machine: dict[str, Any]
    versions: dict[str, str]
    scenarios: tuple[ScenarioResult, ...]
    spaces: tuple[str, ...] = ()
    """On a server of one's own: where the suite wrote."""

    def with_status(self, status: Status) -> list[ScenarioResult]:
        """The scenarios that ended so."""
        return [one for one in self.scenarios if one.status == status]

    @property
    def go(self) -> bool:
        """Everything that ran passed, and something ran."""
        return not self.with_status("failed") and bool(self.with_status("passed"))

    @property
    def totals(self) -> Counts:
        """All scenarios together; the longest recovery."""
        counts = [one.counts for one in self.scenarios]
        recoveries = [one.recovery_s for one in counts if one.recovery_s is not None]
        return Counts(
            written=sum(one.written for one in counts),
            acknowledged=sum(one.acknowledged for one in counts),
            lost=sum(one.lost for one in counts),
            doubled=sum(one.doubled for one in counts),
            conflicts=sum(one.conflicts for one in counts),
            recovery_s=max(recoveries, default=None),
        )

    @property
    def verdict(self) -> Said:
        """Go or no-go, in one sentence."""
        passed, failed = len(self.with_status("passed")), len(self.with_status("failed"))
        if self.go:
            return Said("verdict_go", {"passed": passed})
        if not passed + failed:
            return Said("verdict_nothing_ran")
        return Said("verdict_no_go", {"failed": failed, "ran": passed + failed})

    @property
    def reasons(self) -> list[Said]:
        """Why."""
        totals = self.totals
        numbers = {"written": totals.written, "lost": totals.lost, "doubled": totals.doubled}
        reasons = [Said("reason_totals", numbers)] if totals.written else []
        for one in self.with_status("failed"):
            for check in one.checks:
                if not check.ok:
                    reasons.append(Said("reason_failed", {"title": one.title, "check": check}))
        if skipped := self.with_status("not run"):
            titles = [one.title for one in skipped]
            reasons.append(Said("reason_not_run", {"n": len(skipped), "names": titles}))
        if self.quick:
            reasons.append(Said("reason_quick"))
        return reasons
