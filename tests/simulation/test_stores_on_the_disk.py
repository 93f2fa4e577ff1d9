"""The real stores on the simulated disk, as they are."""

from __future__ import annotations

import contextlib
import random
from collections import Counter

import pytest

from crdtsync import Replica
from crdtsync.database import StorageError, migrate
from crdtsync.protocol.messages import Push, Receipt
from crdtsync_server.simulation.disk import Disk, Image, MachineGone
from crdtsync_server.simulation.executor import SimulatedThread
from crdtsync_server.simulation.surroundings import Clock, Surroundings
from crdtsync_server.simulation.virtual_time import run_virtually
from crdtsync_server.storage.ledger import Ledger
from crdtsync_server.storage.store import Store
from crdtsync_server.work import GroupResult, Notes, Origin, PushWork
from tests.replica.wards import replica
from tests.server.serving import POLICY, SPACE, START_US, push_of, write

NAME = "crdtsync.db"


def thread_on(disk: Disk) -> SimulatedThread:
    return SimulatedThread(disk.connect(NAME, checkpoint_pages=20), lambda: 0.01)


def replica_on(disk: Disk) -> Replica:
    return replica(executor=thread_on(disk))


async def replica_image() -> Image:
    """A device's disk on which the replica was opened once."""
    disk = Disk(random.Random(0))
    async with replica_on(disk):
        pass
    return disk.image()


def test_a_replica_is_there_after_a_power_cut_and_after_closing() -> None:
    async def main() -> None:
        disk = Disk(random.Random(0))
        tablet = replica_on(disk)
        await tablet.start()
        await tablet.collection("patient").create({"name": "Kim"}, id="p-1")
        disk.power_cut()
        await tablet.close()
        async with replica_on(disk) as tablet:
            assert tablet.collection("patient")["p-1"]["name"] == "Kim"
            assert len(tablet.outbox) == 1
        assert set(disk.files) == {NAME}, "closing copies the log into the database"
        async with replica_on(disk) as tablet:
            assert len(tablet.outbox) == 1
        disk.close()

    run_virtually(main())


@pytest.mark.parametrize("power_cut", [True, False])
def test_a_local_write_is_durable_when_it_returns_and_whole_when_it_does_not(
    power_cut: bool,
) -> None:
    """Invariant 1, with the machine gone at every call of the disk in turn."""

    async def one(image: Image, at: int) -> str:
        disk = Disk.from_image(image, random.Random(at))
        tablet = replica_on(disk)
        await tablet.start()
        disk.crash_at = at
        returned = 0
        with contextlib.suppress(StorageError):
            for n in range(4):
                values = {"name": str(n), "tags": {"a", "b"}}
                await tablet.collection("patient").create(values, id=f"p-{n}")
                returned += 1
        if power_cut:
            disk.power_cut()
        else:
            disk.process_killed()
        await tablet.close()
        async with replica_on(disk) as tablet:
            patients = tablet.collection("patient")
            assert returned <= len(patients) <= returned + 1
            assert len(tablet.outbox) == len(patients)
            for n in range(len(patients)):
                assert patients[f"p-{n}"]["name"] == str(n)
                assert patients[f"p-{n}"]["tags"] == {"a", "b"}
            found = "whole" if len(patients) > returned else "absent"
        disk.close()
        return "returned" if returned == 4 else found

    async def main() -> None:
        counts: Counter[str] = Counter()
        image = await replica_image()
        while not counts["returned"]:
            counts[await one(image, counts.total())] += 1
        assert counts["absent"] > 10
        if not power_cut:
            # What is written and not synced yet survives the process. After the sync nothing
            # touches the disk any more until the write returns.
            assert counts["whole"] > 0

    run_virtually(main())


def test_an_answer_of_the_server_is_durable_and_a_group_is_there_wholly_or_not_at_all() -> None:
    """Invariants 2 and 3, with the machine gone at every call of the disk in turn."""
    origin = Origin(SPACE, "00000000-0000-4000-8000-000000000001", "kim", frozenset({"nurse"}))
    groups = [
        [push_of(write({"c/visits": "1"}), write({"r/name": f'"{n}"'}, record=f"p{n}"))]
        for n in range(4)
    ]

    async def commit(store: Store, ledger: Ledger, group: list[Push]) -> list[object]:
        works = [PushWork(origin, push, 500, lambda _: None) for push in group]
        result: GroupResult = await store.write(
            lambda connection: ledger.commit_group(connection, works, Notes(), START_US)
        )
        return [answer for answers in result.results for answer in answers]  # type: ignore[union-attr]

    async def store_on(disk: Disk) -> Store:
        thread = thread_on(disk)
        await thread.run(
            lambda connection: migrate(
                connection, "crdtsync_server.storage.migrations", what="the disk"
            )
        )
        return Store(thread, thread, what="the disk")

    async def one(image: Image, at: int) -> bool:
        disk = Disk.from_image(image, random.Random(at))
        store, ledger = await store_on(disk), Ledger(POLICY)
        disk.crash_at = at
        answered: list[object] = []
        with contextlib.suppress(MachineGone):
            for group in groups:
                answered += await commit(store, ledger, group)
        assert all(isinstance(answer, Receipt) for answer in answered)
        disk.power_cut()
        await store.close()
        store, ledger = await store_on(disk), Ledger(POLICY)
        (count,) = await store.read(
            lambda connection: connection.execute("SELECT count(*) FROM receipts").fetchone()
        )
        assert count in (len(answered), len(answered) + 2)
        again = [answer for group in groups for answer in await commit(store, ledger, group)]
        assert again[: len(answered)] == answered
        assert [answer.seq for answer in again if isinstance(answer, Receipt)] == [*range(1, 9)]
        await store.close()
        disk.close()
        return len(answered) == 8

    async def main() -> None:
        empty = Disk(random.Random(0))
        await (await store_on(empty)).close()
        at = 0
        while not await one(empty.image(), at):
            at += 1
        assert at > 20

    run_virtually(main())


def test_the_same_seed_leaves_the_same_bytes_below_a_replica() -> None:
    async def main(seed: int) -> Image:
        disk = Disk(random.Random(seed))
        around = Surroundings(random.Random(seed), Clock())
        for n in range(3):
            async with replica(executor=thread_on(disk), surroundings=around) as tablet:
                await tablet.collection("patient").update("p-1", {"name": f"Kim {n}"})
                disk.power_cut()
        return disk.image()

    assert run_virtually(main(1)) == run_virtually(main(1))
    assert run_virtually(main(1)) != run_virtually(main(2))
