"""The memory of records that nobody uses is told as it was measured, and after use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks.growth import memory
from benchmarks.growth.scenarios import BY_MEMORY, COLD_CASES


class Socket:
    async def close(self) -> None:
        pass


class Server:
    """Over an empty store, then over a filled one: as it opened, and after paging."""

    url = "ws://nowhere"
    answers: Iterator[float]

    def __init__(self, folder: Path) -> None:
        pass

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def resident_bytes(self) -> float:
        return next(Server.answers)


async def test_less_memory_than_an_empty_server_is_told_as_less_than_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def no_copy(folder: Path) -> Iterator[Path]:
        yield tmp_path

    async def greeted(url: str) -> Socket:
        return Socket()

    Server.answers = iter([9_000.0, 8_000.0, 11_000.0])
    monkeypatch.setattr(memory, "ServerProcess", Server)
    monkeypatch.setattr(memory, "brief_server", lambda records: tmp_path)
    monkeypatch.setattr(memory, "copy_of_server", no_copy)
    monkeypatch.setattr(memory, "greeted", greeted)
    found = await memory.cold({"records": 100})
    assert (found["record_bytes"], found["paged_bytes"]) == (-10.0, 20.0)


def test_cold_records_are_judged_after_they_were_paged_through() -> None:
    assert [mark.case for mark in BY_MEMORY.marks] == list(COLD_CASES)
    assert {mark.figure for mark in BY_MEMORY.marks} == {"paged_bytes"}
