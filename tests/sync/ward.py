"""What the sync tests share: a policy, devices, a server, and the ways to look at both."""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import uuid
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import msgspec

from crdtsync import OutboxItem, Policy, Replica, Status
from crdtsync.documents.state import LogEntry
from crdtsync.protocol.messages import Limits
from crdtsync.replica.transport import Dial, dial
from crdtsync_server.acceptance.processes import WAIT_S, ServerProcess
from crdtsync_server.authentication import Authenticator
from crdtsync_server.service import RunningServer

ROOT = Path(__file__).parents[2]
SPACE = "ward-3"

POLICY = """
version = {version}

[patient]
on_delete_conflict = "keep"
[patient.fields]
name      = {{ type = "string", merge = "server-latest"{name} }}
phone     = {{ type = "string", merge = "{phone}" }}
allergies = {{ type = "set<string>", merge = "manual"{allergies} }}
visits    = {{ type = "integer", merge = "counter" }}
tags      = {{ type = "set<string>", merge = "set" }}
{more}

[task]
on_delete_conflict = "delete"
[task.fields]
title     = {{ type = "string", merge = "server-latest" }}
"""


def policy(
    version: int = 1,
    *,
    name: str = "",
    phone: str = "user-latest",
    allergies: str = "",
    more: str = "",
) -> Policy:
    """The ward's policy; ``name`` and ``allergies`` are further rules of those fields."""
    text = POLICY.format(version=version, name=name, phone=phone, allergies=allergies, more=more)
    return Policy.parse(text)


class Around:
    """Surroundings whose backoff is always the shortest and whose clock may be wrong."""

    def __init__(self, clock_off_s: float = 0.0) -> None:
        self.clock_off_s = clock_off_s

    def now_us(self) -> int:
        """This device's idea of the time."""
        return server_now_us() + round(self.clock_off_s * 1_000_000)

    def draw(self) -> float:
        """The luckiest draw, so that tests do not wait."""
        return 0.0

    def new_id(self) -> str:
        """A UUID v4."""
        return str(uuid.uuid4())


def server_now_us() -> int:
    """The right time."""
    from crdtsync_server.service import wall_clock_us

    return wall_clock_us()


def op_id() -> str:
    """A new idempotency key."""
    return str(uuid.uuid4())


def device(
    folder: Path,
    name: str,
    *,
    user: str | None = None,
    rules: Policy | None = None,
    clock_off_s: float = 0.0,
    dial: Dial = dial,
) -> Replica:
    """A replica whose file is named after the device, and its user too."""
    return Replica.open(
        folder / f"{name}.db",
        space=SPACE,
        policy=rules or policy(),
        user=user or name,
        device=name,
        surroundings=Around(clock_off_s),
        dial=dial,
    )


def server(
    folder: Path,
    *,
    rules: Policy | None = None,
    authenticator: Authenticator | None = None,
    limits: Limits | None = None,
    port: int = 0,
) -> RunningServer:
    """A server over ``folder / server``, in this process."""
    return RunningServer(
        policy=rules or policy(),
        data=folder / "server",
        dev=authenticator is None,
        port=port,
        authenticator=authenticator,
        limits=limits,
    )


def server_process(folder: Path, rules: Policy | None = None) -> ServerProcess:
    """The same server as a process of its own, to be killed."""
    rules_file = folder / "policy.toml"
    rules_file.write_text((rules or policy()).text, encoding="utf-8")
    return ServerProcess(folder / "server", rules_file)


async def in_step(*replicas: Replica) -> None:
    """Everything is sent, and everyone has everything."""
    for replica in replicas:
        await replica.synced(timeout=WAIT_S)
    # Now that every outbox is empty, the head is final.
    for replica in replicas:
        await replica.synced(timeout=WAIT_S)


async def until_status(replica: Replica, wanted: Any) -> Status:
    """The first status for which ``wanted(status)`` holds."""
    async with replica.watch_status() as statuses:
        async for status in statuses:
            if wanted(status):
                return status
    raise AssertionError("the replica was closed")


def everything(replica: Replica) -> dict[str, dict[str, Any]]:
    """All that a replica shows: values, candidates, who changed a record last and when."""
    return {
        name: {
            record.id: {
                **record.to_json(),
                "(by)": record.updated_by,
                "(at)": record.updated_at.isoformat(),
                # How many restores a device has seen stands before the "~": its own affair.
                "(version)": record.version.rpartition("~")[2],
            }
            for record in replica.collection(name).values()
        }
        for name in sorted(replica.policy.collections)
    }


def assert_alike(*replicas: Replica) -> None:
    """Invariant 5: at one cursor with empty outboxes they read alike, and they read something."""
    first = everything(replicas[0])
    assert any(first.values()), "nothing is there that could differ"
    for other in replicas:
        assert other.outbox == []
        assert everything(other) == first


class ServerLog:
    """The server's database as it lies on disk."""

    def __init__(self, folder: Path, space: str = SPACE) -> None:
        path = folder / "server" / "crdtsync.db"
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        try:
            connection.execute("BEGIN")
            found = connection.execute(
                "SELECT id, seq, digest FROM spaces WHERE name = ?", (space,)
            ).fetchone()
            row: tuple[int, int, bytes] = found or (0, 0, b"")
            self.space_id, self.seq, self.digest = row
            bounds = (self.space_id << 40, (self.space_id + 1) << 40)
            self.entries: list[LogEntry] = [
                msgspec.msgpack.decode(data, type=LogEntry)
                for (data,) in connection.execute(
                    "SELECT entry FROM log WHERE position > ? AND position < ? ORDER BY position",
                    bounds,
                )
            ]
            self.receipts = [
                str(uuid.UUID(bytes=key))
                for (key,) in connection.execute(
                    "SELECT op_id FROM receipts WHERE position > ? AND position < ?", bounds
                )
            ]
            self.conflicts: Counter[str] = Counter(
                status
                for (status,) in connection.execute(
                    "SELECT status FROM conflicts WHERE space = ?", (self.space_id,)
                )
            )
        finally:
            connection.close()

    @property
    def op_ids(self) -> list[str]:
        """In the order of the log."""
        return [entry.op_id for entry in self.entries]

    def assert_sound(self) -> None:
        """No gaps, one receipt an op, and a chain of digests that holds (DESIGN.md, log)."""
        assert [entry.seq for entry in self.entries] == list(range(1, self.seq + 1))
        digest = b""
        for entry in self.entries:
            key = uuid.UUID(entry.op_id).bytes + entry.received_us.to_bytes(8, "big")
            digest = hashlib.blake2b(digest + key, digest_size=16).digest()
            assert entry.digest == digest
        assert self.digest == digest
        assert sorted(self.receipts) == sorted(self.op_ids)


def assert_once(folder: Path, written: Collection[str], *, maybe: Iterable[str] = ()) -> ServerLog:
    """Invariants 3 and 4: all that was written is in the log once, and nothing else is.

    ``maybe`` are ops whose writer died before it knew: there or not, but not twice.
    """
    log = ServerLog(folder)
    log.assert_sound()
    found, expected = Counter(log.op_ids), set(written)
    assert expected, "nothing was written that could have been lost"
    assert len(expected) == len(written)
    assert [one for one, count in found.items() if count > 1] == [], "doubled"
    assert expected - found.keys() == set(), "lost"
    assert found.keys() - expected <= set(maybe), "made up"
    return log


def op_ids_of(replica: Replica) -> list[str]:
    """What waits in an outbox."""
    return [item.op_id for item in replica.outbox]


def queued(replica: Replica, one: str) -> OutboxItem:
    """One op of an outbox."""
    (item,) = [item for item in replica.outbox if item.op_id == one]
    return item


def copy_file(source: Path, target: Path) -> None:
    """Copy a closed replica as a backup program does: the database and its WAL."""
    for ending in ("", "-wal"):
        if os.path.exists(f"{source}{ending}"):
            shutil.copyfile(f"{source}{ending}", f"{target}{ending}")
