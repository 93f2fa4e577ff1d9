"""Bugs planted on purpose: the simulator must find each of them within a stated number of seeds.

Each mutant replaces one function of the real code while its block runs. Some are
bugs that the simulator found in crdtsync, planted again.
"""

from __future__ import annotations

import contextlib
import hashlib
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import msgspec

import crdtsync.database
from crdtsync.documents import document, settling, writing
from crdtsync.documents.change import Change
from crdtsync.documents.decoder import decode_update
from crdtsync.documents.ops import Op
from crdtsync.documents.settling import check_against_policy
from crdtsync.documents.state import LogEntry, Stub
from crdtsync.protocol import client_session, server_session
from crdtsync.protocol.admission import where_to_start
from crdtsync.replica import applying, file, outbox, seeing, sync_jobs, taking_back
from crdtsync.replica.shown import confirmed
from crdtsync_server import hub
from crdtsync_server.simulation import checks, healing, machines
from crdtsync_server.storage import cache, group, ledger, reading

Patch = tuple[Any, str, Any]

RARE = 5
"""Seeds beyond which a mutant is looked for near the seed that found it, to spare CI's time."""

IN_STEP_WITHIN_S = 300.0
"""An hour of waiting in vain costs a minute. Retries are at most a minute apart, so five prove
the same, as long as the run without the bug is held to them, too."""

LOOKED_FURTHER = 80
"""Seeds after that one: the code around a bug moves, and with it the seeds that meet it."""


@contextmanager
def impatient() -> Iterator[None]:
    """Everybody has to be in step sooner, while the block runs."""
    with patch.object(healing, "IN_STEP_WITHIN_S", IN_STEP_WITHIN_S):
        yield


@dataclass(frozen=True)
class Mutant:
    """A planted bug."""

    name: str
    patches: Callable[[], list[Patch]]
    faults: tuple[str, ...]
    """The kinds of faults that the runs have which look for it."""
    breaks: frozenset[str]
    """What the simulator reports: invariants by number, "NotAlive" (somebody does not come into
    step), or a fault that the program itself reports."""
    needs: int
    """Seeds from 0 on, the one that finds it included, as measure_mutants.py counted them."""
    was_real: bool = False
    """Whether this bug was in crdtsync until the simulator found it."""

    @property
    def seeds(self) -> range:
        """Where the test looks: a rare one from its seed on, and a good deal further."""
        first = self.needs - 1 if self.needs > RARE else 0
        return range(first, self.needs + LOOKED_FURTHER)

    @contextmanager
    def planted(self) -> Iterator[None]:
        """The bug is there while the block runs."""
        with ExitStack() as stack:
            stack.enter_context(impatient())
            for where, name, value in self.patches():
                stack.enter_context(patch.object(where, name, value))
            yield


# ── the server ──────────────────────────────────────────────────────────────


def _acknowledge_before_the_commit() -> list[Patch]:
    """A commit that fails is taken for one that succeeded."""

    class Careless(crdtsync.database.transaction):
        def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
            with contextlib.suppress(sqlite3.Error):
                super().__exit__(kind, *rest)

    return [(ledger, "transaction", Careless)]


def _no_sync_at_the_commit() -> list[Patch]:
    """The server commits to the system's cache only."""
    thread = machines.ServerMachine._thread

    def opened(self: Any) -> Any:
        found = thread(self)
        found.connection.execute("PRAGMA synchronous = OFF")
        return found

    return [(machines.ServerMachine, "_thread", opened)]


def _forget_receipts_on_restart() -> list[Patch]:
    """Only this run of the server knows what it has accepted."""
    return [(group, "find_accepted", lambda *args: {})]


def _look_up_after_the_permission_check() -> list[Patch]:
    judge = group.Group._judge

    def permission_first(self: Any, *args: Any) -> Any:
        source, one = args
        roles = source.origin.roles
        check_against_policy(one.op, self._policy.collection(one.op.collection), roles)
        return judge(self, *args)

    return [(group.Group, "_judge", permission_first)]


def _settle_outside_the_log_entry() -> list[Patch]:
    """The losers go on the server, and the log entry does not list them."""
    log_entry = settling.log_entry

    def without_losers(op: Op, decision: Any, **more: Any) -> LogEntry:
        kept = tuple(gone for gone in decision.removed if not gone.why.startswith("lost"))
        return log_entry(op, msgspec.structs.replace(decision, removed=kept), **more)

    return [(group, "log_entry", without_losers)]


def _a_failed_group_keeps_the_next_one() -> list[Patch]:
    """What a failed group had decided stays in memory, and the next builds on it."""
    return [(cache.Cache, "forget", lambda self: None)]


def _ignore_after() -> list[Patch]:
    return [(group.Group, "_is_accepted", lambda self, op_id: True)]


def _digest_without_the_time() -> list[Patch]:
    def chain(previous: bytes, op_key: bytes, received_us: int) -> bytes:
        return hashlib.blake2b(previous + op_key, digest_size=16).digest()

    return [(group, "chain", chain), (checks, "chain", chain)]


# ── the replica ─────────────────────────────────────────────────────────────


def _recompute_supersedes_at_send() -> list[Patch]:
    start_sending = outbox.start_sending

    def recomputed(found: file.ReplicaFile, **more: Any) -> Any:
        pushed = start_sending(found, **more)
        return [msgspec.structs.replace(one, op=_superseding_all(found, one.op)) for one in pushed]

    return [(outbox, "start_sending", recomputed)]


def _superseding_all(found: file.ReplicaFile, op: Op) -> Op:
    state = confirmed(found, op.collection, op.record)
    writes = {
        root: msgspec.structs.replace(
            write,
            supersedes=tuple(dict.fromkeys([*write.supersedes, *state.fields.get(root, {})])),
        )
        if root == "r/allergies"
        else write
        for root, write in op.writes.items()
    }
    return msgspec.structs.replace(op, writes=writes)


def _no_inheritance() -> list[Patch]:
    return [(taking_back, "inherit", lambda op, *args, **more: op)]


def _drop_at_the_receipt() -> list[Patch]:
    def drop(found: file.ReplicaFile, row: outbox.Row, receipt: Any) -> None:
        found.run("drop_op", row.op_id)

    return [(outbox, "accept", drop)]


def _clear_the_outbox_on_refusal() -> list[Patch]:
    refused = outbox._refused

    def cleared(found: file.ReplicaFile, row: outbox.Row, answer: Any) -> None:
        refused(found, row, answer)
        found.run("drop_op", row.op_id)

    return [(outbox, "_refused", cleared)]


def _drop_a_candidate_on_resolve() -> list[Patch]:
    """A choice replaces whatever stands there by now, seen or not."""
    resolve = writing.resolve

    def all_of_them(state: Any, policy: Any, name: str, value: Any, seen: Any, author: Any) -> Op:
        every = list(state.fields.get(policy.fields[name].root, {}))
        chosen: Op = resolve(state, policy, name, value, every, author)
        return chosen

    return [(writing, "resolve", all_of_them)]


def _advance_past_a_gap() -> list[Patch]:
    apply = applying.apply_entries

    def skipping(found: file.ReplicaFile, entries: Any, now_us: int) -> Any:
        kept = [one if one.seq % 7 else Stub(one.seq, one.digest) for one in entries]
        return apply(found, kept, now_us)

    return [(applying, "apply_entries", skipping)]


def _trust_receipts_of_before() -> list[Patch]:
    """A receipt counts although the server may have been restored since."""
    return [(outbox, "to_ask", lambda found, paging: []), (outbox, "doubt_receipts", id)]


def _answer_before_the_disk() -> list[Patch]:
    """A local write returns before it is synced."""
    thread = machines.DeviceMachine._thread

    def opened(self: Any) -> Any:
        found = thread(self)
        found.connection.execute("PRAGMA synchronous = OFF")
        return found

    return [(machines.DeviceMachine, "_thread", opened)]


def _stuck_in_sending() -> list[Patch]:
    """Ops that were under way when a connection ended stay so."""
    return [(outbox, "connection_lost", lambda *_: None)]


def _only_the_end_of_a_connection_looks_after_sending() -> list[Patch]:
    """If the disk fails just then, nobody does it later."""
    greet = sync_jobs.greet

    def forgetful(found: file.ReplicaFile, *args: Any) -> Any:
        with patch.object(outbox, "connection_lost", lambda *_: None):
            return greet(found, *args)

    return [(sync_jobs, "greet", forgetful)]


def _wait_for_an_answer_for_ever() -> list[Patch]:
    return [(client_session, "ANSWER_SILENCES", 10**9)]


def _build_on_an_unsynced_wal() -> list[Patch]:
    return [(machines, "REWRITE_LOG", False)]


def _doubtful_receipts_do_not_hold_back() -> list[Patch]:
    queries = dict(file._SQL)
    queries["sendable"] = queries["sendable"].replace(" OR p.seq IS NULL", "")
    return [(file, "_SQL", queries)]


# ── documents ───────────────────────────────────────────────────────────────


def _merge_whatever_was_compacted() -> list[Patch]:
    """The marks of two documents are not compared."""

    def merge(self: document.RecordDocument, data: bytes) -> bool:
        decoded = decode_update(data)
        change = Change(self._items)
        change.take(decoded, 0)
        if change:
            self._commit(change)
        return bool(change)

    return [(document.RecordDocument, "merge", merge)]


def _edits_that_wait_inherit_nothing() -> list[Patch]:
    return [(taking_back, "_joined", lambda write, other: write.supersedes)]


# ── permissions ─────────────────────────────────────────────────────────────


def _share_frames_with_everyone() -> list[Patch]:
    """Log entries go out as they are, whoever reads."""
    return [(hub.Frame, "seen_by", lambda self, sight: self.data)]


def _snapshots_hold_everything() -> list[Patch]:
    """Records go out as they lie on the server's disk."""
    return [(reading, "redact_record", lambda collection, stored, seen: stored)]


def _keep_what_was_withdrawn() -> list[Patch]:
    """A device keeps what its user may no longer see until it is written anew."""
    return [(seeing, "_forget_hidden", lambda file, sight: set())]


def _page_nothing_anew() -> list[Patch]:
    """A role that was granted shows what is written from then on only."""

    def as_before(hello: Any, admission: Any, diverged: Any, view: str) -> Any:
        return where_to_start(hello, admission, diverged, hello.view)

    return [(server_session, "where_to_start", as_before)]


ROLLBACKS = ("server rolled back", "server backup", "cut", "airplane mode", "device killed")
DISKS = ("server disk fails", "device disk fails", "server power cut", "device power cut")
ROLES = ("role withdrawn", "policy signed", "user switched", "airplane mode")
REFUSALS = ("role withdrawn", "policy signed", "cut", "airplane mode")
CUTS = ("cut", "airplane mode", "partition", "server killed")
RESTARTS = ("cut", "server killed", "server crash in a job", "partition", "airplane mode")

MUTANTS = (
    Mutant(
        "acknowledge before the commit",
        _acknowledge_before_the_commit,
        DISKS,
        frozenset({"invariant 2", "invariant 3"}),
        2,
    ),
    Mutant(
        "no sync at the server's commit",
        _no_sync_at_the_commit,
        DISKS,
        frozenset({"DatabaseError", "NotAlive", "invariant 2"}),
        1,
    ),
    Mutant(
        "forget receipts on restart",
        _forget_receipts_on_restart,
        RESTARTS,
        frozenset({"NotAlive", "invariant 3"}),
        38,
    ),
    Mutant(
        "look up the op_id after the permission check",
        _look_up_after_the_permission_check,
        REFUSALS,
        frozenset({"invariant 3"}),
        28,
    ),
    Mutant(
        "settle outside the log entry",
        _settle_outside_the_log_entry,
        CUTS,
        frozenset({"invariant 5"}),
        1,
    ),
    Mutant(
        "a failed group keeps the next one",
        _a_failed_group_keeps_the_next_one,
        DISKS,
        frozenset({"Fault", "invariant 3"}),
        2,
    ),
    Mutant(
        "ignore `after`",
        _ignore_after,
        DISKS,
        frozenset({"invariant 10"}),
        15,
    ),
    Mutant(
        "recompute supersedes at send",
        _recompute_supersedes_at_send,
        CUTS,
        frozenset({"invariant 6"}),
        1,
    ),
    Mutant(
        "no inheritance on refusal and discard",
        _no_inheritance,
        REFUSALS,
        frozenset({"invariant 6"}),
        39,
    ),
    Mutant(
        "drop the outbox row at the receipt",
        _drop_at_the_receipt,
        CUTS,
        frozenset({"invariant 4"}),
        12,
    ),
    Mutant(
        "clear the outbox on refusal",
        _clear_the_outbox_on_refusal,
        REFUSALS,
        frozenset({"invariant 10", "invariant 4"}),
        4,
    ),
    Mutant(
        "drop a candidate on resolve",
        _drop_a_candidate_on_resolve,
        CUTS,
        frozenset({"invariant 6"}),
        28,
    ),
    Mutant(
        "advance the cursor past a gap",
        _advance_past_a_gap,
        CUTS,
        frozenset({"invariant 5"}),
        1,
    ),
    Mutant(
        "trust receipts of an earlier connection",
        _trust_receipts_of_before,
        ROLLBACKS,
        frozenset({"invariant 4"}),
        8,
    ),
    Mutant(
        "a local write returns before it is synced",
        _answer_before_the_disk,
        DISKS,
        frozenset({"DatabaseError", "NotAlive", "invariant 4"}),
        1,
    ),
    Mutant(
        "stuck in sending",
        _stuck_in_sending,
        CUTS,
        frozenset({"NotAlive"}),
        1,
    ),
    Mutant(
        "merge a compacted document with an older one",
        _merge_whatever_was_compacted,
        CUTS,
        frozenset({"invariant 5"}),
        1,
    ),
    Mutant(
        "digest without the receive time",
        _digest_without_the_time,
        ROLLBACKS,
        frozenset({"invariant 5"}),
        80,
        was_real=True,
    ),
    Mutant(
        "build on an unsynced WAL",
        _build_on_an_unsynced_wal,
        DISKS,
        frozenset({"invariant 2", "invariant 4"}),
        4,
        was_real=True,
    ),
    Mutant(
        "sending is put right at the end of a connection only",
        _only_the_end_of_a_connection_looks_after_sending,
        ("device disk fails", "device disk full", "cut", "airplane mode"),
        frozenset({"NotAlive"}),
        42,
        was_real=True,
    ),
    Mutant(
        "wait for an answer for ever",
        _wait_for_an_answer_for_ever,
        CUTS,
        frozenset({"NotAlive"}),
        102,
        was_real=True,
    ),
    Mutant(
        "a receipt in doubt holds nothing back",
        _doubtful_receipts_do_not_hold_back,
        ROLLBACKS,
        frozenset({"invariant 10"}),
        206,
        was_real=True,
    ),
    Mutant(
        "log entries are not redacted",
        _share_frames_with_everyone,
        ROLES,
        frozenset({"invariant 12"}),
        4,
    ),
    Mutant(
        "snapshots are not redacted",
        _snapshots_hold_everything,
        ROLES,
        frozenset({"invariant 12"}),
        3,
    ),
    Mutant(
        "a withdrawn field stays on the device",
        _keep_what_was_withdrawn,
        ROLES,
        frozenset({"invariant 12"}),
        3,
    ),
    Mutant(
        "a granted role pages nothing anew",
        _page_nothing_anew,
        ROLES,
        frozenset({"invariant 5"}),
        3,
    ),
)
