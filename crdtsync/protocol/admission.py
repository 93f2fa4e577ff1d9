"""Decisions on a hello: may this replica come in, and from where does it go on?

Pure functions; the session asks them in order (protocol/server_session.py).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from crdtsync.documents.errors import InvalidOp
from crdtsync.documents.ops import SAFE_INTEGER, check_identifier, is_op_id
from crdtsync.protocol.messages import (
    PROTOCOL_VERSION,
    Hello,
    Landmark,
    Paging,
    Refused,
)

MAX_LANDMARKS = 32
"""Exponentially spaced, so 32 of them reach back over any log there will ever be."""

MAX_PREVIOUS_RUNS = 64
"""Runs between two welcomes that a replica may name; each is one opening without a network."""

MAX_VIEW_CHARS = 64
"""Of the mark of a way of seeing; those of this version have 32."""

MAX_TEXT_CHARS = 256
"""Of the names in a hello that only people read (device, software)."""

POLICY_AHEAD_RETRY_MS = 60_000
"""How long a replica waits for a server whose policy is older than its own: an
operator is rolling the new one out."""

COPIED_WORDS = (
    "another copy of this device's file has been in use since; "
    "this one goes on under a new name, and nothing is lost"
)


@dataclass(frozen=True, slots=True)
class PolicyOffer:
    """The policy that the server goes by."""

    version: int
    hash: str
    text: str


@dataclass(frozen=True, slots=True)
class Admission:
    """What the server's store knows about a replica and its log when a hello is judged."""

    known_run: bool
    """Whether ``run_is_known``; only then was the hello's run stored."""
    head: Landmark
    log_start: int
    """The first seq whose log entry is still whole (1 where nothing was trimmed)."""
    digests: Mapping[int, bytes]
    """The log's digests at the seqs that the hello names, as far as they exist."""
    server_us: int
    acknowledged: int | None = None
    """The seq up to which the replica's digests of acknowledged ops are stored; None for a
    replica that is new."""


def judge_hello(hello: Hello, policy: PolicyOffer) -> Refused | None:
    """Everything about a hello that needs no look at the store. None means: go on."""
    if not 1 <= hello.protocol <= PROTOCOL_VERSION:
        return Refused(
            "protocol_version",
            f"this server speaks protocol 1 to {PROTOCOL_VERSION}, not {hello.protocol}; "
            "update the server or the device",
            False,
        )
    mistake = _malformed(hello)
    if mistake is not None:
        return Refused("bad_hello", mistake, False)
    if hello.policy_version == policy.version and hello.policy_hash != policy.hash:
        return Refused(
            "policy_mismatch",
            f"the server's policy version {policy.version} has other content than this "
            "device's; give the changed file a new version number",
            False,
        )
    if hello.policy_version > policy.version:
        return Refused(
            "policy_ahead",
            f"this device has policy version {hello.policy_version}, the server still has "
            f"{policy.version}; it goes on when the server was updated",
            True,
            POLICY_AHEAD_RETRY_MS,
        )
    return None


def _malformed(hello: Hello) -> str | None:
    try:
        check_identifier(hello.space, "space")
        check_identifier(hello.user, "user")
    except InvalidOp as error:
        return str(error)
    if not is_op_id(hello.replica_id) or not is_op_id(hello.run):
        return "replica_id and run have to be UUIDs of version 4"
    if len(hello.previous_runs) > MAX_PREVIOUS_RUNS or not all(map(is_op_id, hello.previous_runs)):
        return f"previous_runs has to hold up to {MAX_PREVIOUS_RUNS} UUIDs of version 4"
    if len(hello.landmarks) > MAX_LANDMARKS:
        return f"a hello names up to {MAX_LANDMARKS} landmarks, not {len(hello.landmarks)}"
    for point in (hello.cursor, *hello.landmarks):
        if not 0 <= point.seq <= SAFE_INTEGER or len(point.digest) > 16:
            return f"({point.seq}, {len(point.digest)} bytes) is not a place in a log"
    if len(hello.device) > MAX_TEXT_CHARS or len(hello.software) > MAX_TEXT_CHARS:
        return f"the names of device and software have up to {MAX_TEXT_CHARS} characters"
    if len(hello.view) > MAX_VIEW_CHARS:
        return f"the mark of a way of seeing has up to {MAX_VIEW_CHARS} characters"
    if not 0 <= hello.policy_version <= SAFE_INTEGER:
        return f"{hello.policy_version} is not the version of a policy"
    return None


def run_is_known(stored_run: str | None, hello: Hello) -> bool:
    """Whether the replica is the one that the server knows, and no stale copy of its file.

    A copy goes on from a run that the server has seen replaced since.
    """
    return stored_run is None or stored_run == hello.run or stored_run in hello.previous_runs


def places_named(hello: Hello) -> tuple[int, ...]:
    """The seqs whose digests are needed to judge the replica's log."""
    return tuple({point.seq for point in (hello.cursor, *hello.landmarks) if point.seq > 0})


def last_common_seq(hello: Hello, admission: Admission) -> int | None:
    """None where the replica's log is a beginning of the server's.

    Else the largest seq that both are known to share (0 if none): the server
    was restored from a backup, or is another one.
    """
    diverged = False
    common = 0
    for point in (hello.cursor, *hello.landmarks):
        if point.seq == 0:
            continue
        digest = admission.digests.get(point.seq)
        if point.seq > admission.head.seq or digest != point.digest:
            diverged = True
        else:
            common = max(common, point.seq)
    return common if diverged else None


def where_to_start(
    hello: Hello, admission: Admission, diverged: int | None, view: str
) -> Paging | None:
    """Where the replica has to page through snapshots; None where the log suffices.

    A replica whose roles give another way of seeing now pages all of it anew.
    """
    head = admission.head.seq
    anew = hello.cursor.seq == 0 or hello.view != view
    if diverged is not None or (anew and head > 0):
        return Paging(head, head + 1, 0)
    if hello.cursor.seq + 1 < admission.log_start:
        return Paging(head, 0, hello.cursor.seq)
    return None


def resume_paging(asked: Paging, head: Landmark) -> Paging | None:
    """The paging to serve for one that a replica sent, perhaps from an earlier connection.

    One from a log that this server does not have (its head lies above ours)
    starts anew. None means that no server ever handed it out.
    """
    sensible = (
        0 <= asked.before <= asked.head + 1
        and asked.after >= 0
        and asked.head <= SAFE_INTEGER
        and not (asked.before and asked.after)
    )
    if not sensible:
        return None
    if asked.head > head.seq or asked.after > head.seq:
        return Paging(head.seq, head.seq + 1, 0)
    return asked
