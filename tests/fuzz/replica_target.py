"""A real replica that hears nonsense from its server, for many connections.

Its queue is never emptied by it (invariant 4), its file stays readable, and when a
true server is there again every write ends in that server's log, once.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import Any

import msgspec

from crdtsync import Replica, SyncError, UsageError
from crdtsync.database import connect_durable
from crdtsync.documents.ops import Op
from crdtsync.documents.state import LogEntry
from crdtsync.protocol.codec import decode_server
from crdtsync.protocol.errors import ProtocolError
from crdtsync.protocol.messages import (
    Answers,
    Changes,
    Hello,
    Push,
    Receipt,
    Receipts,
    ReceiptsRequest,
)
from crdtsync.replica import outbox
from crdtsync.replica.transport import Transport
from crdtsync_server.simulation.virtual_time import run_virtually
from tests.fuzz.bad_frames import packed, spoil_bytes, spoil_tree
from tests.fuzz.honest import USER, Around
from tests.fuzz.notebook import Notebook
from tests.fuzz.replica_ends import Disk, Line, TrueServer
from tests.fuzz.rules import POLICY, RECORDS
from tests.fuzz.server_frames import Teller
from tests.fuzz.server_target import narrow_ids, nothing
from tests.fuzz.target import Found
from tests.fuzz.watching_logs import Faults, hearing_faults

SETTLE_S = 0.0001
HEAL_S = 36_000
"""Virtual seconds in which a replica must be in step with a true server again."""

CHECK_EVERY = 25


class ReplicaTarget:
    """``Replica``, client session, sync shell and file, as one."""

    name = "replica"
    frames_per_episode = 250
    memory_bytes = 200 * 1_048_576
    frame_limit_s = 10.0

    def episode(self, draw: Random, notebook: Notebook) -> None:
        """See ``Target``."""
        with narrow_ids() if draw.random() < 0.2 else nothing():
            run_virtually(_Episode(draw, notebook).run(self.frames_per_episode))


class _Episode:
    def __init__(self, draw: Random, notebook: Notebook) -> None:
        self.draw = draw
        self.notebook = notebook
        self.teller = Teller(draw)
        self.connection = connect_durable(":memory:")
        self.written: set[str] = set()
        self.named: set[str] = set()
        """op_ids that some frame told to be accepted: only those may leave the queue."""
        self.line: Line | None = None
        self.dial: Any = self._dial
        self.replica = self._made()

    def _made(self) -> Replica:
        return Replica.open(
            ":memory:",
            space="w",
            policy=POLICY,
            user=USER,
            device="tablet",
            dial=lambda url: self.dial(url),
            surroundings=Around(self.draw),
            executor=Disk(self.connection),
        )

    async def _dial(self, url: str) -> Transport:
        self.line = Line()
        return self.line

    async def run(self, frames: int) -> None:
        with hearing_faults("crdtsync") as faults:
            await self.replica.start()
            await self._write()
            self.replica.connect("ws://nonsense")
            sent = 0
            while sent < frames:
                await self._one_frame()
                sent += 1
                if sent % CHECK_EVERY == 0:
                    await self._check(faults)
                if self.draw.random() < 0.01:
                    await self._reopen()
            await self._heal(faults)

    # ── nonsense ────────────────────────────────────────────────────────────

    async def _one_frame(self) -> None:
        draw = self.draw
        line = await self._connected()
        if draw.random() < 0.08:
            await self._write()
        self._hear(line)
        frame, spoiled = self._next(line)
        self.notebook.frame(frame if isinstance(frame, bytes) else b"text", spoiled=spoiled)
        self._note(frame)
        line.down.put_nowait(frame)
        if draw.random() < 0.02:
            line.cut()
        await asyncio.sleep(SETTLE_S if draw.random() < 0.95 else draw.choice((1, 30, 3_600)))

    async def _connected(self) -> Line:
        """The line at hand; a new one where that is over, without waiting for a backoff."""
        while self.line is None or self.line.over:
            self.line = None
            self.replica.connect("ws://nonsense")
            await asyncio.sleep(SETTLE_S)
        return self.line

    def _hear(self, line: Line) -> None:
        for message in line.sent:
            if isinstance(message, Push):
                self.teller.pushes.append(message)
                for pushed in message.ops:
                    self.teller.known.note_op(pushed.op)
            elif isinstance(message, ReceiptsRequest):
                self.teller.asked.append((message.request, message.op_ids))
            elif isinstance(message, Hello):
                self._greet(line, message)
        line.sent.clear()

    def _greet(self, line: Line, hello: Hello) -> None:
        """Mostly a good welcome, or nothing that comes later would be looked at."""
        self.teller.pushes.clear()
        self.teller.asked.clear()
        self.teller.said_until = min(hello.cursor.seq, len(self.teller.ledger.entries))
        welcome = msgspec.structs.replace(
            self.teller.welcome(), policy_version=hello.policy_version
        )
        if self.draw.random() < 0.85:
            line.down.put_nowait(packed(welcome))

    def _next(self, line: Line) -> tuple[bytes | str, bool]:
        draw, teller = self.draw, self.teller
        chance = draw.random()
        if chance < 0.004:
            return "a text frame", True
        if teller.asked and draw.random() < 0.7:
            message: Any = teller.receipts()
        elif teller.pushes and draw.random() < 0.5:
            message = teller.answers()
        elif chance < 0.5:
            message = teller.changes()
        else:
            message = teller.message()
        good = packed(message)
        chance = draw.random()
        if chance < 0.3:
            return spoil_tree(draw, msgspec.msgpack.decode(good)), True
        if chance < 0.4:
            return spoil_bytes(draw, good), True
        return good, False

    def _note(self, frame: bytes | str) -> None:
        try:
            message = decode_server(frame)
        except ProtocolError:
            self.notebook.counts["refused"] += 1
            return
        self.notebook.counts["accepted"] += 1
        if isinstance(message, Changes):
            self.named |= {entry.op_id for entry in message.entries if entry.op_id is not None}
        elif isinstance(message, Answers):
            self.named |= {one.op_id for one in message.answers if isinstance(one, Receipt)}
        elif isinstance(message, Receipts):
            self.named |= {receipt.op_id for receipt in message.receipts}

    # ── a person ────────────────────────────────────────────────────────────

    async def _write(self) -> None:
        draw = self.draw
        before = self._queued()
        try:
            items = self.replica.collection("item")
            record = draw.choice(RECORDS)
            match draw.randrange(6):
                case 0:
                    await items.update(record, {"name": f"n{draw.randrange(99)}"})
                case 1:
                    await items.increment(record, "visits", 1)
                case 2:
                    await items.add(record, "tags", f"t{draw.randrange(9)}")
                case 3:
                    await items.update(record, {"phone": f"{draw.randrange(99)}"})
                case 4:
                    await items.update(record, {"allergies": {draw.choice("xyz")}})
                case _:
                    await items.delete(record)
        except (UsageError, LookupError):
            # A conflict, a deleted record, a field that a new policy does not have.
            return
        self.written |= self._queued() - before

    def _queued(self) -> set[str]:
        return {row.op_id for row in self._rows()}

    def _rows(self) -> list[outbox.Row]:
        return outbox.rows(self.replica._open_view())

    async def _reopen(self) -> None:
        await self.replica.close()
        self.line = None
        self.replica = self._made()
        await self.replica.start()
        self.replica.connect("ws://nonsense")

    # ── checks ──────────────────────────────────────────────────────────────

    async def _check(self, faults: Faults) -> None:
        self.notebook.alive()
        faults.check()
        gone = self._follow_successors()
        op_ids = {row.op_id for row in self._rows()}
        lost = self.written - op_ids - self.named
        if lost:
            raise Found(f"nobody said that these are accepted, and they left the queue: {lost}")
        kept = {op.op_id for op in gone}
        if not self.written <= op_ids | kept:
            raise Found(f"neither queued nor kept: {self.written - op_ids - kept}")
        self._check_readable()

    def _follow_successors(self) -> list[Op]:
        """One that collides with another op is written anew: its successor stands for it.

        Gives the own ops that the replica keeps as accepted.
        """
        queued = self._rows()
        gone = [
            msgspec.msgpack.decode(data, type=Op)
            for (data,) in self.connection.execute("SELECT op FROM accepted")
        ]
        self.written |= {row.op_id for row in queued}
        self.written -= {op.replaces for op in (*gone, *(row.op for row in queued)) if op.replaces}
        return gone

    def _check_readable(self) -> None:
        for name in self.replica.policy.collections:
            collection = self.replica.collection(name)
            for record in collection.values():
                record.to_json()
        self.replica.conflicts()
        self.replica.notices()
        _ = self.replica.status, self.replica.outbox
        for (data,) in self.connection.execute("SELECT entry FROM seen"):
            msgspec.msgpack.decode(data, type=LogEntry)

    async def _heal(self, faults: Faults) -> None:
        """A true server, whose log has nothing to do with what was said."""
        await self._check(faults)
        if self.connection.execute("PRAGMA integrity_check").fetchone() != ("ok",):
            raise Found("the file is not whole")
        server = TrueServer(self.replica.policy, Around(self.draw))
        await server.start()
        self.dial = server.dial
        if self.line is not None:
            self.line.cut()
        self.replica.connect("ws://true")
        try:
            async with asyncio.timeout(HEAL_S):
                await self._in_step()
        except TimeoutError:
            raise Found(f"not in step with a true server: {self.replica.status}") from None
        faults.check()
        self._check_readable()
        self._check_log(server.log())
        await self.replica.close()
        await server.close()
        self.connection.close()
        faults.check()

    async def _in_step(self) -> None:
        """A person tries again what nonsense had refused, once; the true server judges it."""
        await self.replica.retry()
        while True:
            try:
                await self.replica.synced()
            except SyncError:
                rows = self._rows()
                stuck = {(row.collection, row.record) for row in rows if row.needs_person}
                # What comes behind one that needs a person is held (invariant 10).
                if all((row.collection, row.record) in stuck for row in rows):
                    return
                moved = self.replica._moved
                self.replica.connect("ws://true")
                await moved.wait()
            else:
                return

    def _check_log(self, logged: list[str]) -> None:
        self._follow_successors()
        waiting = {row.op_id: row.code for row in self._rows()}
        self.notebook.counts["own ops in the true log"] += len(logged)
        self.notebook.counts["own ops that need a person"] += len(waiting)
        if len(logged) != len(set(logged)):
            raise Found("an op is in the log twice")
        lost = self.written - set(logged) - set(waiting)
        if lost:
            raise Found(f"lost for good: {lost}")
