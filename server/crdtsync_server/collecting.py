"""How often a server process looks for cyclic garbage."""

from __future__ import annotations

import gc

BETWEEN_COLLECTIONS = 100_000, 10, 100
"""Objects between two looks at the young ones, and how many of those come between two looks at
the middle-aged and at the old. A group of 1,000 ops makes tens of thousands of objects that go
again with it: a look in the middle of it finds nothing to free."""


def collect_seldom() -> None:
    """For a process that is a server and nothing else, once it listens.

    Records in the cache live long: walking them all in every full collection is a pause of
    100 ms and more, and looking through what each op makes is a sixth of the time at full
    load. Little here makes cycles: a connection that has ended, a task that has failed.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*BETWEEN_COLLECTIONS)
