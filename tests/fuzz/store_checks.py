"""What must be true of the server's store after any batch of frames whatsoever.

The log is gap-free and its digests chain; each of its entries is an op that was
sent, whole; receipts, records, graves and conflicts say what the log says, and
nothing in any table comes from an op that is not in the log.
"""

from __future__ import annotations

import hashlib
import sqlite3
import uuid
from collections import defaultdict
from decimal import Decimal, localcontext

from crdtsync.documents.folding import add_deltas, fold_counters
from crdtsync.documents.ops import DELETION_ROOT, FieldWrite, Op, content_digest
from crdtsync.documents.reading import is_deleted
from crdtsync.documents.state import LogEntry, RecordState
from crdtsync.policy import CollectionPolicy, MergeKind
from crdtsync.protocol.messages import Receipt
from crdtsync_server.simulation.model import Accepted, LogModel, Meaning
from crdtsync_server.storage.keys import SEQ_BITS
from crdtsync_server.storage.receipts import ENTRY_DECODER
from tests.fuzz.known import Known
from tests.fuzz.rules import POLICY
from tests.fuzz.target import Found

DIGITS = 2_000
"""Of sums of decimals: wide enough that none is rounded."""

Where = tuple[int, str, str]


class StoreChecks:
    """Follows the log of every space, batch by batch."""

    def __init__(self, connection: sqlite3.Connection, known: Known) -> None:
        self._connection = connection
        self._known = known
        self._heads: dict[int, tuple[int, bytes]] = defaultdict(lambda: (0, b""))
        self._states: dict[Where, RecordState] = {}
        self._log: dict[int, LogEntry] = {}
        self.places: dict[str, int] = {}
        """Of the accepted ops in all logs."""
        self._fresh: set[str] = set()
        self.decided: dict[tuple[str, int], Op] = {}
        """Ops as they were decided, by op_id and receive time; the last is the accepted one."""
        self._ops: dict[int, Op] = {}

    @property
    def accepted(self) -> int:
        """Ops in all logs."""
        return len(self._log)

    # ── after each batch ────────────────────────────────────────────────────

    def check(self) -> None:
        """Raises Found."""
        before = {space_id: head[0] for space_id, head in self._heads.items()}
        touched = self._follow_log()
        for space_id in self._heads:
            before.setdefault(space_id, 0)
        for where in touched:
            self._check_record(where)
        self._check_counts()
        self._check_graves(before)

    def _follow_log(self) -> set[Where]:
        touched: set[Where] = set()
        self._fresh.clear()
        spaces = self._connection.execute("SELECT id, name, seq, digest FROM spaces").fetchall()
        for space_id, name, head_seq, head_digest in spaces:
            seq, digest = self._heads[space_id]
            bounds = (space_id << SEQ_BITS | seq, space_id << SEQ_BITS | (1 << SEQ_BITS) - 1)
            for place, content, data in self._connection.execute(
                "SELECT position, content_digest, entry FROM log "
                "WHERE position > ? AND position <= ? ORDER BY position",
                bounds,
            ):
                entry = ENTRY_DECODER.decode(data)
                seq += 1
                if place != space_id << SEQ_BITS | seq or entry.seq != seq:
                    raise Found(f"the log has a gap: {entry.seq} stands where {seq} belongs")
                op_id = uuid.UUID(entry.op_id).bytes
                link = digest + op_id + entry.received_us.to_bytes(8, "big")
                digest = hashlib.blake2b(link, digest_size=16).digest()
                if digest != entry.digest:
                    raise Found(f"the digest of seq {seq} does not chain")
                self._check_whole(place, entry, content)
                touched.add(self._apply(space_id, entry))
                self._check_receipt(op_id, place)
                self._check_supersedes(place, entry)
                if entry.op_id in self.places:
                    raise Found(f"{entry.op_id} is in the log twice")
                self.places[entry.op_id] = place
                self._fresh.add(entry.op_id)
                self._log[place] = entry
                self._known.logs[name].append((seq, digest))
            if (seq, digest) != (head_seq, head_digest):
                raise Found(f"the head {head_seq} is not the end of the log, {seq}")
            self._heads[space_id] = seq, digest
        return touched

    def _check_whole(self, place: int, entry: LogEntry, content: bytes) -> None:
        op = self.decided.get((entry.op_id, entry.received_us))
        if op is None:
            raise Found(f"{entry.op_id} is in the log and was never decided")
        written = {root: write.values for root, write in op.writes.items()}
        said = (entry.user, entry.collection, entry.record, entry.time_us, entry.writes)
        if said != (op.user, op.collection, op.record, op.time_us, written):
            raise Found(f"{entry.op_id} is in the log in part only")
        if content != content_digest(op) or set(entry.outcomes) != set(written):
            raise Found(f"the receipt of {entry.op_id} is not that of its op")
        self._ops[place] = op

    def _check_receipt(self, op_id: bytes, place: int) -> None:
        row = self._connection.execute(
            "SELECT position FROM receipts WHERE op_id = ?", (op_id,)
        ).fetchone()
        if row is None or row[0] != place:
            raise Found(f"the log entry at {place} has the receipt {row}")

    def _check_supersedes(self, place: int, entry: LogEntry) -> None:
        """An entry of another field or record is refused, if its op is known."""
        for root, write in self._ops[place].writes.items():
            for seen in write.supersedes:
                there = self.places.get(seen.op_id)
                if there is None:
                    continue
                other = self._log[there]
                if there >> SEQ_BITS != place >> SEQ_BITS and seen.op_id in self._fresh:
                    continue  # in another space in the same batch: perhaps it came later
                same = (other.collection, other.record) == (entry.collection, entry.record)
                if there >> SEQ_BITS != place >> SEQ_BITS or not same or root not in other.writes:
                    raise Found(f"{entry.op_id} supersedes what stands elsewhere, and was taken")

    def check_answer(self, op: Op, receipt: Receipt) -> None:
        """A receipt is that of the very op that was sent, and always the same (invariant 3)."""
        place = self.places.get(receipt.op_id)
        if place is None:
            raise Found(f"a receipt for what is not in the log: {receipt}")
        entry, accepted = self._log[place], self._ops[place]
        if content_digest(op) != content_digest(accepted):
            raise Found(f"for {str(op)[:500]} the receipt of another op was given")
        if (receipt.seq, receipt.received_us, receipt.outcomes) != (
            entry.seq,
            entry.received_us,
            entry.outcomes,
        ):
            raise Found(f"another receipt than the first: {receipt} {entry}")

    def _apply(self, space_id: int, entry: LogEntry) -> Where:
        where = (space_id, entry.collection, entry.record)
        state = self._states.get(where)
        if state is None:
            state = self._states[where] = RecordState(entry.collection, entry.record)
        if entry.prev_seq != state.seq:
            raise Found(f"seq {entry.seq} does not name the entry before it, {state.seq}")
        state.apply_entry(entry)
        return where

    def _check_record(self, where: Where) -> None:
        row = self._connection.execute(
            "SELECT position, state FROM records WHERE space = ? AND collection = ? AND record = ?",
            where,
        ).fetchone()
        state = self._states[where]
        if row is None or row[0] != where[0] << SEQ_BITS | state.seq:
            raise Found(f"the row of {where} does not stand as of seq {state.seq}")
        stored = RecordState.decode(where[1], where[2], row[1])
        if _plain(stored) != _plain(state):
            raise Found(f"{where} is not what the log says: {_plain(stored)} {_plain(state)}")
        # As the server does: else a counter's deltas would pile up here.
        fold_counters(state)

    def _check_counts(self) -> None:
        for table in ("log", "receipts"):
            (count,) = self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()
            if count != len(self._log):
                raise Found(f"{count} rows of {table}, but {len(self._log)} ops")
        (count,) = self._connection.execute("SELECT count(*) FROM records").fetchone()
        if count != len(self._states):
            raise Found(f"{count} records stand there, and the log tells of {len(self._states)}")

    def _check_graves(self, before: dict[int, int]) -> None:
        for statement in (
            "SELECT count(*) FROM graves WHERE position NOT IN (SELECT position FROM log)",
            "SELECT count(*) FROM graves JOIN receipts ON receipts.op_id = graves.op_id",
        ):
            (count,) = self._connection.execute(statement).fetchone()
            if count:
                raise Found(f"{count} graves were dug by no op, or are of ops in the log")
        for space_id, seq in before.items():
            self._check_new_graves(space_id, seq)

    def _check_new_graves(self, space_id: int, after_seq: int) -> None:
        named: dict[int, set[tuple[str, str, int]]] = {}
        bounds = (space_id << SEQ_BITS | after_seq, space_id + 1 << SEQ_BITS)
        for op_id, root, n, space, collection, record, place in self._connection.execute(
            "SELECT lower(hex(op_id)), root, n, space, collection, record, position "
            "FROM graves WHERE position > ? AND position < ?",
            bounds,
        ):
            digger = self._ops[place]
            if place not in named:
                named[place] = {
                    (seen.op_id.replace("-", ""), seen_root, seen.n)
                    for seen_root, write in digger.writes.items()
                    for seen in write.supersedes
                }
            where = (digger.collection, digger.record, space_id)
            if (collection, record, space) != where or (op_id, root, n) not in named[place]:
                raise Found(f"a grave at {place} for what its op does not supersede")

    # ── at the end ──────────────────────────────────────────────────────────

    def check_meaning(self) -> None:
        """Values, deletions and conflicts are those of the simulator's plain model."""
        models: dict[tuple[int, str], LogModel] = defaultdict(LogModel)
        opened: set[tuple[int, str, str, str]] = set()
        with localcontext(prec=DIGITS):
            for place, entry in sorted(self._log.items()):
                op = _as_the_model_takes_it(self._ops[place])
                policy = POLICY.collection(entry.collection)
                model = models[place >> SEQ_BITS, entry.collection]
                model.accept(Accepted(op, entry.seq, entry.received_us, policy))
            for (space_id, collection), model in models.items():
                policy = POLICY.collection(collection)
                for record, meaning in model.records.items():
                    where = (space_id, collection, record)
                    self._check_values(where, policy, meaning)
                    opened |= {
                        (*where, root)
                        for root in meaning.conflicts(policy)
                        if policy.by_root[root].merge is MergeKind.MANUAL
                    }
        self._check_conflicts(opened)

    def _check_values(
        self, where: tuple[int, str, str], policy: CollectionPolicy, meaning: Meaning
    ) -> None:
        state = self._states[where]
        for name, field in policy.fields.items():
            shown = [entry.value for entry in state.visible(field.root)]
            meant = [value for value, _ in meaning.visible[field.root].values()]
            if field.merge is MergeKind.COUNTER:
                total = sum(Decimal(text.strip('"')) for text in meant)
                same = total == Decimal(add_deltas(shown).strip('"'))
            else:
                same = {field.key(text) for text in meant} == {field.key(text) for text in shown}
            if not same:
                raise Found(f"{where} {name}: {shown}, but the ops say {meant}")
        deleted = any(state.visible(DELETION_ROOT)) and _is_deleted(state)
        if deleted != meaning.is_deleted(policy):
            raise Found(f"{where} is deleted: {deleted}, but the ops say otherwise")

    def _check_conflicts(self, opened: set[tuple[int, str, str, str]]) -> None:
        rows = self._connection.execute(
            "SELECT space, collection, record, root FROM conflicts WHERE status = 'open'"
        ).fetchall()
        if len(rows) != len(set(rows)) or set(rows) != opened:
            raise Found(f"open conflicts {rows}, but the ops say {opened}")
        for seq, op_id, space_id in self._connection.execute(
            "SELECT conflict_events.seq, conflict_events.op_id, conflicts.space "
            "FROM conflict_events JOIN conflicts ON conflicts.id = conflict_events.conflict"
        ):
            entry = self._log.get(space_id << SEQ_BITS | seq)
            if entry is None or entry.op_id != op_id:
                raise Found(f"a conflict tells of {op_id}, which is not at {seq}")


def _plain(state: RecordState) -> dict[str, object]:
    """What is visible; of a counter the sum, because only the server folds."""
    found: dict[str, object] = {}
    for root, entries in state.fields.items():
        if root.startswith("c/"):
            found[root] = add_deltas([entry.value for entry in entries.values()])
        elif entries:
            found[root] = entries
    return found


def _is_deleted(state: RecordState) -> bool:
    return is_deleted(state, POLICY.collection(state.collection))


def _as_the_model_takes_it(op: Op) -> Op:
    """The model tells deletes by their op_id alone; one that is named with n > 0 is none."""
    write = op.writes.get(DELETION_ROOT)
    if write is None:
        return op
    named = tuple(seen for seen in write.supersedes if seen.n == 0)
    writes = {DELETION_ROOT: FieldWrite(write.values, named)}
    return Op(op.op_id, op.user, op.collection, op.record, op.time_us, writes, op.replaces)
