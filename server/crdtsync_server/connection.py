"""One WebSocket: a thin shell around the session.

One reader loop (``serve``), one writer task (sending.py), one timer. The reader rests most of
the time: a push that comes while it waits is taken at once (``_take``). Whatever has to be
waited for takes its way, such as a sign-in or a page of records.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from crdtsync.database import StorageError
from crdtsync.protocol import close_codes
from crdtsync.protocol.admission import Admission
from crdtsync.protocol.codec import decode_client, encode
from crdtsync.protocol.errors import ProtocolError
from crdtsync.protocol.messages import Answer, Goodbye, Push, Receipt, Refused, Transient
from crdtsync.protocol.server_actions import (
    Action,
    Admit,
    Authenticate,
    Close,
    GoLive,
    LookUpReceipts,
    NoteAcknowledged,
    NoteCursor,
    ReadHead,
    ReadHistory,
    ReadSnapshots,
    Send,
    State,
    Submit,
)
from crdtsync.protocol.server_session import HELLO_TIMEOUT_US, ServerSession
from crdtsync_server.authentication import Credentials, Identity, NotAuthenticated
from crdtsync_server.hub import Feed
from crdtsync_server.observing.logs import bind, log_answers, log_connected, log_end
from crdtsync_server.observing.recording import bounded
from crdtsync_server.paging import PagesAhead
from crdtsync_server.sending import AsgiMessage, Sending
from crdtsync_server.sight import Sight
from crdtsync_server.storage.reading import read_history
from crdtsync_server.work import AdmitWork, Fault, LookUpWork, Origin, PushWork

if TYPE_CHECKING:
    from crdtsync_server.service import Service
    from crdtsync_server.websocket import SyncWebSocketProtocol

logger = logging.getLogger("crdtsync.server.connection")

LONGEST_PAUSE_S = 1.0
"""Without reading, after a push beyond the allowance; far below any silence."""

_LAST_WORDS = (Goodbye, Refused)

PUSH = b"\x93\xa4push"
"""How the frame of a push begins."""


class Connection:
    """A replica that is connected."""

    def __init__(
        self,
        service: Service,
        receive: Callable[[], Any],
        send: Callable[[AsgiMessage], Any],
        abort: Callable[[], None],
        token: str | None = None,
        wire: SyncWebSocketProtocol | None = None,
    ) -> None:
        """``token`` is that of the opening's Authorization header; the hello's goes first.
        Without a ``wire`` every frame takes the way of ``receive`` and ``send``."""
        self.replica_id = ""
        self._token = token
        self._identity: Identity | None = None
        self._seat: tuple[str, str] | None = None
        self._service = service
        self._receive = receive
        self._abort = abort
        self._wire = wire
        self._reader_waits = False
        self._sending = Sending(service, send, abort, wire)
        self._session = ServerSession(
            policy=service.offer, limits=service.settings.limits, now_us=service.now_us()
        )
        self._origin: Origin | None = None
        self._sight: Sight | None = None
        self._feed: Feed | None = None
        self._pages = PagesAhead(service.store)
        self._close: Close | None = None
        self._closing_since_us: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stopped_reading = False
        self._pause_s = 0.0
        self._peer_code: int = close_codes.NORMAL

    # ── for the service and the hub ─────────────────────────────────────────

    @property
    def skew_us(self) -> int | None:
        """The device's clock minus ours, as its hello arrived; None before that."""
        return None if self._origin is None else self._origin.skew_us

    def wake(self) -> None:
        """The space's log has grown."""
        self._sending.wake()

    def fence(self) -> None:
        """A newer connection of this replica was accepted."""
        if self._origin is not None:
            self._origin.fenced = True
        self._perform(self._session.fenced())

    def stop_reading(self) -> None:
        """The server is about to stop: frames that come from now on are not looked at."""
        self._stopped_reading = True

    def end_sign_in(self, is_over: Callable[[Identity], bool], words: str) -> None:
        """Some sign-ins were taken back: if this one is among them, it ends."""
        if self._identity is not None and is_over(self._identity):
            self._perform(self._session.sign_in_ended(words))

    def restart(self) -> None:
        """Everything is answered: say goodbye."""
        self._perform(self._session.restarting())

    def cut(self) -> None:
        """End the connection without a word to a peer that does not listen."""
        self._abort()

    # ── reading ─────────────────────────────────────────────────────────────

    async def serve(self) -> None:
        """Serve until the connection has ended."""
        writer = asyncio.create_task(
            self._sending.write(self._log_unreadable), name="crdtsync writer"
        )
        self._arm()
        if self._wire is not None:
            self._wire.hand_to(self._take)
        try:
            await self._read()
        finally:
            self._reader_waits = False
            if self._wire is not None:
                self._wire.hand_to(None)
            self._session.disconnected()
            if self._timer is not None:
                self._timer.cancel()
            if self._origin is not None:
                self._service.hub.leave(self._origin.space, self)
            if self._seat is not None:
                self._service.access.quotas.seats.leave(*self._seat)
            writer.cancel()
            await asyncio.wait([writer])
            await self._pages.close()
            self._log_end()

    async def _read(self) -> None:
        while True:
            await self._sending.has_room.wait()
            if self._pause_s:
                await asyncio.sleep(self._pause_s)
                self._pause_s = 0.0
            self._reader_waits = True
            event = await self._receive()
            self._reader_waits = False
            if event["type"] == "websocket.disconnect":
                self._peer_code = event.get("code") or close_codes.NORMAL
                return
            if self._stopped_reading:
                continue
            frame = event.get("bytes")
            if frame is None:
                frame = event.get("text", "")
            try:
                await self._handle(frame)
            except Exception:
                self._failed()

    def _take(self, frame: bytes) -> bool:
        """A frame came. False where it has to wait for the reader.

        Only pushes are taken: nothing that they ask for has to be waited for. Frames stay in
        order, since none is offered here while an earlier one waits.
        """
        if (
            not self._reader_waits
            or self._pause_s
            or self._stopped_reading
            or self._session.state is not State.LIVE
            or not frame.startswith(PUSH)
            or not self._sending.has_room.is_set()
        ):
            return False
        now_us = self._service.now_us()
        try:
            for action in self._session.receive(decode_client(frame), now_us):
                if isinstance(action, Submit):
                    self._submit(action.push, len(frame), now_us)
                else:
                    self._perform([action])
        except ProtocolError as error:
            self._perform(self._session.receive_garbage(str(error)))
        except Exception:
            self._failed()
        return True

    def _failed(self) -> None:
        logger.exception("a connection failed user_id=%r", self._session.user)
        self._perform(self._session.failed("a fault of the server"))

    def _log_unreadable(self, words: str) -> None:
        self._perform(self._session.failed(words))

    async def _handle(self, frame: bytes | str) -> None:
        now_us = self._service.now_us()
        try:
            message = decode_client(frame)
        except ProtocolError as error:
            self._perform(self._session.receive_garbage(str(error)))
            return
        for action in self._session.receive(message, now_us):
            if isinstance(action, Submit):
                self._submit(action.push, len(frame), now_us)
            elif isinstance(action, Authenticate):
                await self._authenticate(action)
            elif isinstance(action, ReadSnapshots):
                await self._read_snapshots(action)
            elif isinstance(action, ReadHistory):
                await self._read_history(action)
            else:
                self._perform([action])

    async def _authenticate(self, action: Authenticate) -> None:
        try:
            async with asyncio.timeout(HELLO_TIMEOUT_US / 1e6):
                identity = await self._service.authenticator.authenticate(
                    Credentials(action.hello.token or self._token, action.hello.user)
                )
        except NotAuthenticated as error:
            self._perform(self._session.not_authenticated(str(error)))
            return
        except Exception:
            logger.exception("a sign-in could not be checked user_id=%r", action.hello.user)
            self._perform(
                self._session.not_admitted("sign_in_unavailable", "sign-in cannot be checked now")
            )
            return
        if not self._let_in(identity, action.hello.space):
            return
        seen = self._service.policy.visibility(identity.roles)
        self._sight = Sight(identity.user, seen)
        actions = self._session.authenticated(
            identity.user, identity.roles, identity.expires_us, seen.mark
        )
        for following in actions:
            assert isinstance(following, Admit)
            await self._admit(following)

    def _let_in(self, identity: Identity, space: str) -> bool:
        if not identity.may_enter(space):
            # The same words whether the space exists or not.
            words = f"your sign-in does not open the space {space!r}"
            self._perform(self._session.no_access(words))
            return False
        access = self._service.access
        too_many = access.quotas.seats.take(identity.user, space)
        if too_many is not None:
            self._perform(
                self._session.not_admitted(
                    "too_many_connections", too_many.words, too_many.retry_after_ms
                )
            )
            return False
        access.waited(self)
        self._identity, self._seat = identity, (identity.user, space)
        return True

    async def _admit(self, action: Admit) -> None:
        hello = action.hello
        allowance = self._service.access.quotas.connection(self._service.now_us())
        origin = Origin(
            hello.space, hello.replica_id, action.user, action.roles, allowance=allowance
        )
        origin.skew_us = bounded(hello.client_us - self._service.now_us())
        done = asyncio.Event()

        def admitted(outcome: Admission | Fault) -> None:
            # In the turn of the loop in which the group was committed: whatever is
            # queued from older connections is fenced off before the next group.
            done.set()
            if isinstance(outcome, Fault):
                self._perform(
                    self._session.not_admitted(
                        outcome.reason, outcome.words, outcome.retry_after_ms
                    )
                )
                return
            if outcome.known_run:
                self._service.hub.fence(hello.space, hello.replica_id)
            actions = self._session.admitted(outcome, self._service.now_us())
            if outcome.known_run and actions:
                self._origin = origin
                self.replica_id = hello.replica_id
                self._feed = self._service.hub.join(hello.space, self, outcome.head)
                log_connected(logger, hello, action.user, outcome.head.seq)
            elif outcome.known_run:
                # The session closed while its admission was committed: nobody else will
                # note that what the group recorded as a connection has ended.
                self._service.tracer.ended(origin, self._end_code)
            self._perform(actions)
            # The heartbeat may be due sooner than the hello was.
            self._arm()

        self._service.ingest.submit(AdmitWork(origin, hello, admitted))
        await done.wait()
        bind(user_id=action.user, space=hello.space, replica_id=hello.replica_id)

    def _submit(self, push: Push, size_bytes: int, received_us: int) -> None:
        assert self._origin is not None
        user = self._origin.user

        def answered(answers: Sequence[Answer]) -> None:
            log_answers(logger, push.request_id, user, answers)
            if isinstance(answers[0], Transient) and answers[0].reason == "rate_limited":
                # As long as it takes to earn such a push: who sends more is served more
                # slowly, and nobody can keep the server busy with refusing.
                rate_per_s = self._service.settings.access.ops_per_s_per_connection
                self._pause_s = min(len(answers) / rate_per_s, LONGEST_PAUSE_S)
            self._perform(self._session.answered(push, answers))

        work = PushWork(self._origin, push, size_bytes, answered, None, received_us)
        self._service.ingest.submit(work)

    def _look_up(self, action: LookUpReceipts) -> None:
        assert self._origin is not None

        def found(outcome: Sequence[Receipt] | Fault) -> None:
            if isinstance(outcome, Fault):
                self._perform(self._session.receipts_not_found(outcome.words))
            else:
                self._perform(self._session.receipts_found(action.request, outcome))

        self._service.ingest.submit(LookUpWork(self._origin, action.op_ids, found))

    async def _read_snapshots(self, action: ReadSnapshots) -> None:
        assert self._origin is not None
        assert self._sight is not None
        try:
            page = await self._pages.page(self._origin.space, action.paging, self._sight.seen)
        except StorageError as error:
            self._perform(self._session.failed(str(error)))
            return
        self._perform(
            self._session.snapshots_read(
                action.request, page.rows, page.paging, page.head, page.remaining
            )
        )

    async def _read_history(self, action: ReadHistory) -> None:
        assert self._origin is not None
        assert self._sight is not None
        space, sight, store = self._origin.space, self._sight, self._service.store
        try:
            history = await store.read(
                lambda connection: read_history(connection, store.sql, space, action.request, sight)
            )
        except StorageError as error:
            self._perform(self._session.failed(str(error)))
            return
        self._perform(self._session.history_read(history))

    # ── actions ─────────────────────────────────────────────────────────────

    def _perform(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, Send):
                if isinstance(action.message, _LAST_WORDS):
                    self._log_refusal(action.message)
                self._sending.answer(encode(action.message))
            elif isinstance(action, Close):
                self._close = action
                if action.code == close_codes.SIGNED_OUT and self._origin is not None:
                    # What was sent under the sign-in and is not decided yet is dropped;
                    # the replica keeps it, and sends it again under its next one.
                    self._origin.fenced = True
                self._closing_since_us = self._service.now_us()
                self._sending.close(action)
                self._arm()
            elif isinstance(action, GoLive):
                assert self._feed is not None
                assert self._sight is not None
                self._sending.follow(self._feed, self._sight, action.after_seq)
            elif isinstance(action, LookUpReceipts):
                self._look_up(action)
            elif isinstance(action, ReadHead):
                assert self._feed is not None
                self._perform(self._session.head_read(action.request, self._feed.head))
            elif isinstance(action, NoteCursor) and self._origin is not None:
                self._service.ingest.note_cursor(
                    self._origin.space, self.replica_id, action.seq, action.outbox
                )
            elif isinstance(action, NoteAcknowledged) and self._origin is not None:
                self._service.ingest.note_acknowledged(
                    self._origin.space, self.replica_id, action.digest
                )
            else:
                raise AssertionError(f"{action} cannot be performed here")

    # ── time ────────────────────────────────────────────────────────────────

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        timeouts = self._service.settings.timeouts
        deadlines = [self._session.deadline_us]
        if self._sending.since_us is not None:
            deadlines.append(self._sending.since_us + round(timeouts.send_s * 1e6))
        if self._closing_since_us is not None:
            deadlines.append(self._closing_since_us + round(timeouts.close_s * 1e6))
        known = [deadline for deadline in deadlines if deadline is not None]
        if known:
            delay_s = max((min(known) - self._service.now_us()) / 1e6, 0.001)
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._on_timer)

    def _on_timer(self) -> None:
        now_us = self._service.now_us()
        timeouts = self._service.settings.timeouts
        closing, sending = self._closing_since_us, self._sending.since_us
        if closing is not None:
            if now_us >= closing + timeouts.close_s * 1e6:
                self._abort()
                return
        elif sending is not None and now_us >= sending + timeouts.send_s * 1e6:
            self._perform(self._session.too_slow())
        else:
            self._perform(self._session.tick(now_us))
        self._arm()

    # ── logs ────────────────────────────────────────────────────────────────

    def _log_refusal(self, message: Goodbye | Refused) -> None:
        name = "refused" if isinstance(message, Refused) else "goodbye"
        log_end(logger, name, self._session.user, self.replica_id, message.code, message.words)

    @property
    def _end_code(self) -> int:
        return self._close.code if self._close is not None else self._peer_code

    def _log_end(self) -> None:
        code = self._end_code
        self._service.observer.ended(self._origin, code)
        words = close_codes.NAMES.get(code, "?")
        log_end(logger, "disconnected", self._session.user, self.replica_id, code, words)
