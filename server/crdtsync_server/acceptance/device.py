"""A device as a process of its own: ``python -m crdtsync_server.acceptance.device FILE …``.

It opens a replica and obeys commands, one JSON object a line on standard input:
``{"n": 1, "do": "write", …}``. It answers ``{"n": 1, "ok": …}`` or ``{"n": 1,
"error": name, "words": …}`` on standard output; every write is announced there
before it is made (``begun``) and when it has returned (``done``), so whoever
kills this process knows what invariant 1 promised. End of input ends it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import ssl
import sys
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from crdtsync import Conflict, CrdtsyncError, Policy, Replica, Status, SyncState
from crdtsync.replica.collection import Collection
from crdtsync.replica.surroundings import System
from crdtsync.replica.transport import Transport, dial
from crdtsync_server.acceptance.processes import LINE_BYTES
from crdtsync_server.acceptance.reaching import LASTS_S, token_for

log = logging.getLogger("acceptance.device")

CONDITIONS: Mapping[str, Callable[[Status], bool]] = {
    "retrying": lambda status: status.next_retry is not None,
    "needs a person": lambda status: status.needs_person > 0 and not status.sending,
    "failed": lambda status: status.failed > 0 and not status.sending,
    "signed out": lambda status: status.state is SyncState.SIGNED_OUT,
}
"""What a runner can wait for."""


class Around(System):
    """The machine's clock, set wrong if wanted, and seeded luck in the delays between
    attempts; ids stay random, because a server knows them for ever."""

    def __init__(self, seed: str) -> None:
        super().__init__()
        self.offset_s = 0.0
        self._luck = Random(seed)

    def now_us(self) -> int:
        """This device's idea of the time."""
        return super().now_us() + round(self.offset_s * 1_000_000)

    def draw(self) -> float:
        """See ``System.draw``."""
        return self._luck.random()


class SignIn:
    """What stands for a login service: it makes this device's tokens, unless nobody is
    signed in, and counts how often it was asked."""

    def __init__(self, user: str, secret_file: Path | None, lasts_s: float) -> None:
        self.signed_in = True
        self.asked = 0
        self.was_asked = asyncio.Event()
        self._user = user
        self._secret_file = secret_file
        self._lasts_s = lasts_s

    def token(self) -> str | None:
        """A new token; None where none is needed, or while nobody is signed in."""
        self.asked += 1
        self.was_asked.set()
        if self._secret_file is None or not self.signed_in:
            return None
        log.info("a token for %s is made, good for %s s", self._user, self._lasts_s)
        return token_for(self._user, self._secret_file, self._lasts_s)


class Network:
    """How this device dials: straight to where it is told, or through a proxy."""

    def __init__(self, ca: Path | None) -> None:
        self.via: int | None = None
        """The port of a proxy on this machine that leads to wherever the address says."""
        self._tls = None if ca is None else ssl.create_default_context(cafile=ca)

    async def dial(self, url: str) -> Transport:
        """See ``crdtsync.replica.transport.Dial``."""
        options: dict[str, Any] = {}
        if self.via is not None:
            options |= {"host": "127.0.0.1", "port": self.via}
        elif self._tls is not None and url.startswith("wss:"):
            options["ssl"] = self._tls
        return await dial(url, **options)


@dataclass(slots=True)
class Driver:
    """Obeys commands. Each is one method, named ``do_<command>``."""

    replica: Replica
    around: Around
    sign_in: SignIn
    network: Network

    async def obey(self, command: dict[str, Any]) -> None:
        """Carry out one command and answer it."""
        number, name = command.pop("n"), command.pop("do")
        log.info("command %s %s %s", number, name, _short(command))
        act: Callable[..., Awaitable[Any]] = getattr(self, f"do_{name}")
        try:
            say({"n": number, "ok": await act(**command)})
        except (CrdtsyncError, OSError) as error:
            log.info("command %s failed: %s: %s", number, type(error).__name__, error)
            say({"n": number, "error": type(error).__name__, "words": str(error) or "not in time"})

    async def do_write(self, writes: list[dict[str, Any]]) -> int:
        """One after another, each durable before the next; how many."""
        for write in writes:
            if "clock_s" in write:
                self.around.offset_s = write["clock_s"]
            one = str(uuid.uuid4())
            say({"begun": one, "write": write})
            await self._write(one, write)
            say({"done": one})
        return len(writes)

    async def _write(self, one: str, write: dict[str, Any]) -> None:
        items = self._items()
        record = write["record"]
        match write["kind"]:
            case "update":
                await items.update(record, self._typed(write["fields"]), op_id=one)
            case "increment":
                await items.increment(record, "visits", write.get("by", 1), op_id=one)
            case "tag":
                await items.add(record, "tags", *write["tags"], op_id=one)
            case "delete":
                await items.delete(record, op_id=one)

    async def do_connect(self, url: str, via: int | None = None) -> None:
        """Keep in step from now on; connected already, try at once."""
        self.network.via = via
        self.replica.connect(url, token=self.sign_in.token)

    async def do_sign_out(self) -> None:
        """Nobody is signed in: the login service gives no more tokens."""
        self.sign_in.signed_in = False

    async def do_sign_in(self) -> None:
        """The login service gives tokens again."""
        self.sign_in.signed_in = True

    async def do_asked(self, times: int, timeout: float) -> None:
        """Until the login service was asked so many times."""
        async with asyncio.timeout(timeout):
            while self.sign_in.asked < times:
                self.sign_in.was_asked.clear()
                await self.sign_in.was_asked.wait()

    async def do_disconnect(self) -> None:
        """Stop syncing."""
        await self.replica.disconnect()

    async def do_synced(self, timeout: float) -> None:
        """Until everything is in step."""
        await self.replica.synced(timeout=timeout)

    async def do_until(self, what: str, timeout: float) -> dict[str, Any]:
        """Until a condition of the status holds."""
        wanted = CONDITIONS[what]
        async with asyncio.timeout(timeout), self.replica.watch_status() as statuses:
            async for status in statuses:
                if wanted(status):
                    break
        return await self.do_status()

    async def do_until_waiting(self, count: int, timeout: float) -> None:
        """Until at most so many changes wait."""
        async with asyncio.timeout(timeout), self.replica.watch_status() as statuses:
            async for status in statuses:
                if status.waiting <= count:
                    return

    async def do_status(self) -> dict[str, Any]:
        """How sync stands, in numbers and in words."""
        status = self.replica.status
        return {
            "state": str(status.state),
            "waiting": status.waiting,
            "needs_person": status.needs_person,
            "conflicts": status.conflicts,
            "clock_skew_s": status.clock_skew_s,
            "problem": status.problem,
            "asked_for_token": self.sign_in.asked,
            "en": status.message("en"),
            "ko": status.message("ko"),
        }

    async def do_records(self) -> dict[str, Any]:
        """All that this device shows."""
        return {
            record.id: {
                **record.to_json(),
                "(by)": record.updated_by,
                "(at)": record.updated_at.isoformat(),
            }
            for record in self._items().values()
        }

    async def do_outbox(self) -> list[dict[str, Any]]:
        """Everything that waits, with words for people."""
        return [
            {**item.to_json(), "en": item.words("en"), "ko": item.words("ko")}
            for item in self.replica.outbox
        ]

    async def do_resolve(
        self, record: str, field: str, value: Any, if_unchanged: bool = False
    ) -> str:
        """A person chooses; the op_id of the choice."""
        conflict = self._items()[record][field]
        if not isinstance(conflict, Conflict):
            raise CrdtsyncError(f"{record} has no conflict in {field}")
        before = {item.op_id for item in self.replica.outbox}
        await conflict.resolve(self._typed({field: value})[field], if_unchanged=if_unchanged)
        return self._new_in_queue(before, {"kind": "choose", "record": record, "field": field})

    async def do_edit(self, op_id: str, fields: dict[str, Any]) -> str:
        """A person edits a change that was refused; the op_id of the new one."""
        (old,) = [item for item in self.replica.outbox if item.op_id == op_id]
        before = {item.op_id for item in self.replica.outbox}
        if not await self.replica.edit(op_id, self._typed(fields)):
            raise CrdtsyncError(f"{op_id} may be on the server already")
        written = {**old.fields, **fields}
        write = {"kind": "update", "record": old.record_id, "fields": written, "replaces": op_id}
        return self._new_in_queue(before, write)

    async def do_discard(self, op_id: str) -> None:
        """A person takes a change back."""
        if not await self.replica.discard(op_id):
            raise CrdtsyncError(f"{op_id} may be on the server already")

    async def do_retry(self, op_id: str | None = None) -> None:
        """A person presses "Try again now"."""
        await self.replica.retry(op_id)

    async def do_clock(self, offset_s: float) -> None:
        """Set this device's clock wrong."""
        self.around.offset_s = offset_s

    def _new_in_queue(self, before: set[str], write: dict[str, Any]) -> str:
        # Nothing has run since the write returned, so it still waits.
        (new,) = [item.op_id for item in self.replica.outbox if item.op_id not in before]
        say({"begun": new, "write": write})
        say({"done": new})
        return new

    def _items(self) -> Collection:
        from crdtsync_server.acceptance.rules import COLLECTION

        return self.replica.collection(COLLECTION)

    def _typed(self, fields: dict[str, Any]) -> dict[str, Any]:
        """JSON knows no sets."""
        return {
            name: frozenset(value) if isinstance(value, list) else value
            for name, value in fields.items()
        }


def say(message: dict[str, Any]) -> None:
    """One line on standard output. It is with the runner even if this process dies next."""
    sys.stdout.write(json.dumps(message, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _short(command: dict[str, Any]) -> str:
    text = json.dumps(command, ensure_ascii=False)
    return text if len(text) <= 300 else f"{text[:300]}…"


async def drive(args: argparse.Namespace) -> None:
    """Open the replica and obey until the input ends."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=LINE_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    around = Around(args.seed)
    around.offset_s = args.clock
    network = Network(args.ca)
    replica = Replica.open(
        args.file,
        space=args.space,
        policy=Policy.load(args.policy),
        user=args.user,
        device=args.name,
        surroundings=around,
        dial=network.dial,
    )
    sign_in = SignIn(args.user, args.secret_file, args.token_lasts)
    running: set[asyncio.Task[None]] = set()
    async with replica:
        log.info("opened %s as replica %s", args.file, replica.replica_id)
        noting = asyncio.create_task(note_status(replica))
        driver = Driver(replica, around, sign_in, network)
        say({"n": 0, "ok": replica.replica_id})
        while line := await reader.readline():
            task = asyncio.create_task(driver.obey(json.loads(line)))
            running.add(task)
            task.add_done_callback(_done(running))
        for task in (noting, *running):
            task.cancel()
        await asyncio.gather(noting, *running, return_exceptions=True)
    log.info("closed")


def _done(running: set[asyncio.Task[None]]) -> Callable[[asyncio.Task[None]], None]:
    def done(task: asyncio.Task[None]) -> None:
        running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("a command met a fault", exc_info=error)
            say({"fault": repr(error)})

    return done


async def note_status(replica: Replica) -> None:
    """Every change of the status goes into the log, as its user would see it."""
    last = ""
    async with replica.watch_status() as statuses:
        async for status in statuses:
            words = f"{status.state}: {status.message()} ({status.problem or 'no problem'})"
            if words != last:
                log.info("status %s", words)
            last = words


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    for name in ("space", "policy", "user", "name", "seed"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--clock", type=float, default=0.0)
    parser.add_argument("--secret-file", type=Path)
    parser.add_argument("--token-lasts", type=float, default=LASTS_S)
    parser.add_argument("--ca", type=Path)
    logging.basicConfig(
        level=logging.INFO,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
    )
    asyncio.run(drive(parser.parse_args()))


if __name__ == "__main__":
    main()
