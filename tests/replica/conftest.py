"""What most tests of a replica begin with."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from crdtsync import Collection, Replica
from tests.replica.wards import replica


@pytest.fixture(name="tablet")
async def _tablet() -> AsyncIterator[Replica]:
    async with replica() as opened:
        yield opened


@pytest.fixture(name="patients")
def _patients(tablet: Replica) -> Collection:
    return tablet.collection("patient")
