"""One group at work: a transaction in which ops are decided one after the other."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from crdtsync.documents.errors import InvalidOp
from crdtsync.documents.folding import fold_counters
from crdtsync.documents.identity import item_ids_of
from crdtsync.documents.ops import (
    DELETION_ROOT,
    MAX_DELETE_BASE,
    SAFE_INTEGER,
    DeleteMark,
    EntryId,
    Op,
    check_op,
    content_digest,
)
from crdtsync.documents.settling import (
    Decision,
    ItemIds,
    check_against_policy,
    decide,
    log_entry,
)
from crdtsync.documents.state import LogEntry, RecordState
from crdtsync.policy import InvalidValue, Policy
from crdtsync.protocol.admission import Admission
from crdtsync.protocol.messages import (
    Answer,
    Held,
    Landmark,
    PushedOp,
    Receipt,
    RefusedOp,
    Transient,
)
from crdtsync_server.observing.logs import event
from crdtsync_server.observing.recording import Recording
from crdtsync_server.storage.acknowledged import store_acknowledged
from crdtsync_server.storage.admitting import read_admission
from crdtsync_server.storage.bounds import Bounds
from crdtsync_server.storage.cache import Cache, SpaceHead
from crdtsync_server.storage.conflicts import note_conflicts
from crdtsync_server.storage.graves import NO_GRAVES, Graves
from crdtsync_server.storage.held import CachedRecord
from crdtsync_server.storage.keys import chain, position, uuid_bytes, uuid_text
from crdtsync_server.storage.receipts import (
    ENTRY_DECODER,
    ENTRY_ENCODER,
    Accepted,
    find_accepted,
    first_receipt,
    read_receipts,
)
from crdtsync_server.storage.retention import REGISTER
from crdtsync_server.storage.rows import Rows
from crdtsync_server.storage.sizes import check_size
from crdtsync_server.work import (
    AdmitWork,
    Check,
    LookUpWork,
    Notes,
    Origin,
    Published,
    PushWork,
    Result,
    Work,
)

logger = logging.getLogger("crdtsync.server.ingest")

POISON_RETRY_MS = 60_000
"""An op whose decision met a fault of the server: it needs a mended server, not a person."""

DELETE_WALK = MAX_DELETE_BASE + 1_000
"""Log entries of a record that a delete is judged by. All that it may name, and as many
deletes as devices may make at once; every group waits while it walks."""

_OUTBOX_ENCODER = msgspec.msgpack.Encoder()


class Spoiled(Exception):
    """A group that stopped in the middle of accepting an op: none of it may stand."""


@dataclass(slots=True)
class _Source:
    """The push that an op came with."""

    origin: Origin
    head: SpaceHead
    replica: int
    request_id: bytes
    check: Check | None
    entries: list[bytes]
    """Of its space, as they go out when the group is committed."""


class Group:
    """Decides ops on top of the database and of what this group decided before."""

    def __init__(
        self,
        policy: Policy,
        cache: Cache,
        sql: Mapping[str, str],
        connection: sqlite3.Connection,
        now_us: int,
        bounds: Bounds,
        recording: Recording | None = None,
    ) -> None:
        self._policy = policy
        self._bounds = bounds
        self._cache = cache
        self._sql = sql
        self._connection = connection
        self._now_us = now_us
        self._rows = Rows(cache, sql, connection, now_us)
        self._recording = recording
        self._keys: dict[str, bytes] = {}
        self._accepted: dict[bytes, Accepted] = {}
        self._stored: dict[bytes, Accepted] = {}
        self._log: dict[int, LogEntry] = {}
        self._graves = Graves(connection, sql)
        self._fenced_by: dict[tuple[str, str], Origin] = {}
        self._entries: dict[str, list[bytes]] = {}
        self._log_starts: dict[int, int] = {}

    def perform_all(self, works: Sequence[Work]) -> list[Result]:
        """Decide in order. Raises only for faults that spoil the whole group."""
        self._prefetch(works)
        return [self._perform(work) for work in works]

    def published(self) -> list[Published]:
        """The new log entries by space, for when the group is committed."""
        found = []
        for space, entries in self._entries.items():
            if not entries:
                continue
            head = self._cache.heads[space]
            landmark = Landmark(head.seq, head.digest)
            found.append(Published(space, head.seq - len(entries) + 1, entries, landmark))
        return found

    # ── works ───────────────────────────────────────────────────────────────

    def _perform(self, work: Work) -> Result:
        origin = work.origin
        if origin.fenced:
            return None
        if isinstance(work, AdmitWork):
            return self._admit(work)
        if self._fenced_by and self._is_fenced(origin):
            return None
        if isinstance(work, PushWork):
            return self._push(work)
        return self._look_up(work)

    def _is_fenced(self, origin: Origin) -> bool:
        """Whether this group has admitted a newer connection of the replica."""
        return self._fenced_by.get((origin.space, origin.replica_id), origin) is not origin

    def _push(self, work: PushWork) -> list[Answer]:
        origin, push = work.origin, work.push
        head = self._rows.head(origin.space)
        replica = self._rows.replica(head.space_id, origin)
        entries = self._entries.setdefault(origin.space, [])
        key = uuid_bytes(push.request_id)
        source = _Source(origin, head, replica, key, work.check, entries)
        first_seq = head.seq + 1
        answers = [self._answer(source, pushed) for pushed in push.ops]
        if head.seq >= first_seq:
            self._rows.grow(origin.space)
        if self._recording is not None:
            place, seqs = (head.space_id, replica), (first_seq, head.seq + 1)
            self._recording.note_push(work, place, source.request_id, seqs, answers)
        return answers

    def _look_up(self, work: LookUpWork) -> list[Receipt]:
        self.flush()
        return read_receipts(self._connection, self._sql, work.origin, work.op_ids, self._policy)

    def _admit(self, work: AdmitWork) -> Admission:
        hello, origin = work.hello, work.origin
        head = self._rows.head(origin.space)
        self.flush()
        admission = read_admission(self._connection, self._sql, hello, self._now_us)
        if admission.known_run:
            self._fenced_by[(origin.space, origin.replica_id)] = origin
            replica = self._rows.replica(head.space_id, origin)
            self._connection.execute(
                self._sql["admit_replica"],
                (
                    hello.run,
                    origin.user,
                    hello.device,
                    hello.software,
                    _OUTBOX_ENCODER.encode(hello.outbox),
                    hello.cursor.seq,
                    self._now_us,
                    replica,
                ),
            )
            if self._recording is not None:
                self._recording.note_admitted(work, replica, admission)
        return admission

    # ── ops ─────────────────────────────────────────────────────────────────

    def _answer(self, source: _Source, pushed: PushedOp) -> Answer:
        op = pushed.op
        try:
            return self._judge(source, pushed)
        except InvalidOp as error:
            return RefusedOp(op.op_id, error.code, error.field, str(error))
        except InvalidValue as error:
            return RefusedOp(op.op_id, error.code, error.field, str(error), error.params)
        except (sqlite3.Error, Spoiled):
            raise
        except Exception:
            # One op must not hold back everyone else's for ever.
            logger.exception(
                event(
                    "an op could not be decided",
                    op_id=op.op_id,
                    request_id=uuid_text(source.request_id),
                    user_id=source.origin.user,
                    space=source.origin.space,
                )
            )
            return Transient(op.op_id, "server_error", POISON_RETRY_MS)

    def _judge(self, source: _Source, pushed: PushedOp) -> Answer:
        recording = self._recording
        watch = recording.stopwatch() if recording is not None and recording.timing else None
        origin, head = source.origin, source.head
        op = pushed.op
        check_op(op)
        if op.user != origin.user:
            # Before anything is looked up: else whoever knows an op_id could try what is in it.
            raise InvalidOp(
                "not_the_author",
                "this was written by someone else; it goes out under their sign-in",
            )
        key = self._keys[op.op_id]
        content = content_digest(op)
        known = self._accepted.get(key) or self._stored.get(key)
        if known is not None:
            return first_receipt(known, content, head.space_id)
        collection = self._policy.collections.get(op.collection)
        if collection is None:
            raise self._no_such_collection(op.collection)
        check_against_policy(op, collection, origin.roles)
        if pushed.after is not None and not self._is_accepted(pushed.after):
            return Held(op.op_id, pushed.after)
        if watch is not None:
            watch.validated()
        cached = self._rows.record(head.space_id, op.collection, op.record)
        if source.check is not None:
            source.check(op, cached.whole())
        state = cached.opened((*op.writes, DELETION_ROOT))
        if not state.seq:
            self._cache.filling.check_record(
                self._connection, self._sql, head.space_id, self._bounds
            )
        graves = NO_GRAVES
        if self._graves:
            graves = self._graves.of(key, head.space_id, op.collection, op.record)
        received_us = max(self._now_us, head.received_us)
        ids = ItemIds(item_ids_of(op), cached.item_ids())
        decision = decide(
            state,
            op,
            collection,
            received_us=received_us,
            graves=graves,
            ops_since=lambda seq: self._ops_since(head.space_id, state, seq),
            ids=ids,
        )
        missing = self._check_unseen(head.space_id, op, decision) if decision.unseen else []
        grown_bytes = check_size(cached, op, decision)
        seq = head.seq + 1
        digest = chain(head.digest, key, received_us)
        entry = log_entry(
            op,
            decision,
            seq=seq,
            digest=digest,
            received_us=received_us,
            prev_seq=state.seq,
        )
        encoded = ENTRY_ENCODER.encode(entry)
        accepted = Accepted(head.space_id, content, entry)
        try:
            self._accept(head, key, accepted, decision, missing, cached, state, ids)
        except sqlite3.Error:
            raise
        except Exception as error:
            raise Spoiled(f"accepting {op.op_id} stopped half way") from error
        self._cache.resize(cached, cached.size_bytes + grown_bytes)
        source.entries.append(encoded)
        self._rows.add_log(
            (
                position(head.space_id, seq),
                content,
                encoded,
                source.request_id,
                source.replica,
                _bounded(pushed.attempts),
                _bounded(pushed.created_us),
            )
        )
        if recording is not None:
            recording.note_accepted(len(encoded), watch)
        return accepted.receipt

    def _no_such_collection(self, name: str) -> InvalidOp:
        return InvalidOp(
            "unknown_collection",
            f"the policy has no collection {name!r}; known: {', '.join(self._policy.collections)}",
        )

    def _accept(
        self,
        head: SpaceHead,
        key: bytes,
        accepted: Accepted,
        decision: Decision,
        missing: list[tuple[bytes, str, int]],
        cached: CachedRecord,
        state: RecordState,
        ids: ItemIds,
    ) -> None:
        """Make the decision true for what comes after it in this group."""
        entry = accepted.entry
        place = position(head.space_id, entry.seq)
        if decision.conflicts:
            note_conflicts(self._connection, self._sql, head.space_id, entry, decision.conflicts)
            if self._recording is not None:
                self._recording.note_conflicts(entry.collection, decision.conflicts)
        filling = self._cache.filling
        if self._graves:
            for dug_from in self._graves.close(key):
                filling.grave_closed(dug_from)
        if missing:
            dug = self._graves.dig(missing, place, entry.collection, entry.record)
            filling.graves_dug(place, entry.user, dug)
        if not state.seq:
            filling.record_added(head.space_id)
        if decision.removed:
            self._keep_what_leaves(head, decision, cached.row_id, state)
        head.seq, head.digest, head.received_us = entry.seq, entry.digest, entry.received_us
        state.apply_entry(entry)
        cached.ids = b"".join((ids.visible, *ids.own))
        if fold_counters(state):
            cached.ids = None
        self._rows.touch(cached)
        self._accepted[key] = accepted
        self._log[place] = entry
        self._rows.add_receipt(key, place)

    def _keep_what_leaves(
        self, head: SpaceHead, decision: Decision, row_id: int, state: RecordState
    ) -> None:
        """A value whose own log row was trimmed is history from now on (invariant 7)."""
        log_start = self._log_starts.get(head.space_id)
        if log_start is None:
            # Read once a group: trimming happens between groups.
            row = self._connection.execute(self._sql["log_start"], (head.space_id,)).fetchone()
            log_start = self._log_starts[head.space_id] = int(row[0])
        if log_start == 1:
            return
        for gone in decision.removed:
            if not gone.root.startswith(REGISTER):
                continue
            entry = state.fields.get(gone.root, {}).get(EntryId(gone.op_id, gone.n))
            if entry is not None and entry.seq < log_start:
                place = position(head.space_id, entry.seq)
                key = uuid_bytes(entry.op_id)
                kept = (row_id, gone.root, key, place, entry.value, None, None)
                self._connection.execute(self._sql["keep_value"], kept)

    def _is_accepted(self, op_id: str) -> bool:
        key = self._keys.get(op_id)
        return key is not None and (key in self._accepted or key in self._stored)

    def _check_unseen(
        self, space_id: int, op: Op, decision: Decision
    ) -> list[tuple[bytes, str, int]]:
        """Superseded entries that nobody has sent yet: (op_id, root, n) of the graves to dig.

        Raises InvalidOp where an entry of another field or record is named.
        """
        keys = {seen.op_id: uuid_bytes(seen.op_id) for _, seen in decision.unseen}
        asked = [key for key in keys.values() if key not in self._accepted]
        stored = find_accepted(self._connection, self._sql["find_receipts"], asked)
        missing: list[tuple[bytes, str, int]] = []
        for root, seen in decision.unseen:
            key = keys[seen.op_id]
            known = self._accepted.get(key) or stored.get(key)
            if known is None:
                missing.append((key, root, seen.n))
            elif not known.wrote(space_id, op.collection, op.record, root):
                raise InvalidOp(
                    "bad_supersedes", f"{root}: an entry of another field or record is superseded"
                )
        if missing:
            self._cache.filling.check_graves(
                self._connection, self._sql, space_id, op.user, len(missing), self._bounds
            )
        return missing

    def _ops_since(
        self, space_id: int, state: RecordState, since_seq: int
    ) -> Iterator[tuple[int, str, bool]]:
        """The record's log entries above ``since_seq``, newest first, for a delete's base."""
        seq = state.seq
        for _ in range(DELETE_WALK):
            if seq <= since_seq:
                return
            entry = self._log_entry(space_id, seq)
            yield seq, entry.op_id, _is_delete(entry)
            seq = entry.prev_seq
        if seq > since_seq:
            # Further back than any base reaches: an edit that nobody names, so the record stays.
            yield seq, "", False

    def _log_entry(self, space_id: int, seq: int) -> LogEntry:
        place = position(space_id, seq)
        known = self._log.get(place)
        if known is not None:
            return known
        row = self._connection.execute(self._sql["log_entry"], (place,)).fetchone()
        return ENTRY_DECODER.decode(row[0])

    # ── rows ────────────────────────────────────────────────────────────────

    def _prefetch(self, works: Sequence[Work]) -> None:
        """One look-up for all op_ids of the group, in place of one each, and for its records."""
        records: dict[tuple[str, str], dict[str, None]] = {}
        for work in works:
            if isinstance(work, PushWork) and not work.origin.fenced:
                for pushed in work.push.ops:
                    op = pushed.op
                    self._add_key(op.op_id)
                    records.setdefault((work.origin.space, op.collection), {})[op.record] = None
                    if pushed.after is not None:
                        self._add_key(pushed.after)
        if self._keys:
            keys = list(dict.fromkeys(self._keys.values()))
            self._stored = find_accepted(self._connection, self._sql["find_receipts"], keys)
            self._graves.prefetch(keys)
            for (space, collection), names in records.items():
                self._rows.prefetch(space, collection, names)

    def _add_key(self, op_id: str) -> None:
        """Ids that nobody has checked yet: what is none has no key."""
        if op_id not in self._keys:
            try:
                self._keys[op_id] = uuid_bytes(op_id)
            except ValueError:
                return

    def flush(self) -> None:
        """Write what was decided so far, so that statements see it."""
        self._rows.flush()

    @property
    def written_bytes(self) -> list[int]:
        """Sizes of the records that were written, in their stored form."""
        return self._rows.written_bytes

    def store_notes(self, notes: Notes) -> None:
        """What replicas reported about themselves."""
        if self._recording is not None:
            self._recording.note_cursors(notes.cursors)
        for (space, replica_id), note in notes.cursors.items():
            outbox = _OUTBOX_ENCODER.encode(note.outbox)
            self._connection.execute(
                self._sql["note_cursor"],
                (note.seq, note.at_us, outbox, note.at_us, space, replica_id),
            )
        store_acknowledged(self._connection, self._sql, notes.acknowledged)


def _bounded(number: int) -> int:
    """A number that a device told, as the database can hold it; none counts below 0."""
    return number if 0 <= number <= SAFE_INTEGER else SAFE_INTEGER if number > 0 else 0


def _is_delete(entry: LogEntry) -> bool:
    values = entry.writes.get(DELETION_ROOT)
    return values is not None and DeleteMark.parse(values[0]).deleted
