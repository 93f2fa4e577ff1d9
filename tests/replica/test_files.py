"""The replica's file: one holder, the right kind, and disks that are full or read-only."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import sqlite3
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from crdtsync import (
    DiskFull,
    NotAReplica,
    Policy,
    Replica,
    ReplicaClosed,
    ReplicaInUse,
    StorageError,
    UsageError,
)
from crdtsync.replica import applying
from crdtsync.replica.lock import FileLock
from tests.replica.scripted_server import URL, Ledger, ScriptedServer, serving
from tests.replica.wards import POLICY, foreign_op, names, new_id, program, replica

HOLDER = """
import asyncio, sys
from crdtsync import Policy, Replica

async def main():
    async with Replica.open(sys.argv[1], space="ward-3", policy=Policy.load(sys.argv[2]), user="x"):
        print("open", flush=True)
        await asyncio.to_thread(sys.stdin.readline)

asyncio.run(main())
"""

RECORDS_OF_SCHEMA_2 = """
ALTER TABLE records RENAME TO newer;
DROP INDEX records_in_conflict;
DROP INDEX records_stale;
DROP INDEX records_unlisted;
CREATE TABLE records (
    collection TEXT NOT NULL,
    id TEXT NOT NULL,
    state BLOB,
    view TEXT NOT NULL,
    deleted INTEGER NOT NULL,
    conflicts INTEGER NOT NULL,
    pending INTEGER NOT NULL,
    stale INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (collection, id)
) WITHOUT ROWID;
CREATE INDEX records_in_conflict ON records (collection, id) WHERE conflicts > 0;
CREATE INDEX records_stale ON records (collection, id) WHERE stale = 1;
INSERT INTO records
SELECT collection, id, state, view, deleted, conflicts, pending, stale FROM newer;
DROP TABLE newer;
PRAGMA user_version = 2;
"""


@pytest.fixture(name="policy_file")
def _policy_file(tmp_path: Path) -> Path:
    path = tmp_path / "policy.toml"
    path.write_text(POLICY.text, encoding="utf-8")
    return path


class TestHolders:
    """A file has one holder at a time, and the error names it."""

    async def test_in_this_process(self, tmp_path: Path) -> None:
        async with replica(tmp_path / "a.db"):
            with pytest.raises(ReplicaInUse, match=f"this same process.*{os.getpid()}"):
                await replica(tmp_path / "a.db").start()
        async with replica(tmp_path / "a.db"):
            pass

    async def test_in_another_process_until_it_is_gone(
        self, tmp_path: Path, policy_file: Path
    ) -> None:
        path = tmp_path / "a.db"
        with program(HOLDER, str(path), str(policy_file)) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"open\n"
            with pytest.raises(ReplicaInUse, match=f"another process.*{holder.pid}"):
                await replica(path).start()
            holder.kill()
        async with replica(path):
            pass

    async def test_under_another_name_of_the_same_file(self, tmp_path: Path) -> None:
        (tmp_path / "folder").mkdir()
        async with replica(tmp_path / "a.db"):
            (tmp_path / "link.db").symlink_to(tmp_path / "a.db")
            for name in ("link.db", "folder/../a.db"):
                with pytest.raises(ReplicaInUse):
                    await replica(f"{tmp_path}/{name}").start()

    async def test_memory_replicas_are_many(self) -> None:
        async with replica() as one, replica() as other:
            await one.collection("patient").update("p1", name="Kim")
            assert "p1" not in other.collection("patient")


async def test_another_thread_is_told_whose_the_replica_is_and_spoils_nothing(
    tmp_path: Path,
) -> None:
    async with replica(tmp_path / "tablet.db") as tablet:
        patients = tablet.collection("patient")
        await patients.update("p1", name="Kim")
        uses: list[Callable[[], object]] = [
            lambda: patients["p1"],
            lambda: len(patients),
            lambda: tablet.status,
            lambda: tablet.outbox,
            tablet.watch_status,
            lambda: asyncio.run(patients.update("p1", name="Lee")),
            lambda: asyncio.run(patients.where({"name": "Kim"})),
            lambda: asyncio.run(tablet.discard(new_id())),
            lambda: tablet.connect("ws://127.0.0.1:1"),
        ]
        for use in uses:
            with pytest.raises(UsageError, match="opened by another thread"):
                await asyncio.to_thread(use)
        assert (await patients.update("p1", age=7))["name"] == "Kim"
        assert tablet.status.pending == 2


class TestWrongFiles:
    """What is not a replica of this space is refused, and left as it was."""

    async def test_not_sqlite(self, tmp_path: Path) -> None:
        path = tmp_path / "a.db"
        path.write_bytes(b"\x89PNG" * 1_000)
        with pytest.raises(StorageError, match="not a readable SQLite file"):
            await replica(path).start()
        assert path.read_bytes() == b"\x89PNG" * 1_000

    async def test_another_programs_database_is_not_touched(self, tmp_path: Path) -> None:
        path = tmp_path / "a.db"
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE notes (text)")
        other.commit()
        other.close()
        before = path.read_bytes()
        with pytest.raises(NotAReplica, match="not a crdtsync replica"):
            await replica(path).start()
        assert path.read_bytes() == before
        assert not (tmp_path / "a.db-wal").exists()

    async def test_another_space(self, tmp_path: Path) -> None:
        async with replica(tmp_path / "a.db"):
            pass
        with pytest.raises(NotAReplica, match="'ward-3', not 'ward-4'"):
            await replica(tmp_path / "a.db", space="ward-4").start()
        async with replica(tmp_path / "a.db", space=None, policy=None) as tablet:
            assert (tablet.space, tablet.policy.version) == ("ward-3", 1)

    async def test_a_newer_schema(self, tmp_path: Path) -> None:
        async with replica(tmp_path / "a.db"):
            pass
        connection = sqlite3.connect(tmp_path / "a.db")
        connection.execute("PRAGMA user_version = 99")
        connection.close()
        with pytest.raises(StorageError, match="newer crdtsync"):
            await replica(tmp_path / "a.db").start()

    async def test_a_new_file_needs_space_and_policy_and_is_not_made_without(
        self, tmp_path: Path
    ) -> None:
        for given in ({"space": None}, {"policy": None}):
            with pytest.raises(NotAReplica, match=f"is new; pass {next(iter(given))}="):
                await replica(tmp_path / "typo.db", **given).start()
        assert names(tmp_path) == []

    async def test_an_empty_file_becomes_a_replica(self, tmp_path: Path) -> None:
        (tmp_path / "a.db").touch()
        async with replica(tmp_path / "a.db") as tablet:
            await tablet.collection("patient").update("p1", name="Kim")

    @pytest.mark.parametrize("name", ["missing/a.db", "", "."])
    async def test_what_cannot_be_a_file(self, tmp_path: Path, name: str) -> None:
        with pytest.raises((StorageError, UsageError)):
            await replica(f"{tmp_path}/{name}" if name else "").start()

    async def test_a_damaged_file(self, tmp_path: Path) -> None:
        path = tmp_path / "a.db"
        async with replica(path) as tablet:
            await tablet.collection("patient").update_many(
                {f"p{n}": {"name": "x" * 100} for n in range(300)}
            )
        data = bytearray(path.read_bytes())
        data[4096:] = b"\xff" * (len(data) - 4096)
        path.write_bytes(data)
        with pytest.raises(StorageError, match="restore it from a copy"):
            await replica(path).start()

    @pytest.mark.parametrize("read_only", [False, True])
    async def test_a_file_whose_schema_is_damaged_and_no_text_any_more(
        self, tmp_path: Path, read_only: bool
    ) -> None:
        path = tmp_path / "a.db"
        async with replica(path):
            pass
        content = path.read_bytes()
        assert b"CREATE TABLE about" in content
        path.write_bytes(content.replace(b"CREATE TABLE about", b"CREATE \xb3ABLE about"))
        options = {"read_only": True, "space": None, "policy": None} if read_only else {}
        with pytest.raises(StorageError, match=r"damaged pages.*restore it from a copy"):
            await replica(path, **options).start()

    async def test_a_failed_opening_leaves_no_thread_and_no_lock(self, tmp_path: Path) -> None:
        async with replica(tmp_path / "a.db"):
            pass
        others = set(threading.enumerate())  # of tests that ran before in this process
        for _ in range(5):
            with pytest.raises(NotAReplica):
                await replica(tmp_path / "a.db", space="other").start()
        async with replica(tmp_path / "a.db"):
            pass
        # The loop's own pool keeps its threads; the stores' are gone.
        for thread in threading.enumerate():
            if "_connection_worker" in thread.name and thread not in others:
                thread.join(timeout=30)
                assert not thread.is_alive()


@pytest.mark.parametrize(
    "name", ["a#b.db", "a?b.db", "a%20b.db", "a b.db", "환자 기록.db", "a'b\".db", "a&b;c.db", "-a"]
)
async def test_any_name_of_a_file_works(tmp_path: Path, name: str) -> None:
    for n in range(2):
        async with replica(tmp_path / name) as tablet:
            await tablet.collection("patient").update(f"p{n}", name="Kim")
            assert len(tablet.collection("patient")) == n + 1
        async with Replica.open(str(tmp_path / name), user="kim", read_only=True) as reader:
            assert len(reader.collection("patient")) == n + 1
    assert (tmp_path / name).exists()


async def test_relative_paths_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    async with replica("a.db") as tablet:
        await tablet.collection("patient").update("p1", name="Kim")
        assert tablet.collection("patient")["p1"]["name"] == "Kim"


class TestPolicies:
    """The file keeps the newest policy that it has seen."""

    async def test_an_older_one_gives_way_and_a_newer_one_is_adopted(self, tmp_path: Path) -> None:
        newer = Policy.parse(
            POLICY.text.replace("version = 1", "version = 2").replace(
                "[visit]", 'nickname = { type = "string" }\n[visit]', 1
            )
        )
        async with replica(tmp_path / "a.db") as tablet:
            await tablet.collection("patient").update("p1", name="Kim")
        async with replica(tmp_path / "a.db", policy=newer) as tablet:
            await tablet.collection("patient").update("p1", nickname="K")
            found = await tablet.collection("patient").where({"name": "Kim", "nickname": "K"})
            assert len(found) == 1
        async with replica(tmp_path / "a.db") as tablet:
            assert tablet.policy.version == 2
            assert tablet.collection("patient")["p1"]["nickname"] == "K"

    async def test_the_same_version_with_other_contents_is_refused(self, tmp_path: Path) -> None:
        other = Policy.parse(POLICY.text + "# signed\n")
        async with replica(tmp_path / "a.db"):
            pass
        with pytest.raises(NotAReplica, match="raise `version`"):
            await replica(tmp_path / "a.db", policy=other).start()

    async def test_one_under_which_records_could_not_be_read_is_refused_and_not_kept(
        self, tmp_path: Path
    ) -> None:
        """There is no way back to the one before, and no server would start with it."""
        text = POLICY.text.replace("version = 1", "version = 2")
        before = 'name      = { type = "string"'
        other = Policy.parse(text.replace(before, 'name      = { type = "integer"'))
        assert other.collection("patient").fields["name"].type.kind == "integer"
        async with replica(tmp_path / "a.db") as tablet:
            await tablet.collection("patient").update("p1", name="Kim")
        with pytest.raises(NotAReplica, match=r"cannot follow it\. patient\.fields\.name\.type"):
            await replica(tmp_path / "a.db", policy=other).start()
        async with replica(tmp_path / "a.db") as tablet:
            assert tablet.policy.version == 1
            assert tablet.collection("patient")["p1"]["name"] == "Kim"

    async def test_from_a_server_is_adopted_before_what_was_made_under_it(
        self, tmp_path: Path
    ) -> None:
        text = (
            POLICY.text.replace("version = 1", "version = 2")
            .replace("[visit]", 'nickname = { type = "string" }\n[visit]', 1)
            .replace('phone     = { type = "string", merge = "user-latest" }',
                     'phone     = { type = "string", merge = "manual" }')
        )  # fmt: skip
        newer = Policy.parse(text)
        server, ledger = ScriptedServer(), Ledger(newer)
        ledger.accept(foreign_op("p1", {"r/nickname": '"K"', "r/phone": '"1"'}))
        ledger.accept(foreign_op("p1", {"r/phone": '"2"'}))
        async with (
            replica(tmp_path / "a.db", dial=server.dial) as tablet,
            serving(server, ledger, policy=newer.text, paging=None),
        ):
            tablet.connect(URL)
            await tablet.synced(timeout=30)
            record = tablet.collection("patient")["p1"]
            assert record["nickname"] == "K"
            assert len(record["phone"].candidates) == 2
        async with replica(tmp_path / "a.db", policy=None) as tablet:
            assert tablet.policy.version == 2

    async def test_fields_that_it_does_not_know_are_carried_along(self, tmp_path: Path) -> None:
        newer = Policy.parse(
            POLICY.text.replace("version = 1", "version = 2").replace(
                "[visit]", 'nickname = { type = "string" }\n[visit]', 1
            )
            + '[room.fields]\nfloor = { type = "integer" }\n'
        )
        ledger = Ledger(newer)
        ledger.accept(foreign_op("p1", {"r/nickname": '"K"', "r/name": '"Kim"'}))
        room = foreign_op("r1", {"r/floor": "3"})
        ledger.accept(type(room)(room.op_id, room.user, "room", "r1", room.time_us, room.writes))
        async with replica(tmp_path / "a.db") as tablet:
            await tablet._open_store().change(applying.apply_entries, ledger.since(0).entries, 0)
            assert tablet.collection("patient")["p1"]["name"] == "Kim"
            await tablet.collection("patient").update("p1", name="Lee")
        async with replica(tmp_path / "a.db", policy=newer) as tablet:
            record = tablet.collection("patient")["p1"]
            assert (record["name"], record["nickname"]) == ("Lee", "K")
            assert tablet.collection("room")["r1"]["floor"] == 3
            assert len(await tablet.collection("room").where({"floor": 3})) == 1

    async def test_that_cannot_be_stored_is_not_half_in_force(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        newer = Policy.parse(POLICY.text.replace("version = 1", "version = 2"))
        async with replica() as tablet:
            store = tablet._open_store()

            def fail(*_: object) -> None:
                raise sqlite3.OperationalError("disk I/O error")

            with monkeypatch.context() as patch:
                patch.setattr("crdtsync.replica.store.rebuild_views", fail)
                with pytest.raises(StorageError):
                    await store.adopt(newer)
            assert tablet.policy.version == 1
            await store.adopt(newer)
            assert tablet.policy.version == 2
            await store.adopt(POLICY)
            assert tablet.policy.version == 2


async def test_records_of_the_schema_before_are_all_there(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    async with replica(path) as tablet:
        patients = tablet.collection("patient")
        for n in range(3):
            await patients.update(f"p{n}", name=f"Kim {n}")
        await patients.delete("p1")
    with sqlite3.connect(path) as file:
        file.executescript(RECORDS_OF_SCHEMA_2)
    file.close()
    async with replica(path) as tablet:
        patients = tablet.collection("patient")
        assert (list(patients), len(patients)) == (["p0", "p2"], 2)
        assert patients["p2"]["name"] == "Kim 2"
        assert [record.id for record in await patients.where({"name": "Kim 0"})] == ["p0"]
        assert (await patients.restore("p1"))["name"] == "Kim 1"
        assert (list(patients), len(patients)) == (["p0", "p1", "p2"], 3)


class TestDisks:
    """Full and read-only disks: a clear error, nothing lost, and on it goes."""

    async def test_a_full_disk_loses_nothing_and_works_again_after_space_is_freed(
        self, tmp_path: Path
    ) -> None:
        async with replica(tmp_path / "a.db") as tablet:
            patients = tablet.collection("patient")
            await patients.update("p0", name="Kim")
            store = tablet._open_store()

            pages = await store.look(
                lambda file: file.connection.execute("PRAGMA page_count").fetchone()[0]
            )
            await store.look(
                lambda file: file.connection.execute(f"PRAGMA max_page_count = {pages + 2}")
            )
            writes = (patients.update(f"p{n}", name="x" * 500) for n in range(1, 500))
            with pytest.raises(DiskFull, match="Free up space"):
                await one_after_the_other(writes)
            written = len(patients)
            assert 1 <= written < 500
            assert len(tablet.outbox) == written
            with pytest.raises(DiskFull):
                await patients.update("big", name="x" * 50_000)
            assert "big" not in patients
            assert tablet.status.storage_full
            assert tablet.status.message().startswith("This device is out of space.")
            await store.look(lambda file: file.connection.execute("PRAGMA max_page_count = 100000"))
            await patients.update("big", name="x" * 50_000)
            assert not tablet.status.storage_full
            assert "waiting" in tablet.status.message()
        async with replica(tmp_path / "a.db") as tablet:
            assert len(tablet.outbox) == written + 1

    @pytest.mark.skipif(sys.platform == "win32", reason="no limit on a file's size there")
    def test_that_take_no_text_of_a_lock_decide_nothing(self, tmp_path: Path) -> None:
        lock, second = (FileLock(str(tmp_path / "a.db")) for _ in range(2))
        with no_file_may_grow():
            lock.acquire()
            with pytest.raises(ReplicaInUse, match="another process"):
                second.acquire()
            lock.release()
            second.acquire()
            second.release()

    async def test_a_lock_that_cannot_be_made_says_that_the_disk_is_full(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(path: str, *_: object, **__: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device", path)

        monkeypatch.setattr("builtins.open", full)
        with pytest.raises(DiskFull, match=r"no space left for .*a\.db\.lock"):
            await replica(tmp_path / "a.db").start()

    @pytest.mark.parametrize("part", ["_lock", "_store", "_reader"])
    async def test_a_fault_of_closing_keeps_nobody_waiting_and_nothing_locked(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
    ) -> None:
        tablet = replica(tmp_path / "a.db")
        await tablet.start()
        waiting = asyncio.ensure_future(tablet.synced())
        await asyncio.sleep(0)
        with monkeypatch.context() as patch:
            patch.setattr(tablet, part, FailsAfterClosing(getattr(tablet, part)))
            with pytest.raises(OSError, match="a fault of closing"):
                await tablet.close()
        async with asyncio.timeout(30):
            with pytest.raises(ReplicaClosed):
                await waiting
        async with replica(tmp_path / "a.db"):
            pass

    async def test_a_read_only_folder(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with replica(tmp_path / "a.db"):
            pass

        # The tests may run as root, who may write everywhere.
        def denied(path: str, *_: object, **__: object) -> None:
            raise PermissionError(errno.EACCES, "Permission denied", path)

        monkeypatch.setattr("builtins.open", denied)
        with pytest.raises(StorageError, match="may be written to"):
            await replica(tmp_path / "a.db").start()

    async def test_a_file_that_sqlite_may_only_read(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with replica(tmp_path / "a.db"):
            pass
        real = sqlite3.connect

        def read_only(path: str, **more: object) -> sqlite3.Connection:
            return real(f"file:{path}?mode=ro", uri=True, **more)  # type: ignore[call-overload, no-any-return]

        with monkeypatch.context() as patch:
            patch.setattr(sqlite3, "connect", read_only)
            with pytest.raises(StorageError, match=r"read-only; check its permissions"):
                await replica(tmp_path / "a.db").start()
        async with replica(tmp_path / "a.db"):
            pass

    async def test_an_export_is_whole_or_not_there(self, tmp_path: Path) -> None:
        async with replica(tmp_path / "a.db") as tablet:
            patients = tablet.collection("patient")
            await patients.update("p1", name="김민지", allergies={"nut"}, op_id=(key := new_id()))
            await patients.increment("p1", "visits", 2)
            await patients.delete("p1")
            assert await tablet.export_outbox(tmp_path / "queue.jsonl") == 3
            lines = (tmp_path / "queue.jsonl").read_text(encoding="utf-8").splitlines()
            first, second, third = map(json.loads, lines)
            assert first["op_id"] == key
            assert first["fields"] == {"name": "김민지", "allergies": ["nut"]}
            assert "김민지" in lines[0]
            assert first["op"]["writes"]["r/name"]["values"] == ["김민지"]
            assert second["fields"] == {"visits": {"increment": 2}}
            assert third["fields"] == {"(record)": "delete"}
            assert names(tmp_path, "*.part") == []
            for bad in (tmp_path / "missing" / "queue.jsonl", tmp_path):
                with pytest.raises(StorageError, match="cannot be written"):
                    await tablet.export_outbox(bad)
            assert names(tmp_path, "*.part") == []
            assert names(tmp_path.parent, f"{tmp_path.name}.part") == []


class FailsAfterClosing:
    """A lock, store or connection that is closed and raises then."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def release(self) -> None:
        self._real.release()
        raise OSError(errno.EIO, "a fault of closing")

    def close(self) -> Any:
        closing = self._real.close()
        if closing is None:
            raise OSError(errno.EIO, "a fault of closing")
        return self._after(closing)

    async def _after(self, closing: Awaitable[None]) -> None:
        await closing
        raise OSError(errno.EIO, "a fault of closing")


@contextlib.contextmanager
def no_file_may_grow() -> Iterator[None]:
    """Files take no byte, as on a full disk; without the right to mount one."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def one_after_the_other(writes: Iterable[Awaitable[object]]) -> None:
    for write in writes:
        await write


@pytest.mark.parametrize("space", ["", "a\x00", "x" * 300])
def test_a_space_without_a_proper_name_is_refused(space: str) -> None:
    with pytest.raises(Exception, match="space"):
        replica(space=space)
