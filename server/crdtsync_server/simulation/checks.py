"""The invariants of DESIGN.md, demanded of a running world after every step.

Each failure names the invariant that broke. Nothing here asks the code under
test what is right: the book knows what people wrote, the model what a log means.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from crdtsync.documents.ops import DELETION_ROOT, EntryId, Op
from crdtsync.documents.reading import is_deleted
from crdtsync.documents.state import FOLD_PREFIX, LogEntry, RecordState
from crdtsync.protocol.codec import decode_server
from crdtsync.protocol.messages import Answers, Changes, Held, Receipt, Receipts, RefusedOp
from crdtsync.replica import outbox
from crdtsync.replica.taking_back import Cancelling
from crdtsync_server.simulation.book import Broken
from crdtsync_server.simulation.machines import DeviceMachine
from crdtsync_server.simulation.model import LogModel, Moment
from crdtsync_server.simulation.permissions import Permissions, hidden_on, seen_of
from crdtsync_server.simulation.rules import POLICIES
from crdtsync_server.storage.keys import chain, uuid_bytes
from crdtsync_server.storage.receipts import ENTRY_DECODER

if TYPE_CHECKING:
    from crdtsync_server.simulation.world import World


class Checks:
    """What was seen so far, and what is demanded of it."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.model = LogModel()
        self.digests: list[bytes] = [b""]
        self._receipts: dict[str, Receipt] = {}
        self._unproved: list[tuple[str, int, str]] = []
        self._seen_frames: set[bytes] = set()
        self._cursor_of: dict[str, Any] = {}
        self.permissions = Permissions()

    # ── what leaves the server ──────────────────────────────────────────────

    def frame_left_server(self, frame: bytes) -> None:
        """Remember what the server has promised by sending this."""
        if frame[1:9] not in (b"\xa7answers", b"\xa7changes") and frame[1:10] != b"\xa8receipts":
            return
        if frame in self._seen_frames:
            return
        self._seen_frames.add(frame)
        message = decode_server(frame)
        if isinstance(message, Changes):
            for entry in message.entries:
                if isinstance(entry, LogEntry):
                    self._unproved.append((entry.op_id, entry.seq, "log entry"))
        elif isinstance(message, Answers | Receipts):
            said = message.answers if isinstance(message, Answers) else message.receipts
            for answer in said:
                is_no = isinstance(answer, Held) or (
                    isinstance(answer, RefusedOp) and answer.code != "op_id_reused"
                )
                if is_no and answer.op_id in self.model.seq_of:
                    raise Broken(3, f"{answer.op_id} is in the log, and got {answer}")
                if isinstance(answer, Receipt):
                    self._unproved.append((answer.op_id, answer.seq, "receipt"))
                    first = self._receipts.setdefault(answer.op_id, answer)
                    if not _same(first, answer):
                        raise Broken(3, f"{answer.op_id} got two receipts: {first}, {answer}")
                    if len(answer.outcomes) > len(first.outcomes):
                        self._receipts[answer.op_id] = answer

    def server_rolled_back(self, seq: int) -> list[str]:
        """The server's log ends at ``seq`` again. Gives the op_ids that are gone from it."""
        gone = [one.op.op_id for one in self.model.accepted[seq:]]
        self.model = self.model.truncated(seq)
        del self.digests[seq + 1 :]
        self._receipts.clear()
        self._unproved.clear()
        self._seen_frames.clear()
        self._cursor_of.clear()
        return gone

    # ── after every step ────────────────────────────────────────────────────

    def now(self) -> None:
        """Demand everything that can be demanded at any moment."""
        world = self._world
        if world.server.can_be_asked:
            self._read_log()
            self._promises_were_kept()
            self._conflicts_are_told()
            self._queues_are_bounded()
        for device in world.devices:
            if device.can_be_asked and device.replica is not None:
                self._device(device)

    def _read_log(self) -> None:
        server, book = self._world.server, self._world.book
        rows = server.rows(
            "SELECT l.entry, l.request_id, r.replica_id FROM log l"
            " LEFT JOIN replicas r ON r.id = l.replica WHERE l.position & 1099511627775 > ?"
            " ORDER BY l.position",
            self.model.head,
        )
        touched = set()
        (head,) = server.rows("SELECT max(seq) FROM spaces")[0]
        if (head or 0) < self.model.head:
            raise Broken(2, f"the server's log ended at {self.model.head}, and now at {head}")
        for data, request_id, replica_id in rows:
            entry = ENTRY_DECODER.decode(data)
            if entry.seq != self.model.head + 1:
                raise Broken(3, f"the log goes from {self.model.head} to {entry.seq}")
            if entry.op_id in self.model.seq_of:
                raise Broken(3, f"{entry.op_id} is in the log twice")
            if entry.digest != chain(self.digests[-1], uuid_bytes(entry.op_id), entry.received_us):
                raise Broken(3, f"the digest of {entry.seq} does not follow")
            note = book.notes.get(entry.op_id)
            if note is None:
                raise Broken(1, f"{entry.op_id} is in the log, and nobody wrote it")
            if note.standing == "never made":
                raise Broken(1, f"{entry.op_id} is in the log, and no disk had it")
            if note.standing == "unanswered":
                note.standing = "written"
            if not request_id or replica_id is None:
                raise Broken(11, f"{entry.op_id}: the log does not say who sent it, or how")
            book.accepted.setdefault(entry.op_id, []).append(entry.writes)
            self._is_what_was_written(entry)
            accepted = self._world.decided.accepted(entry.op_id, entry.seq, entry.received_us)
            if accepted is None:
                raise Broken(2, f"{entry.op_id} is in the log, and nobody decided it")
            for root, write in accepted.op.writes.items():
                unseen = set(write.supersedes) - book.may_replace(accepted.op, root)
                if unseen and root != DELETION_ROOT:
                    raise Broken(6, f"{entry.op_id} replaces what its author never saw: {unseen}")
            self._in_order(entry)
            for root, op_id, n in self.model.accept(accepted):
                book.beaten.setdefault(entry.op_id, set()).add((root, EntryId(op_id, n)))
            self._what_was_replaced_is_gone(accepted.op)
            self.digests.append(entry.digest)
            touched.add(entry.record)
        for record, data in server.rows("SELECT record, state FROM records") if touched else ():
            if record in touched:
                state = RecordState.decode("item", record, data)
                self._record_is("the server", record, state, self.model.at(record, self.model.head))

    def _what_was_replaced_is_gone(self, op: Op) -> None:
        """What an op had replaced that never came stays replaced by those that had seen it."""
        world = self._world
        if world.was_rolled_back or world.order_is_lost:
            return
        visible = self.model.records[op.record].visible
        for root in op.writes:
            if not root.startswith("r/"):
                continue
            back = [
                one
                for one in world.book.replaced_through(op, root, self.model.seq_of)
                if one in visible[root]
            ]
            if back:
                raise Broken(6, f"{op.op_id} did not replace {back}, which its author had replaced")

    def _is_what_was_written(self, entry: LogEntry) -> None:
        note = self._world.book.notes[entry.op_id]
        # Discarded and written once more on one device, an op stays as it first was in a
        # copy of the device's file, which may send it before the device does.
        former = note.former if self._world.order_is_lost else ()
        if not any(_is_as_made(entry, made) for made in (note.op, *former)):
            raise Broken(3, f"{entry.op_id} is not in the log as it was written")

    def _in_order(self, entry: LogEntry) -> None:
        """Ops of one author, device and record stand in the log as they were written."""
        notes = self._world.book.notes
        note = notes[entry.op_id]
        if self._world.order_is_lost or note.op.replaces is not None:
            return
        for other_id, other in notes.items():
            if other_id == entry.op_id:
                return
            if (
                other.standing == "written"
                and other.device == note.device
                and (other.op.user, other.op.record) == (note.op.user, note.op.record)
                and other.op.replaces is None
                and other_id not in self.model.seq_of
            ):
                raise Broken(10, f"{entry.op_id} overtook {other_id} of the same record")

    def _promises_were_kept(self) -> None:
        for op_id, seq, what in self._unproved:
            if self.model.seq_of.get(op_id) != seq:
                raise Broken(2, f"a {what} said that {op_id} is at {seq}, and the log does not")
        self._unproved.clear()

    def _conflicts_are_told(self) -> None:
        server = self._world.server
        policy = POLICIES[server.policy].collection("item")
        told = server.rows("SELECT record, root FROM conflicts WHERE status = 'open'")
        known = {rule.root for rule in policy.fields.values()}
        open_now = [
            (record, root)
            for record, meaning in self.model.records.items()
            for root in meaning.conflicts(policy)
        ]
        if sorted(one for one in told if one[1] in known) != sorted(open_now):
            raise Broken(6, f"conflicts: the server tells {told}, open are {open_now}")

    def _queues_are_bounded(self) -> None:
        service = self._world.server.service
        if service is None:
            return  # it has just been stopped
        for words in self._world.limits.exceeded(service):
            raise Broken(9, words)

    # ── devices ─────────────────────────────────────────────────────────────

    def _device(self, device: DeviceMachine) -> None:
        assert device.replica is not None
        view = device.replica._open_view()
        queue = outbox.rows(view)
        cursor = view.cursor
        standing = (cursor.seq, cursor.digest, [(row.op_id, row.state) for row in queue])
        if self._cursor_of.get(device.name) == (self.model.head, standing):
            return
        self._cursor_of[device.name] = (self.model.head, standing)
        self._nothing_vanished(device, queue)
        self.permissions.on_device(device.name, view)
        if view.paging is None and cursor.seq and self.is_on_log(cursor.seq, cursor.digest):
            self._reads_what_the_log_means(device, cursor.seq)

    def is_on_log(self, seq: int, digest: bytes) -> bool:
        """Whether a cursor stands on the server's present log (as far as it was read)."""
        return seq < len(self.digests) and self.digests[seq] == digest

    def _nothing_vanished(self, device: DeviceMachine, queue: Iterable[Any]) -> None:
        there = self._world.kept_to_offer_again(device)
        for row in queue:
            there.add(row.op_id)
            if row.cancelling is not None:
                wish = msgspec.msgpack.decode(row.cancelling, type=Cancelling).replacement
                if wish is not None:
                    there.add(wish.op_id)
        for op_id in there:
            note = self._world.book.notes.get(op_id)
            if note is not None and note.standing == "unanswered" and not device.is_busy:
                note.standing = "written"
        if not self._world.server.is_up:
            return
        for op_id, note in self._world.book.notes.items():
            if (
                note.standing == "written"
                and op_id not in there
                and op_id not in self.model.seq_of
                and note.homes == {device.name}
                and not self._world.book.may_be_nothing(note)
            ):
                raise Broken(4, f"{op_id} is neither in the outbox of {device.name} nor in the log")

    def _reads_what_the_log_means(self, device: DeviceMachine, seq: int) -> None:
        assert device.replica is not None
        view = device.replica._open_view()
        records = set(self.model.records)
        hidden = hidden_on(view)
        for record, data in view.connection.execute("SELECT id, state FROM records"):
            moment = seen_of(self.model.at(record, seq), hidden)
            state = None if data is None else RecordState.decode("item", record, data)
            self._record_is(device.name, record, state, moment)
            records.discard(record)
        for record in records:
            if seen_of(self.model.at(record, seq), hidden) is not None:
                raise Broken(5, f"{device.name} at {seq} does not have {record}")

    def _record_is(
        self, where: str, record: str, state: RecordState | None, moment: Moment | None
    ) -> None:
        found = {} if state is None else standing_of(state)
        meant = {} if moment is None else moment.standing
        if found != meant:
            shown = {root: (found.get(root), meant.get(root)) for root in found | meant}
            wrong = {root: pair for root, pair in shown.items() if pair[0] != pair[1]}
            raise Broken(5, f"{record} on {where} is not what the log means: {wrong}")
        if state is not None and moment is not None:
            policy = POLICIES[0].collection("item")
            if is_deleted(state, policy) != moment.deleted:
                raise Broken(5, f"{record} on {where}: deleted is told wrongly")


def _is_as_made(entry: LogEntry, made: Op) -> bool:
    """Whether the log says what an op said; a server may change nothing but what an edit,
    or a deletion, leaves open."""
    if (entry.user, entry.record) != (made.user, made.record):
        return False
    values = {root: write.values for root, write in made.writes.items()}
    if DELETION_ROOT in values:
        return DELETION_ROOT in entry.writes
    if made.replaces is not None:
        return entry.writes.keys() <= values.keys()
    return entry.writes == values and entry.time_us == made.time_us


def _same(one: Receipt, other: Receipt) -> bool:
    """Whether two receipts tell the same; somebody else is not told of fields hidden from them."""
    return (one.seq, one.received_us) == (other.seq, other.received_us) and all(
        one.outcomes.get(root, outcome) == outcome for root, outcome in other.outcomes.items()
    )


def standing_of(state: RecordState) -> dict[str, Any]:
    """What stands in a confirmed record, as the model tells it."""
    found: dict[str, Any] = {}
    for root, entries in state.fields.items():
        if root.startswith("c/"):
            found[root] = sum(Decimal(entry.value.strip('"')) for entry in entries.values())
        elif root != DELETION_ROOT and entries:
            found[root] = {
                (entry.op_id, entry.n): (entry.value, entry.effective_us)
                for entry in entries.values()
            }
            assert not any(entry.op_id.startswith(FOLD_PREFIX) for entry in entries.values())
    return found
