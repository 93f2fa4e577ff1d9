"""The page that is likely to be asked for next is read at once, for who may have it."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from crdtsync.database import StorageError
from crdtsync.policy.visibility import Visibility, visibility
from crdtsync.protocol.messages import Landmark, Paging
from crdtsync_server import paging
from crdtsync_server.paging import PagesAhead
from crdtsync_server.storage.reading import SnapshotPageRead
from crdtsync_server.storage.store import Store

LAST = 3
ALL = visibility({}, None)


class FakeStore:
    """Notes which pages were read; a page may wait or fail."""

    sql: dict[str, str] = {}

    def __init__(self) -> None:
        self.read_pages: list[tuple[int, Visibility]] = []
        self.may_read = asyncio.Event()
        self.may_read.set()
        self.fails = False

    async def read(self, job: Any) -> SnapshotPageRead:
        place, seen = job(None)
        self.read_pages.append((place.before, seen))
        await self.may_read.wait()
        if self.fails:
            raise StorageError("the disk is gone")
        following = None if place.before <= 1 else Paging(LAST, place.before - 1, 0)
        return SnapshotPageRead((), following, Landmark(place.before, b""), 0)


@pytest.fixture(name="store")
def _store(monkeypatch: pytest.MonkeyPatch) -> FakeStore:
    def read(connection: Any, sql: Any, space: str, place: Paging, seen: Any, *_: Any) -> Any:
        return place, seen

    monkeypatch.setattr(paging, "read_snapshots", read)
    return FakeStore()


def ahead_of(store: FakeStore) -> PagesAhead:
    return PagesAhead(cast(Store, store))


async def turn() -> None:
    for _ in range(3):
        await asyncio.sleep(0)


async def test_each_page_is_read_before_it_is_asked_for_and_the_last_one_once_more(
    store: FakeStore,
) -> None:
    pages = ahead_of(store)
    asked: Paging | None = Paging(LAST, 3, 0)
    for before, so_far in ((3, [3, 2]), (2, [3, 2, 1]), (1, [3, 2, 1, 1])):
        assert asked is not None
        page = await pages.page("ward", asked, ALL)
        await turn()
        assert page.head.seq == before
        assert [place for place, _ in store.read_pages] == so_far
        asked = page.paging
    assert asked is None
    await pages.close()


async def test_another_place_is_read_anew(store: FakeStore) -> None:
    pages = ahead_of(store)
    await pages.page("ward", Paging(LAST, 3, 0), ALL)
    assert (await pages.page("ward", Paging(LAST, 3, 0), ALL)).head.seq == 3
    await pages.close()


async def test_a_page_for_one_view_is_given_to_no_other(store: FakeStore) -> None:
    pages = ahead_of(store)
    page = await pages.page("ward", Paging(LAST, 3, 0), ALL)
    await turn()
    assert page.paging is not None
    narrow = Visibility({}, frozenset({"patient"}), frozenset())
    await pages.page("ward", page.paging, narrow)
    assert store.read_pages[:3] == [(3, ALL), (2, ALL), (2, narrow)]
    await pages.close()


async def test_one_that_could_not_be_read_is_told_of_when_it_is_asked_for(
    store: FakeStore,
) -> None:
    pages = ahead_of(store)
    page = await pages.page("ward", Paging(LAST, 3, 0), ALL)
    store.fails = True
    await turn()
    assert page.paging is not None
    with pytest.raises(StorageError):
        await pages.page("ward", page.paging, ALL)
    store.fails = False
    assert (await pages.page("ward", page.paging, ALL)).head.seq == 2
    await pages.close()


async def test_a_connection_that_ends_leaves_no_task(store: FakeStore) -> None:
    pages = ahead_of(store)
    store.may_read.clear()
    first = asyncio.create_task(pages.page("ward", Paging(LAST, 3, 0), ALL))
    await turn()
    store.may_read.set()
    await first
    store.may_read.clear()
    await turn()
    await pages.close()
    await pages.close()
    assert [task.get_name() for task in asyncio.all_tasks() if "ahead" in task.get_name()] == []
