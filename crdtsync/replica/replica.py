"""The replica: one durable local copy of a space, and the thing that people import."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sqlite3
import threading
from collections.abc import Awaitable, Callable
from types import TracebackType

import msgspec

from crdtsync.database import Executor, StorageError
from crdtsync.documents.conflict import Conflict
from crdtsync.documents.errors import UsageError
from crdtsync.documents.ops import check_identifier
from crdtsync.documents.state import LogEntry
from crdtsync.policy import Policy, Visibility
from crdtsync.replica import outbox
from crdtsync.replica.collection import Collection
from crdtsync.replica.errors import (
    ReplicaClosed,
    SyncTimeout,
)
from crdtsync.replica.file import ReplicaFile
from crdtsync.replica.history import FieldHistory, ask_server, field_history
from crdtsync.replica.lock import FileLock
from crdtsync.replica.looking import Looking
from crdtsync.replica.outbox import Touched
from crdtsync.replica.progress import Progress
from crdtsync.replica.reader import View, open_reader
from crdtsync.replica.record import not_readable
from crdtsync.replica.signing_in import Token
from crdtsync.replica.standing import raise_what_needs_a_person, status_of
from crdtsync.replica.status import Status
from crdtsync.replica.store import MEMORY, ReplicaStore, check_can_begin
from crdtsync.replica.surroundings import System
from crdtsync.replica.sync import Surroundings, Sync
from crdtsync.replica.tending import Queue
from crdtsync.replica.transport import ConnectionLost, Dial, check_url, dial
from crdtsync.replica.watching import Watch
from crdtsync.replica.watching_status import StatusWatch
from crdtsync.replica.writing import Writing

SEEN = msgspec.msgpack.Decoder(LogEntry)

HISTORY_TIMEOUT_S = 5
MAX_DEVICE_CHARS = 256
"""Of the device's name in a hello."""
SEEN_LIMIT = 10_000


class Replica(Looking, Writing, Queue):
    """A device's copy of a space. Works without a network; syncs when it has one.

    Use it as a context manager::

        async with Replica.open("tablet.db", space="ward-3", policy=policy, user="kim") as replica:
            await replica.collection("patient").update("p1", name="Kim Minji")
            replica.connect("ws://127.0.0.1:8000")
            await replica.synced(timeout=10)

    One file has one holder at a time (ReplicaInUse names it), and a replica is used in
    the thread that opened it (UsageError elsewhere). ``":memory:"`` keeps everything in
    memory and forgets it at the end.
    """

    def __init__(
        self,
        path: str,
        *,
        space: str | None,
        policy: Policy | None,
        user: str,
        device: str,
        dial: Dial,
        surroundings: Surroundings,
        executor: Executor | None,
        read_only: bool,
    ) -> None:
        self.path = path
        self.user = user
        self._space = space
        self._policy = policy
        self._device = device
        self._dial = dial
        self._around = surroundings
        self._executor = executor
        self._read_only = read_only
        self._store: ReplicaStore | None = None
        self._lock: FileLock | None = None
        self._reader: sqlite3.Connection | None = None
        self._view: View | None = None
        self._sync: Sync | None = None
        self._sync_task: asyncio.Task[None] | None = None
        self._sync_tasks: set[asyncio.Task[None]] = set()
        self._writes: set[asyncio.Future[None]] = set()
        self._watchers: dict[str, set[Watch]] = {}
        self._status_watchers: set[StatusWatch] = set()
        self._moved = asyncio.Event()
        self._last_synced_us: int | None = None
        self._sight: tuple[Policy, Visibility] | None = None
        self._thread = threading.get_ident()

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        space: str | None = None,
        policy: Policy | None = None,
        user: str,
        device: str | None = None,
        dial: Dial = dial,
        surroundings: Surroundings | None = None,
        executor: Executor | None = None,
        read_only: bool = False,
    ) -> Replica:
        """A replica to be entered with ``async with`` (nothing is opened before).

        A new file needs ``space`` and ``policy``; an existing one knows them, and
        works under the newest policy that it has seen. ``user`` is the author of
        what is written, ``device`` a name for people (the host's name by default).
        ``dial``, ``surroundings`` and ``executor`` are the seams for the network, for
        time and randomness, and for the disk.

        ``read_only`` opens an existing file beside whoever holds it, and leaves no
        trace in it: every write, ``connect`` too, raises UsageError.
        """
        check_identifier(user, "user")
        if space is not None:
            check_identifier(space, "space")
        if not os.fspath(path):
            raise UsageError('the path is empty; name a file, or ":memory:"')
        return cls(
            os.fspath(path),
            space=space,
            policy=policy,
            user=user,
            device=(device if device is not None else socket.gethostname())[:MAX_DEVICE_CHARS],
            dial=dial,
            surroundings=surroundings or System(),
            executor=executor,
            read_only=read_only,
        )

    async def __aenter__(self) -> Replica:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        await self.close()

    async def start(self) -> None:
        """Open the file (what ``async with`` does)."""
        if self._store is not None:
            return
        self._thread = threading.get_ident()
        if self._read_only:
            await self._start_to_read()
            return
        check_can_begin(self.path, space=self._space, policy=self._policy)
        lock = FileLock(self.path) if self.path != MEMORY else None
        if lock is not None:
            lock.acquire()
        store: ReplicaStore | None = None
        try:
            store = await ReplicaStore.open(
                self.path,
                space=self._space,
                policy=self._policy,
                replica_id=self._around.new_id(),
                run=self._around.new_id(),
                executor=self._executor,
            )
            self._reader = open_reader(self.path, store)
        except BaseException:
            try:
                if store is not None:
                    await store.close()
            finally:
                if lock is not None:
                    lock.release()
            raise
        self._lock, self._store = lock, store
        store.on_full = self._moved_on
        self._view = View(self._reader, store.policy, self.path)
        self._space = self._view.text("space")

    async def _start_to_read(self) -> None:
        self._store = await ReplicaStore.open_to_read(self.path, space=self._space)
        self._reader = open_reader(self.path, self._store)
        self._view = View(self._reader, self._store.policy, self.path)
        self._space = self._view.text("space")

    async def close(self) -> None:
        """Stop syncing, finish the writes that were begun, and close the file."""
        try:
            await self.disconnect()
            while self._writes:
                await asyncio.wait(tuple(self._writes))
        finally:
            await self._close_file()

    async def _close_file(self) -> None:
        for watchers in self._watchers.values():
            for watcher in tuple(watchers):
                watcher.close()
        for status_watcher in tuple(self._status_watchers):
            status_watcher.close()
        store, self._store = self._store, None
        reader, self._reader, self._view = self._reader, None, None
        lock, self._lock = self._lock, None
        async with contextlib.AsyncExitStack() as ending:
            # From the last to the first, and each of them whatever the others raise.
            ending.callback(self._moved_on)  # whoever waits for sync hears that it is over
            if lock is not None:
                ending.callback(lock.release)
            if store is not None:
                ending.push_async_callback(store.close)
            if reader is not None and self.path != MEMORY:
                ending.callback(reader.close)

    # ── records ─────────────────────────────────────────────────────────────

    @property
    def space(self) -> str:
        """The space that this replica is a copy of."""
        return self._space or ""

    @property
    def replica_id(self) -> str:
        """This file's name among all replicas of the space."""
        return self._open_view().identity.replica_id

    def collection(self, name: str) -> Collection:
        """A collection of the policy; raises UnknownCollection."""
        self.policy.collection(name)
        return Collection(self, name)

    def conflicts(self) -> list[Conflict]:
        """Every field of every record that waits for a person."""
        found: list[Conflict] = []
        for collection, record_id in self.read_all("conflicted"):
            record = self.collection(collection)[record_id]
            found.extend(record.conflicts)
        return found

    async def history(self, collection: str, record_id: str, name: str) -> FieldHistory:
        """See ``Record.history``. Asks the server when connected, else tells what is
        known here with ``complete=False``."""
        field = self.policy.collection(collection).fields.get(name)
        if field is None:
            raise UsageError(f"{collection} has no field {name!r}")
        if not self.sight.may_read(collection, field.root):
            raise not_readable(collection, name)
        local_entries = await self._open_store().look(_seen, collection, record_id)
        entries: dict[int, LogEntry] = {entry.seq: entry for entry in local_entries}
        complete = False
        if self._sync is not None and self._sync.progress.live:
            with contextlib.suppress(ConnectionLost, TimeoutError):
                async with asyncio.timeout(HISTORY_TIMEOUT_S):
                    complete = await ask_server(self._sync, collection, record_id, entries)
        state, _ = self.read_record(collection, record_id)
        return field_history(field, entries.values(), state, complete=complete)

    # ── sync ────────────────────────────────────────────────────────────────

    def connect(self, url: str, *, token: Token = None) -> None:
        """Keep this replica in step with a server from now on. Returns at once.

        Reconnects by itself until ``disconnect``. Called again with the same
        address it tries at once (with the new token, if one is given); with
        another address it goes there.

        ``token`` may be a function (``async`` or not): it is asked for a token for
        each connection, so a sign-in that ends is renewed without a person. If the
        server refuses even that token, ``status`` says that the device is signed
        out, and the queue waits for the next ``connect``.
        """
        check_url(url)
        store = self._open_store()
        if store.read_only:
            raise UsageError(f"{self.path} is open for reading only; open it without read_only")
        goes_on = self._sync_task is not None and not self._sync_task.done()
        if self._sync is not None and self._sync.url == url and goes_on:
            if token is not None:
                self._sync.token = token
            self._sync.try_now()
            return
        previous = self._sync_task
        sync = Sync(
            store,
            self._around,
            self._dial,
            user=self.user,
            device=self._device,
            url=url,
            token=token,
            changed=self._changed,
            told=self._moved_on,
            rules_changed=self._rules_changed,
        )
        self._sync = sync
        self._sync_task = asyncio.create_task(_after(previous, sync.run), name="crdtsync sync")
        self._sync_tasks.add(self._sync_task)
        self._sync_task.add_done_callback(self._sync_ended)
        self._moved_on()

    async def disconnect(self) -> None:
        """Stop syncing. The queue stays as it is."""
        self._sync_task = self._sync = None
        ending = tuple(self._sync_tasks)
        for task in ending:
            task.cancel()
        if ending:
            await asyncio.wait(ending)
        self._moved_on()

    async def sync_once(self, url: str, *, token: Token = None, timeout: float = 60) -> Status:
        """Connect, wait until everything is in step, disconnect."""
        self.connect(url, token=token)
        try:
            await self.synced(timeout=timeout)
            return self.status
        finally:
            await self.disconnect()

    async def synced(self, *, timeout: float | None = None) -> None:
        """Wait until the outbox is empty and all that the server had when asked is here.

        Raises NeedsAttention and SignedOut at once when only a person can go on,
        SyncTimeout after ``timeout`` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                while not await self._in_step():
                    pass
        except TimeoutError:
            status = self.status
            raise SyncTimeout(
                f"not in step after {timeout} s: {status.message()} ({status.waiting} waiting"
                f"{', ' + status.problem if status.problem else ''})",
                status,
            ) from None

    async def _in_step(self) -> bool:
        moved = self._moved
        raise_what_needs_a_person(self.status, self._open_view())
        if self._sync is None or not self._sync.progress.live:
            await moved.wait()
            return False
        try:
            reply = await self._sync.ask_head()
        except ConnectionLost:
            return False
        while True:
            moved = self._moved
            raise_what_needs_a_person(self.status, self._open_view())
            view = self._open_view()
            if view.cursor.seq >= reply.head.seq and outbox.counts(view, self.user).total == 0:
                await self._note_synced()
                return True
            await moved.wait()
            if self._sync is None or not self._sync.progress.live:
                return False

    async def _note_synced(self) -> None:
        """Remember when everything was in step, for a status that is read later."""
        now_us = self._last_synced_us = self._around.now_us()
        with contextlib.suppress(StorageError):
            await self._open_store().change(lambda file: file.put("last_synced_us", now_us))
        self._moved_on()

    @property
    def status(self) -> Status:
        """How sync stands now."""
        progress = self._sync.progress if self._sync is not None else Progress()
        return status_of(
            self._open_view(),
            self.user,
            progress,
            storage_full=self._open_store().storage_full,
            last_synced_us=self._last_synced_us or 0,
            now_us=self._around.now_us(),
        )

    def watch_status(self) -> StatusWatch:
        """A context manager that yields the newest Status whenever it changes."""
        self._open_store()
        return StatusWatch(self._status_watchers, lambda: self.status)

    # ── for collections ─────────────────────────────────────────────────────

    def now_us(self) -> int:
        """The wall clock of this replica's surroundings."""
        return self._around.now_us()

    def new_id(self) -> str:
        """A new UUID v4 of this replica's surroundings."""
        return self._around.new_id()

    def watchers(self, collection: str) -> set[Watch]:
        """Who watches a collection."""
        self._open_store()
        return self._watchers.setdefault(collection, set())

    # ── inside ──────────────────────────────────────────────────────────────

    def _open_store(self) -> ReplicaStore:
        if self._store is None:
            raise self._closed()
        if threading.get_ident() != self._thread:
            # Its memory belongs to that thread: two at once would spoil it without a word.
            raise UsageError(
                f"{self.path} was opened by another thread; call it there, for instance with "
                "`asyncio.run_coroutine_threadsafe(…, loop)`"
            )
        return self._store

    def _open_view(self) -> View:
        store = self._open_store()
        if self._view is None:
            raise self._closed()
        self._view.policy = store.policy
        return self._view

    def _closed(self) -> ReplicaClosed:
        return ReplicaClosed(f"{self.path} is not open; use `async with Replica.open(…)`")

    def _changed(self, touched: Touched | None) -> None:
        for collection, watchers in self._watchers.items():
            if touched:
                ids = [record for name, record in touched if name == collection]
                if ids:
                    for watcher in tuple(watchers):
                        watcher.tell(ids)
        self._moved_on()

    def _rules_changed(self) -> None:
        """Another policy, or other roles: everything may read otherwise now."""
        self._sight = None
        for watchers in self._watchers.values():
            for watcher in tuple(watchers):
                watcher.tell((), everything=True)
        self._moved_on()

    def _moved_on(self) -> None:
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
        for watcher in tuple(self._status_watchers):
            watcher.tell()

    def _sync_ended(self, task: asyncio.Task[None]) -> None:
        self._sync_tasks.discard(task)
        if task.cancelled() or self._sync is None or task is not self._sync_task:
            return
        error = task.exception()
        if error is not None:
            self._sync.progress.problem = f"sync stopped: {error!r}"
            self._sync.progress.live = False
            self._moved_on()
            loop = asyncio.get_running_loop()
            loop.call_exception_handler(
                {"message": "crdtsync: a fault of its own stopped sync", "exception": error}
            )


async def _after(previous: asyncio.Task[None] | None, run: Callable[[], Awaitable[None]]) -> None:
    if previous is not None:
        previous.cancel()
        await asyncio.wait({previous})
    await run()


def _seen(file: ReplicaFile, collection: str, record_id: str) -> list[LogEntry]:
    return [
        SEEN.decode(data)
        for (data,) in file.all("seen_of_record", collection, record_id, SEEN_LIMIT)
    ]
