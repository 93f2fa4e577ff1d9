"""A server process looks for cyclic garbage seldom, but it does."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from crdtsync_server.collecting import BETWEEN_COLLECTIONS, collect_seldom


class Knot:
    """Refers to itself, as a connection and its timers do: only a collection frees it."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def as_a_server() -> Iterator[None]:
    """This process collects as ``crdtsync serve`` does, for one test."""
    before = gc.get_threshold()
    collect_seldom()
    yield
    gc.unfreeze()
    gc.set_threshold(*before)


@pytest.mark.usefixtures("as_a_server")
def test_what_only_a_collection_frees_goes_before_many_more_objects_are_made() -> None:
    knot = Knot()
    gone = weakref.ref(knot)
    del knot
    assert gone() is not None
    made: list[list[int]] = []
    while gone() is not None and len(made) <= 2 * BETWEEN_COLLECTIONS[0]:
        made.append([])
    assert gone() is None
    assert len(made) <= BETWEEN_COLLECTIONS[0]
