"""What ``/v1/trace`` answers, and what ``crdtsync trace`` shows."""

from __future__ import annotations

from typing import Literal

import msgspec

Kind = Literal["op", "request", "user", "record"]
KINDS: tuple[Kind, ...] = ("op", "request", "user", "record")

Status = Literal["synced", "refused", "held", "transient", "pending"]


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened to an op."""

    at_us: int
    """Microseconds since 1970 by the server's clock. What a device told by its own clock is
    corrected by its skew; ``detail`` then holds ``device_us`` and ``skew_us``."""
    what: str
    """The step (crdtsync/catalogue/trace_words.py), for programs."""
    by: str
    """The user, the device, or "server"."""
    words: str
    request_id: str | None = None
    detail: dict[str, str | int | None] = {}


class TracedOp(msgspec.Struct, frozen=True, kw_only=True):
    """One op, and everything that is known of its way."""

    op_id: str
    user: str
    device: str
    replica_id: str
    space: str
    collection: str
    record: str
    fields: list[str]
    """Names of the fields that it wrote, as far as the reader may read them; none where an
    op was not accepted, because then the server keeps nothing of it."""
    status: Status
    status_words: str
    seq: int | None
    timeline: list[Step]
    """In the order of time."""
    notes: list[str] = []
    """What is not known, and why."""


class Trace(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a question."""

    query: str
    kind: Kind
    ops: list[TracedOp]
    next: str | None
    """Where to go on, as ``after``; None at the end. Good for the same question only, and no
    longer than the server runs."""
