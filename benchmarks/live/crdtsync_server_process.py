"""A crdtsync server on a real folder, as it is by default: ``python -m … FOLDER``.

Only the rates are raised, which are there to hold back exactly what a load generator does.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import uvloop

from crdtsync.policy import Policy
from crdtsync_server.access.settings import AccessSettings
from crdtsync_server.collecting import collect_seldom
from crdtsync_server.service import RunningServer

POLICY = Policy.parse(
    """
version = 1
[patient.fields]
name = { type = "string" }
phone = { type = "string" }
allergies = { type = "set<string>", merge = "manual" }
visits = { type = "integer", merge = "counter" }
"""
)
UNLIMITED_RATES = AccessSettings(
    ops_per_s_per_connection=10**9, ops_per_s_per_user=10**9, ops_per_s_per_space=10**9
)


async def serve(folder: Path) -> None:
    """Until SIGTERM."""
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    server = RunningServer(policy=POLICY, data=folder, dev=True, access=UNLIMITED_RATES)
    async with server:
        collect_seldom()  # as `crdtsync serve` does
        print(f"port {server.port}", flush=True)
        await ended.wait()


if __name__ == "__main__":
    uvloop.run(serve(Path(sys.argv[1])))
