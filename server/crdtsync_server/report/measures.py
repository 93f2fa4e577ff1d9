"""What ``GET /v1/overview`` answers: the measures of a window, as plain typed values.

Texts are whole sentences in the language that was asked for. Times end in ``_us``
(microseconds since 1970) or ``_s`` (seconds). A number that is not known is ``null``,
and ``note`` says why: a window without data is never 100 %.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Mood = Literal["good", "bad", "unknown"]
"""Met or in order; not so; or nothing is known about it."""

Answer = Literal["yes", "no", "unknown"]


class Part(msgspec.Struct, frozen=True):
    """Base of everything in the answer."""


class Window(Part, frozen=True):
    """The time that was looked at: [from_us, to_us)."""

    name: str
    """As it was asked for: 1h, 24h, 7d."""
    words: str
    from_us: int
    to_us: int
    bucket_s: float
    """One point of every series."""


class Reason(Part, frozen=True):
    """One reason of the verdict, the weightiest first."""

    code: str
    mood: Mood
    words: str


class Measure(Part, frozen=True):
    """One figure that has a target."""

    key: str
    """failure_rate, recovery_success_rate, average_retries, sync_latency, conflict_age."""
    name: str
    unit: Literal["share", "seconds", "retries"]
    """A share is between 0 and 1."""
    value: float | None
    value_words: str
    target: float
    target_words: str
    better: Literal["lower", "higher"]
    met: bool | None
    """None: no data."""
    numerator: float | None
    denominator: float | None
    fraction_words: str
    """"3 of 1,204 attempts"."""
    formula: str
    note: str = ""


class Latency(Part, frozen=True):
    """How long something took, over ``count`` cases."""

    key: str
    """server (received to saved), end_to_end (write to receipt, online), visible (write to
    another device), offline (connection back to receipt)."""
    name: str
    p50_s: float | None
    p95_s: float | None
    p99_s: float | None
    count: int
    formula: str
    note: str = ""


class Example(Part, frozen=True):
    """Where to look closer: search the trace for either id."""

    request_id: str
    op_id: str
    at_us: int
    space: str


class FailureReason(Part, frozen=True):
    """Attempts that failed for one reason."""

    code: str
    words: str
    """Why."""
    message: str
    """What people were shown."""
    needs_person: bool
    """False: the device tries again by itself."""
    count: int
    """Attempts."""
    ops: int
    """Changes that they belong to."""
    share: float
    """Of all attempts."""
    examples: tuple[Example, ...]


class Refusal(Part, frozen=True):
    """What a rule of the policy refused."""

    code: str
    words: str
    collection: str
    collection_label: str
    field: str | None
    """None: the rule is not about one field, or the reader may not read the field."""
    field_label: str
    count: int
    examples: tuple[Example, ...]


class Failures(Part, frozen=True):
    """Panel 2 and 7."""

    recorded: bool
    """False: attempts are not recorded here (``note`` says why)."""
    attempts: int | None
    failed: int | None
    repeats: int | None
    """Repeats that were answered from receipts: duplicates that were blocked."""
    held: int | None
    """Sent behind another change of the same record; not an attempt."""
    reasons: tuple[FailureReason, ...]
    refusals: tuple[Refusal, ...]
    note: str = ""


class FieldConflicts(Part, frozen=True):
    """Conflicts of one field that the reader may read."""

    collection: str
    collection_label: str
    field: str
    field_label: str
    open: int
    oldest_us: int | None
    opened: int
    """In the window; so are the following."""
    resolved: int
    agreed: int


class ResolvedBy(Part, frozen=True):
    """How many conflicts a person settled in the window."""

    user: str
    count: int


class OpenConflict(Part, frozen=True):
    """One of the oldest open conflicts."""

    id: int
    space: str
    collection: str
    record: str
    field: str
    field_label: str
    opened_us: int
    candidates: int


class Conflicts(Part, frozen=True):
    """Panel 5."""

    open: int
    oldest_us: int | None
    opened: int
    resolved: int
    agreed: int
    reopened: int
    fields: tuple[FieldConflicts, ...]
    by: tuple[ResolvedBy, ...]
    oldest: tuple[OpenConflict, ...]
    words: str


class CloseCode(Part, frozen=True):
    """Connections that ended so."""

    code: int
    name: str
    words: str
    count: int


class Connections(Part, frozen=True):
    """Panel 6."""

    open: int | None
    """Now; None where nobody is asked (a report from a folder)."""
    recorded: bool
    admitted: int | None
    """In the window; so are the closes."""
    closes: tuple[CloseCode, ...]
    note: str = ""


class Skew(Part, frozen=True):
    """Panel 9: how far a device's clock is off."""

    replica_id: str
    device: str
    user: str
    space: str
    skew_s: float
    """Above zero: the device's clock is ahead."""
    at_us: int
    words: str


class DeviceState(Part, frozen=True):
    """A replica, as it last reported."""

    replica_id: str
    device: str
    user: str
    space: str
    connected: bool | None
    last_seen_us: int
    state: Literal["in_step", "waiting", "needs_person", "behind", "away"]
    words: str
    pending: int
    failed: int
    signed_out: int
    oldest_age_s: float | None
    """Of the oldest op that waits, now; None: nothing waits."""
    behind: int
    """Log entries that it has not reported to hold."""
    reasons: dict[str, int]
    """Failed ops by code."""
    reason_words: tuple[str, ...]


class Devices(Part, frozen=True):
    """Devices that have not synced come first."""

    total: int
    in_step: int
    waiting_ops: int
    """Ops that wait on devices, as far as they have reported."""
    oldest_age_s: float | None
    oldest_device: str
    listed: tuple[DeviceState, ...]
    """At most 100."""
    words: str


class StorageFile(Part, frozen=True):
    """A file of the data folder."""

    name: str
    size_bytes: int


class StorageRows(Part, frozen=True):
    """Rows of a table."""

    table: str
    name: str
    rows: int


class LargeRecord(Part, frozen=True):
    """One of the largest records."""

    space: str
    collection: str
    record: str
    size_bytes: int


class Storage(Part, frozen=True):
    """Panel 10. Files and free space only for those whose sign-in opens every space; the rows of
    records only for those who may read everything; the largest records only of collections in
    which nothing is hidden from the reader."""

    files: tuple[StorageFile, ...]
    rows: tuple[StorageRows, ...]
    largest: tuple[LargeRecord, ...]
    free_bytes: int | None
    words: str


class Series(Part, frozen=True):
    """One line of a chart; ``values[i]`` belongs to ``Charts.at_us[i]``; null is no data."""

    key: str
    name: str
    unit: Literal["ops", "share", "seconds", "retries", "conflicts", "connections"]
    values: tuple[float | None, ...]


class Charts(Part, frozen=True):
    """All series share one time axis: where each bucket begins."""

    at_us: tuple[int, ...]
    series: tuple[Series, ...]

    def of(self, key: str) -> Series:
        """The series of this key. Raises KeyError."""
        for one in self.series:
            if one.key == key:
                return one
        raise KeyError(key)


class Question(Part, frozen=True):
    """One of the four weekly questions."""

    key: str
    """recovered, messages, duplicates, failure_rate."""
    question: str
    answer: Answer
    answer_words: str
    evidence: tuple[str, ...]


class Finding(Part, frozen=True):
    """One thing that does not agree."""

    kind: str
    """missing, fewer, different, doubled, gap, head, chain, unreadable, receipt."""
    space: str
    device: str
    user: str
    replica_id: str
    from_seq: int
    to_seq: int
    words: str
    op_ids: tuple[str, ...] = ()


class Check(Part, frozen=True):
    """One check of reconciliation."""

    key: str
    name: str
    mood: Mood
    words: str


class Reconciliation(Part, frozen=True):
    """Losses and duplicates, proved."""

    mood: Mood
    words: str
    ops: int
    """Acknowledged ops that were compared, by devices' own reports."""
    ranges: int
    devices: int
    checks: tuple[Check, ...]
    findings: tuple[Finding, ...]


class AcceptanceRun(Part, frozen=True):
    """The last run of ``crdtsync acceptance`` that the report was shown."""

    mood: Mood
    words: str
    at: str = ""
    seconds: float = 0.0
    quick: bool = False
    written: int = 0
    lost: int = 0
    doubled: int = 0
    scenarios: tuple[Check, ...] = ()


class Overview(Part, frozen=True):
    """Everything."""

    lang: str
    server_us: int
    version: str
    """Of the server's software."""
    policy_version: int
    space: str | None
    """None: every space that the reader may enter."""
    spaces: tuple[str, ...]
    window: Window
    recorded: bool
    """False: the server records no attempts (trace = false, or an old database)."""
    recorded_words: str
    healthy: bool
    sentence: str
    """Is it healthy, and may we go: one sentence for panel 1."""
    go: bool
    verdict: str
    reasons: tuple[Reason, ...]
    questions: tuple[Question, ...]
    measures: tuple[Measure, ...]
    latency: tuple[Latency, ...]
    failures: Failures
    conflicts: Conflicts
    connections: Connections
    skew: tuple[Skew, ...]
    storage: Storage
    devices: Devices
    charts: Charts
    reconciliation: Reconciliation
    acceptance: AcceptanceRun

    def measure(self, key: str) -> Measure:
        """The measure of this key. Raises KeyError."""
        for one in self.measures:
            if one.key == key:
                return one
        raise KeyError(key)
