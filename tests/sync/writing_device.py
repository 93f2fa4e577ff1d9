"""A device that writes and syncs until it is killed: ``python -m tests.sync.writing_device``.

Arguments: replica file, server address, journal file. Before each write it notes
"begun <op_id>" in the journal and after it "done <op_id>", which is the promise
that invariant 1 makes. It prints a line for each write that is done.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import sys

from crdtsync import Replica
from tests.sync.ward import SPACE, Around, op_id, policy


async def write_for_ever(path: str, url: str, journal: str) -> None:
    """Write to a few records in turn, connected all the time."""
    notes = os.open(journal, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    around = Around()
    async with Replica.open(
        path, space=SPACE, policy=policy(), user="writer", surroundings=around
    ) as replica:
        replica.connect(url)
        patients = replica.collection("patient")
        for n in itertools.count():
            one = op_id()
            os.write(notes, f"begun {one}\n".encode())
            if n % 2:
                await patients.increment(f"p{n % 5}", "visits", op_id=one)
            else:
                await patients.update(f"p{n % 5}", name=f"name {n}", op_id=one)
            os.write(notes, f"done {one}\n".encode())
            print(n, flush=True)


if __name__ == "__main__":
    asyncio.run(write_for_ever(*sys.argv[1:4]))
