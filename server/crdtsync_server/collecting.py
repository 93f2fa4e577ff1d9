"""The garbage collector of a process that is a server and nothing else."""

from __future__ import annotations

import gc


def collect_seldom() -> None:
    """Once the server listens. For a process of its own, as ``crdtsync serve`` and the servers of
    the benchmarks are: whoever embeds a server decides for themselves.

    Records in the cache live long: walking them all in every full collection is a pause
    of 100 ms and more, and 4 % of the time at full load.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 50, 100)
