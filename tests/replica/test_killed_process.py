"""kill -9 around the commit of local writes: what returned is there, wholly (invariant 1)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.replica.wards import POLICY, program, replica

WRITER = """
import asyncio, sys
from crdtsync import Policy, Replica

async def main():
    policy = Policy.load(sys.argv[2])
    async with Replica.open(sys.argv[1], space="ward-3", policy=policy, user="kim") as tablet:
        patients = tablet.collection("patient")
        for n in range(1_000_000):
            await patients.update(f"{sys.argv[3]}-{n}", name=str(n), phone=str(n), tags={"a", "b"})
            print(n, flush=True)

asyncio.run(main())
"""


@pytest.mark.parametrize("rounds", [6])
async def test_what_a_write_returned_from_is_there_after_a_kill(
    tmp_path: Path, rounds: int
) -> None:
    (tmp_path / "policy.toml").write_text(POLICY.text, encoding="utf-8")
    path = tmp_path / "a.db"
    returned: dict[int, int] = {}
    for round_ in range(rounds):
        with program(WRITER, str(path), str(tmp_path / "policy.toml"), str(round_)) as writer:
            assert writer.stdout is not None
            # Killed at another moment of its life each time: a pipe holds what was printed.
            for _ in range(5 + 17 * round_):
                writer.stdout.readline()
            writer.kill()
            left = writer.stdout.read().split(b"\n")
        complete = [int(line) for line in left[:-1] if line]
        returned[round_] = max([5 + 17 * round_ - 1, *complete])
        async with replica(path) as tablet:
            patients = tablet.collection("patient")
            for number, last in returned.items():
                for n in range(last + 1):
                    record = patients[f"{number}-{n}"]
                    assert (record["name"], record["phone"]) == (str(n), str(n))
                    assert record["tags"] == {"a", "b"}
            # At most one write of each round was durable before it could return.
            assert len(patients) <= sum(returned.values()) + 2 * len(returned)
            assert len(tablet.outbox) == len(patients)
            assert all(item.state == "pending" for item in tablet.outbox)
