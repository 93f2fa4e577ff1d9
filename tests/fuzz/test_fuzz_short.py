"""A short run with fresh seeds, and the seeds that found something once.

The long run is ``python -m tests.fuzz``. CRDTSYNC_SEED repeats a short one.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

import pytest

from tests.documents.test_document_yjs import yjs_folder  # noqa: F401 - a fixture
from tests.fuzz.supervisor import Job, Tally, run
from tests.fuzz.targets import target_named

SEED = os.environ.get("CRDTSYNC_SEED") or str(secrets.randbelow(10**9))

FRAMES = {
    "codec": 20_000,
    "server": 5_000,
    "replica": 1_500,
    "documents": 3_000,
    "policy": 1_000,
    "import": 80,
}
"""About three seconds of one core each."""

ENCODED_OPS = 3_000

# Seeds that found something, with what it was. A seed means another world once the generator
# changes, so each is told by hand too (test_fuzz_regressions.py).
KEPT = {
    ("replica", "9", 7_750): "ops were lost to a last common seq that the hello never named",
    ("replica", "9", 32_525): "an emptied record was listed and could not be read after a reset",
    ("replica", "1", 1): "a receipt beyond 64 bits ended the connection by a fault",
    ("documents", "9", 1_355): "an entry under no field made a document that nobody can open",
}


def fuzzed(job: Job) -> Tally:
    """Run a job to its end or to the first failure."""
    tally = Tally()
    for _ in run([job], tally):
        pass
    return tally


def assert_clean(tally: Tally) -> None:
    """Nothing was found, and if something was, how to see it again."""
    told = [f"{one.reproduction()}\n{one.what}" for one in tally.failures]
    assert not told, "\n".join([f"CRDTSYNC_SEED={SEED}", *told])


@pytest.mark.parametrize("name", FRAMES)
def test_nothing_from_outside_crashes_hangs_or_spoils_anything(name: str) -> None:
    tally = fuzzed(Job(name, SEED, 0, FRAMES[name]))
    assert_clean(tally)
    counts = tally.counts[name]
    assert counts["frames"] >= 0.9 * FRAMES[name]
    assert counts["spoiled"] > 0.3 * counts["frames"]
    assert tally.peak_bytes[name] < target_named(name).memory_bytes


def test_pycrdt_reads_and_writes_what_we_write() -> None:
    tally = fuzzed(Job("encoder", SEED, 0, ENCODED_OPS))
    assert_clean(tally)
    assert tally.counts["encoder"]["ops read by pycrdt"] == ENCODED_OPS


@pytest.mark.timeout(180)
def test_stock_yjs_reads_and_writes_what_we_write(yjs_folder: Path) -> None:  # noqa: F811
    tally = fuzzed(Job("encoder", f"{SEED}-yjs", 0, ENCODED_OPS))
    assert_clean(tally)
    assert tally.counts["encoder"]["ops read by Yjs"] == ENCODED_OPS


@pytest.mark.parametrize(("name", "seed", "frame"), KEPT)
def test_what_was_found_once_is_mended(name: str, seed: str, frame: int) -> None:
    per_episode = target_named(name).frames_per_episode
    assert_clean(fuzzed(Job(name, seed, (frame - 1) // per_episode, per_episode)))
