"""The server's own process: ``python -m benchmarks.served FOLDER``.

It prints its address and serves until its input ends; to every line that it is sent it
answers with the processor seconds that it has used and the bytes of memory that it holds.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.harness.disk import resident_bytes
from benchmarks.patients import POLICY
from crdtsync_server.access.settings import AccessSettings
from crdtsync_server.collecting import collect_seldom
from crdtsync_server.service import RunningServer

UNLIMITED = AccessSettings(
    ops_per_s_per_connection=10**9,
    ops_per_s_per_user=10**9,
    ops_per_s_per_space=10**9,
    records_per_space=10**8,
)
"""Rates are what is measured, so nothing holds them back; every other limit is on."""


async def serve(folder: Path) -> None:
    """Until the input ends."""
    loop = asyncio.get_running_loop()
    async with RunningServer(policy=POLICY, data=folder, dev=True, access=UNLIMITED) as server:
        collect_seldom()  # as `crdtsync serve` does
        print(server.url, flush=True)
        while await loop.run_in_executor(None, sys.stdin.readline):
            print(time.process_time(), resident_bytes() or "nan", flush=True)


def main() -> None:
    """Serve on the loop that ``crdtsync serve`` takes."""
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        runner.run(serve(Path(sys.argv[1])))


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:  # Windows, where `crdtsync serve` takes the standard loop as well
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    main()
