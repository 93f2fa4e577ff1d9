"""The sync shell: one task that keeps a connection and moves data through it.

All decisions are the session's (protocol/client_session.py) and the store's;
this module performs their actions in order. There is one place that sends and
one timer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from crdtsync.database import DiskFull, StorageError
from crdtsync.policy import Policy, PolicyError
from crdtsync.protocol.backoff import retry_delay_ms
from crdtsync.protocol.client_actions import (
    Answered,
    Close,
    Greet,
    Phase,
    Send,
    StoreAnswers,
    StoreEntries,
    StorePage,
    StoreReceipts,
    WantOps,
    WentLive,
)
from crdtsync.protocol.client_session import ClientSession
from crdtsync.protocol.close_codes import NORMAL, PROTOCOL_ERROR, SILENT
from crdtsync.protocol.codec import decode_server, encode
from crdtsync.protocol.errors import ProtocolError
from crdtsync.protocol.messages import AcknowledgedDigest, Head, History, Receipt, Welcome
from crdtsync.replica import outbox, sync_jobs
from crdtsync.replica.arriving import ArrivingPages
from crdtsync.replica.outbox import Touched
from crdtsync.replica.progress import Progress
from crdtsync.replica.questions import Question, Questions
from crdtsync.replica.signing_in import SIGN_IN_CODES, SignIns, Token, ask_for
from crdtsync.replica.store import ReplicaStore
from crdtsync.replica.transport import ConnectionLost, Dial, Transport
from crdtsync.wholly import wholly

STEADY_AFTER_US = 5_000_000
"""A connection that lasted this long was a success; shorter ones count as failures,
so a server that accepts and then closes is not hammered."""

ENTRIES_PER_JOB = 2_000
"""Log entries that one transaction applies at most."""

INBOX_FRAMES = 16

LONGEST_WAIT_S = 20
"""Between two looks at the clock: it may have been set back since the deadline was made."""

REPORT_EVERY_US = 60_000_000
"""Between two reports of acknowledged ops on one connection (see sync_jobs.acknowledged)."""


class Surroundings(Protocol):
    """What the shell takes from outside: time and randomness."""

    def now_us(self) -> int:
        """The wall clock, microseconds since 1970."""
        ...

    def draw(self) -> float:
        """A random number in [0, 1)."""
        ...

    def new_id(self) -> str:
        """A new UUID v4."""
        ...


class Sync:
    """Keeps one replica in step with one server until it is stopped."""

    def __init__(
        self,
        store: ReplicaStore,
        surroundings: Surroundings,
        dial: Dial,
        *,
        user: str,
        device: str,
        url: str,
        token: Token,
        changed: Callable[[Touched | None], None],
        told: Callable[[], None],
        rules_changed: Callable[[], None],
    ) -> None:
        self.progress = Progress(wanted=True, connecting=True)
        self.url = url
        self.token = token
        self._store = store
        self._around = surroundings
        self._dial = dial
        self._user = user
        self._device = device
        self._changed = changed
        self._told = told
        self._rules_changed = rules_changed
        self._sign_ins = SignIns()
        self._session: ClientSession | None = None
        self._pages: ArrivingPages | None = None
        self._wake = asyncio.Event()
        self._again = asyncio.Event()
        self._questions = Questions()
        self._next_retry_us: int | None = None
        self._clock_us = 0
        self._reported_us = 0

    # ── from outside ────────────────────────────────────────────────────────

    def outbox_changed(self) -> None:
        """A local write was queued, or a person did something to the queue."""
        if self._session is not None:
            self._session.outbox_changed()
        self._wake.set()

    def try_now(self) -> None:
        """Do not wait for the next attempt."""
        self.progress.stopped = None
        self.progress.signed_out = False
        self._sign_ins.begin_anew()
        self._again.set()
        self._wake.set()

    async def ask_head(self) -> Head:
        """The head of the server's log; ConnectionLost when the connection ends first."""
        reply = await self._ask(Question("head"))
        assert isinstance(reply, Head)
        return reply

    async def ask_history(self, collection: str, record: str, before_seq: int) -> History:
        """A page of a record's log entries; ConnectionLost when the connection ends first."""
        reply = await self._ask(Question("history", collection, record, before_seq))
        assert isinstance(reply, History)
        return reply

    async def _ask(self, question: Question) -> Head | History:
        if not self.progress.live:
            raise ConnectionLost("there is no connection to the server")
        self._questions.add(question)
        self._wake.set()
        return await question.answer

    # ── the life of the task ────────────────────────────────────────────────

    async def run(self) -> None:
        """Connect, converse, wait, again; until cancelled."""
        failures = 0
        while True:
            self._again.clear()
            self._sign_ins.welcomed = False
            self._tell(connecting=True, next_attempt_us=None)
            started_us = self._around.now_us()
            close = await self._one_connection()
            steady = self._around.now_us() - started_us >= STEADY_AFTER_US
            failures = 1 if steady else failures + 1
            self.progress.storage_full = close.reason == "storage_full"
            self._tell(connecting=False, live=False, problem=close.words)
            if close.reason == "replica_copied" and failures == 1:
                continue  # under its new name, at once
            if not close.retry and self._again.is_set():
                failures = 0
                continue  # somebody signed in anew while the old sign-in was being refused
            renewing = self._sign_ins.can_renew(close, self.token, steady=steady)
            if not close.retry and not renewing:
                self.progress.signed_out = close.reason in SIGN_IN_CODES
                self._tell(stopped=close)
                await self._again.wait()
                failures = 0
                continue
            delay_ms = retry_delay_ms(failures, self._around.draw(), close.retry_after_ms)
            self._tell(next_attempt_us=self._around.now_us() + delay_ms * 1_000)
            try:
                async with asyncio.timeout(delay_ms / 1_000):
                    await self._again.wait()
            except TimeoutError:
                pass

    async def _one_connection(self) -> Close:
        try:
            try:
                token = await ask_for(self.token)
            except Exception as error:
                # The caller's own function, which may need a network itself.
                return Close(1006, "no_token", f"no sign-in could be had: {error!r}", retry=True)
            transport = await self._dial(self.url)
            close = await self._with_transport(transport, token)
            if close.reason == "replica_copied":
                new_id = self._around.new_id
                await self._store.change(sync_jobs.become_another, new_id(), new_id())
            return close
        except ConnectionLost as error:
            return Close(1006, "unreachable", str(error), retry=True)
        except DiskFull as error:
            return Close(1011, "storage_full", str(error), retry=True)
        except StorageError as error:
            return Close(1011, "storage", str(error), retry=True)
        except ProtocolError as error:
            return Close(PROTOCOL_ERROR, "protocol_error", str(error), retry=True)
        except Exception as error:
            # A fault of our own must not end sync for good: it is reported, and the
            # next connection starts from what is on disk.
            asyncio.get_running_loop().call_exception_handler(
                {"message": "crdtsync: a connection failed by a fault", "exception": error}
            )
            return Close(1011, "fault", f"a fault of crdtsync: {error!r}", retry=True)

    async def _with_transport(self, transport: Transport, token: str | None) -> Close:
        code, words = NORMAL, ""
        try:
            close = await self._converse(transport, token)
            if close.code in (PROTOCOL_ERROR, SILENT):
                code, words = close.code, close.words  # ours to say
            return close
        finally:
            self._session = None
            self.progress.live = False
            self.progress.first_sync_total = None
            self._questions.drop()
            # Being cancelled here must not leave ops marked as on their way.
            await wholly(self._end(transport, code, words))

    async def _end(self, transport: Transport, code: int, words: str) -> None:
        try:
            await self._store.change(outbox.connection_lost, code)
        except StorageError as error:
            self.progress.problem = str(error)
        await transport.close(code, words)
        self._changed(None)

    async def _converse(self, transport: Transport, token: str | None) -> Close:
        now_us = self._around.now_us()
        hello = await self._store.look(
            sync_jobs.hello, user=self._user, token=token, device=self._device, now_us=now_us
        )
        session = self._session = ClientSession(hello, now_us)
        pages = self._pages = ArrivingPages(
            self._store,
            self._around.now_us,
            stored=lambda group, touched: self._stored(session, group, touched),
            wake=self._wake.set,
        )
        inbox: asyncio.Queue[bytes | str | Exception] = asyncio.Queue(INBOX_FRAMES)
        reader = asyncio.create_task(self._read(transport, inbox))
        try:
            while True:
                close = await self._perform(session, transport)
                if close is not None:
                    return close
                pages.raise_failure()
                if inbox.empty():
                    await self._wait(session)
                self._wake.clear()
                now_us = self._around.now_us()
                await self._look_at_clock(session, now_us)
                while not inbox.empty():
                    frame = inbox.get_nowait()
                    if isinstance(frame, Exception):
                        close = await self._perform(session, transport, sending=False)
                        if close is not None:
                            return close
                        raise frame
                    try:
                        session.received(decode_server(frame), now_us)
                    except ProtocolError as error:
                        session.fail(str(error))
                    if not session.takes_more:
                        # What comes next depends on what the store says first.
                        break
                self._questions.ask_all(session, now_us)
                if self._next_retry_us is not None and now_us >= self._next_retry_us:
                    self._next_retry_us = None
                    session.outbox_changed()
                session.tick(now_us)
                await self._report_soon(session, now_us)
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            # None of it may run beside the next connection.
            await wholly(pages.finish())

    async def _look_at_clock(self, session: ClientSession, now_us: int) -> None:
        """Retries that were planned by a clock which was set back since must not wait for it."""
        if now_us < self._clock_us:
            await self._store.change(outbox.bring_retries_near, now_us)
            await self._plan_retry(now_us)
            session.outbox_changed()  # those that are due by now are in no plan
        self._clock_us = now_us

    async def _read(
        self, transport: Transport, inbox: asyncio.Queue[bytes | str | Exception]
    ) -> None:
        try:
            while True:
                frame = await transport.receive()
                await inbox.put(frame)
                self._wake.set()
        except Exception as error:
            await inbox.put(error)
            self._wake.set()

    async def _wait(self, session: ClientSession) -> None:
        """The one timer: the session's deadline or the next retry."""
        until_us = session.deadline_us
        if self._next_retry_us is not None:
            until_us = min(until_us, self._next_retry_us)
        delay_s = min(max(until_us - self._around.now_us(), 0) / 1_000_000, LONGEST_WAIT_S)
        try:
            async with asyncio.timeout(delay_s):
                await self._wake.wait()
        except TimeoutError:
            pass

    # ── performing the session's actions ────────────────────────────────────

    async def _perform(
        self, session: ClientSession, transport: Transport, *, sending: bool = True
    ) -> Close | None:
        while (action := session.take()) is not None:
            match action:
                case Send(message):
                    if sending:
                        await self._send(session, transport, encode(message))
                case Close():
                    return action
                case Greet(welcome, round_trip_us):
                    await self._greet(session, welcome, round_trip_us)
                case StoreReceipts(asked, receipts):
                    now_us = self._around.now_us()
                    touched = await self._store.change(
                        outbox.store_receipts, asked, receipts, now_us
                    )
                    session.outbox_changed()
                    self._changed(touched)
                case StorePage():
                    assert self._pages is not None
                    self._pages.add(action)
                    if action.paging is None:
                        await self._pages.finish()
                case StoreEntries():
                    await self._store_entries(session, action)
                case StoreAnswers(_, answers):
                    now_us, draw = self._around.now_us(), self._around.draw()
                    touched = await self._store.change(
                        outbox.store_answers,
                        answers,
                        now_us=now_us,
                        draw=draw,
                        new_id=self._around.new_id,
                    )
                    await self._plan_retry(now_us)
                    self._changed(touched)
                    if not all(isinstance(answer, Receipt) for answer in answers):
                        # No log entry will follow whose report tells what failed.
                        await self._tell_queue(session, now_us)
                case WantOps(room):
                    # The connection may have ended while this stood in the queue.
                    if sending and session.phase is Phase.LIVE:
                        await self._push(session, room)
                case WentLive():
                    await self._went_live(session)
                case Answered(request, reply):
                    self._questions.answered(request, reply)
                    self._questions.ask_all(session, self._around.now_us())
        return None

    async def _send(self, session: ClientSession, transport: Transport, frame: bytes) -> None:
        """Send a frame; a network that takes nothing any more counts as lost."""
        try:
            async with asyncio.timeout(session.limits.silence_ms / 1_000):
                await transport.send(frame)
        except TimeoutError:
            raise ConnectionLost("the network does not take what is sent") from None

    async def _greet(self, session: ClientSession, welcome: Welcome, round_trip_us: int) -> None:
        if welcome.user != self._user:
            session.sign_out(
                f"this sign-in is {welcome.user}'s; the replica was opened for {self._user}"
            )
            return
        self._sign_ins.welcomed = True
        if welcome.policy is not None:
            try:
                policy = Policy.parse(welcome.policy, source="the server's policy")
                await self._store.adopt(policy)
                self._rules_changed()
            except PolicyError as error:
                session.fail(
                    f"this version of crdtsync cannot read the server's policy; update it ({error})"
                )
                return
        now_us = self._around.now_us()
        self.progress.clock_skew_us = now_us - round_trip_us // 2 - welcome.server_us
        saw = await self._store.look(lambda file: file.sight_of(self._user).mark)
        was_shown = await self._store.look(lambda file: file.text("view") or "")
        ask, paging, cursor, touched = await self._store.change(
            sync_jobs.greet, welcome, self._user, now_us
        )
        if saw != self._store.policy.visibility(welcome.roles).mark:
            self._rules_changed()
        if was_shown != welcome.view:
            await self._store.empty_log()
        self._tell(head_known=welcome.head.seq, cursor=cursor)
        if paging is not None:
            self._tell(first_sync_done=0, first_sync_total=0)
        self._changed(touched)
        session.greeted(ask=ask, paging=paging, cursor=cursor, now_us=now_us)

    def _stored(self, session: ClientSession, pages: list[StorePage], touched: Touched) -> None:
        """These pages are durable."""
        self.progress.storage_full = False
        done = self.progress.first_sync_done + sum(len(page.rows) for page in pages)
        last = pages[-1]
        total = None if last.paging is None else done + last.remaining
        cursor = last.head.seq if last.paging is None else 0
        self._tell(first_sync_done=done, first_sync_total=total, cursor=cursor)
        self._changed(touched)
        for _ in pages:
            session.page_stored(self._around.now_us())

    async def _store_entries(self, session: ClientSession, first: StoreEntries) -> None:
        now_us = self._around.now_us()
        for start in range(0, len(first.entries), ENTRIES_PER_JOB):
            part = first.entries[start : start + ENTRIES_PER_JOB]
            touched = await self._store.change(
                sync_jobs.apply, part, self.progress.head_known or 0, now_us
            )
            self.progress.cursor = part[-1].seq
            self.progress.storage_full = False
            self._changed(touched)
        counts = await self._tell_queue(session, now_us)
        if counts.pending:
            # An entry may have turned an edit that came too late into a new op.
            session.outbox_changed()

    async def _tell_queue(self, session: ClientSession, now_us: int) -> outbox.Counts:
        """Tell the server what is durable here, and what waits or failed."""
        counts = await self._store.look(outbox.counts, self._user)
        session.applied(self.progress.cursor, counts.summary(now_us), now_us)
        return counts

    async def _push(self, session: ClientSession, room: int) -> None:
        now_us = self._around.now_us()
        request_id = self._around.new_id()
        ops, waiting = await self._store.change(
            sync_jobs.take_ops,
            user=self._user,
            room=room,
            request_id=request_id,
            now_us=now_us,
            frame_bytes=session.limits.frame_bytes,
        )
        if waiting:
            session.ask_receipts(waiting, now_us)
        if ops:
            session.push(request_id, ops, now_us)
            self._changed({(pushed.op.collection, pushed.op.record) for pushed in ops})
        else:
            session.wanted()
            # What came due may be held back by an op of its record: the next one counts.
            await self._plan_retry(now_us)

    async def _went_live(self, session: ClientSession) -> None:
        digests = await self._store.change(
            sync_jobs.went_live, self.progress.head_known or 0, self._around.now_us()
        )
        self._report(session, digests)
        self._tell(
            live=True, connecting=False, problem=None, next_attempt_us=None, storage_full=False
        )
        await self._plan_retry(self._around.now_us())

    def _report(self, session: ClientSession, digests: list[AcknowledgedDigest]) -> None:
        self._reported_us = self._around.now_us()
        for digest in digests:
            session.report(digest, self._reported_us)

    async def _report_soon(self, session: ClientSession, now_us: int) -> None:
        """A connection may live for weeks: what it brought back is reported while it does."""
        self._reported_us = min(self._reported_us, now_us)
        due = now_us - self._reported_us >= REPORT_EVERY_US
        if session.phase is Phase.LIVE and self.progress.live and due:
            self._report(session, await self._store.change(sync_jobs.acknowledged))

    async def _plan_retry(self, now_us: int) -> None:
        self._next_retry_us = await self._store.look(outbox.next_retry, self._user, now_us)

    def _tell(self, **changes: object) -> None:
        for name, value in changes.items():
            setattr(self.progress, name, value)
        self._told()
