"""What people do on their devices. They err, repeat themselves, and look at old screens."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any

from crdtsync import Replica, UsageError
from crdtsync.database import StorageError
from crdtsync.documents.errors import InvalidOp
from crdtsync.documents.ops import EntryId
from crdtsync.policy import InvalidValue
from crdtsync.policy.errors import UnknownField
from crdtsync.replica.collection import Collection
from crdtsync.replica.queue_view import OutboxItem
from crdtsync.replica.record import Record
from crdtsync_server.simulation.book import Book, Broken
from crdtsync_server.simulation.machines import DeviceMachine

RECORDS = ("a", "b", "c", "d")
WORDS = ("peanut", "latex", "milk", "egg", "soy")

Call = Callable[[Replica], Coroutine[Any, Any, Any]]


@dataclass
class People:
    """Everybody who sits at a device."""

    book: Book
    counts: Counter[str]
    note: Callable[[str, str, str], None]
    screens: dict[tuple[str, str], Record] = field(default_factory=dict)
    """Records as they stand on a screen, perhaps for long."""
    last_calls: dict[str, tuple[str, Call]] = field(default_factory=dict)

    async def act(self, device: DeviceMachine, what: str, random: Random) -> None:
        """Do one thing; what a person is told as an error is no fault of the program."""
        replica = device.replica
        assert replica is not None
        device.busy_with = mine = object()
        looked_at: dict[str, frozenset[EntryId]] = {}
        before = {id(note) for note in self.book.unanswered(device.name)}
        try:
            done = await self._do(device, replica, what, random, looked_at)
            for note in self.book.unanswered(device.name):
                if id(note) not in before:
                    note.standing = "written"
                    note.seen = looked_at
                    more = self.book.replaces_more_than_seen(note)
                    if more:
                        raise Broken(6, f"{note.op.op_id} replaces what nobody saw: {more}")
            self.note(device.name, done, done.split(":")[0])
        except (UsageError, InvalidValue, InvalidOp, UnknownField) as error:
            self.note(device.name, f"was told: {error}", "told on the device that it cannot be")
        except StorageError as error:
            self.note(device.name, f"could not save: {error}", "told that it could not be saved")
        finally:
            # The program may have been killed, and somebody be busy with the next one.
            if device.busy_with is mine:
                device.busy_with = None

    async def _do(
        self,
        device: DeviceMachine,
        replica: Replica,
        what: str,
        random: Random,
        looked_at: dict[str, frozenset[EntryId]],
    ) -> str:
        items = replica.collection("item")
        record = random.choice(RECORDS)
        if record in items and random.random() < 0.3:
            self.screens[device.name, record] = items[record]
        match what:
            case "write":
                return await self._write(device, items, record, random, looked_at)
            case "resolve":
                return await self._resolve(replica, random, looked_at)
            case "delete":
                return await self._delete(device, items, record, random)
            case "queue":
                return await self._tend_queue(replica, random)
            case _:
                return await self._repeat(device, replica)

    # ── writing ─────────────────────────────────────────────────────────────

    async def _write(
        self,
        device: DeviceMachine,
        items: Collection,
        record: str,
        random: Random,
        looked_at: dict[str, frozenset[EntryId]],
    ) -> str:
        op_id = device.new_op_id()
        name = random.choice(
            ["name", "phone", "note", *["allergies"] * 4, "visits", "tags", "tags", "form", "many"]
        )
        n = random.randrange(1000)
        screen = self.screens.get((device.name, record))
        basis = screen if screen is not None and random.random() < 0.5 else None
        value: Any
        match name:
            case "visits":
                by = random.choice((1, 2, -1))
                return await self._call(
                    device,
                    op_id,
                    f"write: {record} visits {by:+}",
                    lambda r: r.collection("item").increment(record, "visits", by, op_id=op_id),
                )
            case "tags":
                word, adds = random.choice(WORDS), random.random() < 0.6
                return await self._call(
                    device,
                    op_id,
                    f"write: {record} tags {'+' if adds else '-'}{word}",
                    lambda r: (r.collection("item").add if adds else r.collection("item").remove)(
                        record, "tags", word, op_id=op_id
                    ),
                )
            case "many":
                await items.update_many({one: {"note": f"m{n}"} for one in RECORDS[:2]})
                return f"write: note of two records m{n}"
            case "form":
                value = {"name": f"f{n}", "allergies": _some(random), "note": f"f{n}"}
                if "email" in items.policy.fields:
                    value["email"] = f"{n}@x.kr"
            case "allergies":
                value = {"allergies": None if random.random() < 0.1 else _some(random)}
            case "phone":
                value = {"phone": f"{n}" if random.random() < 0.5 else f"0{n}-{n}"}
            case _:
                value = {name: f"{name[0]}{n}"}
        if basis is not None:
            looked_at.update(_on_screen(basis))
        return await self._call(
            device,
            op_id,
            f"write: {record} {_in_words(value)}" + (" from an old screen" if basis else ""),
            lambda r: r.collection("item").update(record, value, based_on=basis, op_id=op_id),
        )

    async def _call(self, device: DeviceMachine, op_id: str, words: str, call: Call) -> str:
        assert device.replica is not None
        self.last_calls[device.name] = (words, call)
        await call(device.replica)
        return f"{words} ({op_id[:8]})"

    async def _repeat(self, device: DeviceMachine, replica: Replica) -> str:
        if device.name not in self.last_calls:
            return "repeat: nothing"
        words, call = self.last_calls[device.name]
        await call(replica)
        return f"repeat: {words}"

    async def _resolve(
        self, replica: Replica, random: Random, looked_at: dict[str, frozenset[EntryId]]
    ) -> str:
        conflicts = replica.conflicts()
        if not conflicts:
            return "resolve: nothing is open"
        conflict = random.choice(conflicts)
        if random.random() < 0.5:
            await asyncio.sleep(random.random() * 5)  # they think, and others write meanwhile
        value: Any
        if conflict.field == "allergies":
            value = conflict.union() if random.random() < 0.5 else _some(random)
        else:
            value = random.choice(conflict.candidates).value
        looked_at[replica.collection("item").policy.fields[conflict.field].root] = frozenset(
            conflict.entries()
        )
        await conflict.resolve(value, if_unchanged=random.random() < 0.5)
        shown = sorted(value) if isinstance(value, frozenset | set) else value
        return f"resolve: {conflict.record_id} {conflict.field} to {shown}"

    async def _delete(
        self, device: DeviceMachine, items: Collection, record: str, random: Random
    ) -> str:
        op_id = device.new_op_id()
        if items.get_deleted(record) is not None:
            await items.restore(record, op_id=op_id)
            return f"restore: {record} ({op_id[:8]})"
        screen = self.screens.get((device.name, record))
        basis = screen if screen is not None and random.random() < 0.5 else None
        await items.delete(record, based_on=basis, op_id=op_id)
        return f"delete: {record} ({op_id[:8]})"

    # ── the queue ───────────────────────────────────────────────────────────

    async def _tend_queue(self, replica: Replica, random: Random) -> str:
        queue = [
            item for item in replica.outbox if not item.cancelling and item.user == replica.user
        ]
        if not queue:
            return "queue: empty"
        failed = [item for item in queue if item.needs_person]
        item = random.choice(failed or queue)
        what = random.choice(("retry", "edit", "discard", "discard"))
        if what == "retry":
            await replica.retry(None if random.random() < 0.5 else item.op_id)
            return f"retry: {item.op_id[:8]}"
        if what == "edit":
            return await self._edit(replica, item, random)
        return await self.discard(replica, item.op_id)

    async def discard(self, replica: Replica, op_id: str) -> str:
        """Take an op back."""
        note = self.book.notes[op_id]
        standing, note.standing = note.standing, "taken back"
        try:
            done = await replica.discard(op_id)
        except UsageError:
            note.standing = standing
            raise
        return f"discard: {op_id[:8]} {'at once' if done else 'later'}"

    async def _edit(self, replica: Replica, item: OutboxItem, random: Random) -> str:
        fields = {name: _another(name, random) for name in item.fields if name in _EDITABLE}
        if not fields:
            return "edit: nothing to edit"
        note = self.book.notes[item.op_id]
        standing, note.standing = note.standing, "taken back"
        try:
            done = await replica.edit(item.op_id, fields)
        except (UsageError, InvalidValue, InvalidOp):
            note.standing = standing
            raise
        return f"edit: {item.op_id[:8]} to {_in_words(fields)} {'at once' if done else 'later'}"


_EDITABLE = ("name", "phone", "note", "email", "allergies", "visits")


def _on_screen(record: Record) -> dict[str, frozenset[EntryId]]:
    """The entries of each field that a record on a screen shows, or covers with a pending one."""
    state = record.basis.state
    assert state is not None
    roots = state.fields.keys() | state.hidden.keys()
    return {
        root: frozenset([*state.fields.get(root, {}), *state.hidden.get(root, {})])
        for root in roots
    }


def _in_words(fields: dict[str, Any]) -> str:
    """What is written, the same in every run (the order of a set of texts is not)."""
    values = {
        name: sorted(value) if isinstance(value, set) else value for name, value in fields.items()
    }
    return str(values)


def _another(name: str, random: Random) -> Any:
    if name == "allergies":
        return _some(random)
    if name == "visits":
        return random.choice((1, 2, 3))
    return f"e{random.randrange(100)}"


def _some(random: Random) -> set[str]:
    return set(random.sample(WORDS, random.randrange(3)))
