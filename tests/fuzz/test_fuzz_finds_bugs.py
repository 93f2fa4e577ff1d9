"""A fuzzer that finds nothing proves nothing: each planted bug is found in so many frames."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.fuzz.__main__ import main
from tests.fuzz.planted import BUGS
from tests.fuzz.supervisor import Job
from tests.fuzz.test_fuzz_short import fuzzed

SEED = "1"

# Bug: its target, the frames within which it has to be found, and what tells of it.
FOUND_WITHIN = {
    "codec_lets_errors_through": ("codec", 2_000, "TypeError"),
    "refused_op_digs_graves": ("server", 1_000, "graves? "),
    "half_an_op_is_accepted": ("server", 1_000, "in part only"),
    "reused_ids_are_not_noticed": ("server", 2_000, "the receipt of another op"),
    "supersedes_is_not_checked": ("server", 2_000, "supersedes what stands elsewhere"),
    "a_push_spoils_its_group": ("server", 2_000, "a fault was reported"),
    "deep_values_hang": ("server", 2_000, "a frame took longer"),
    "answers_pile_up": ("server", 1_000, "were in use"),
    "nonsense_empties_the_outbox": ("replica", 500, "neither queued nor kept"),
    "receipts_are_believed": ("replica", 1_000, "lost for good|too large to convert"),
    "foreign_bytes_reach_pycrdt": ("documents", 500, "Error"),
    "bytes_in_order_of_arrival": ("documents", 500, "two orders of merging|merged one way only"),
    "encoder_counts_characters": ("encoder", 400, "Cannot decode update"),
    "patterns_are_not_bounded": ("policy", 1_000, "took"),
    "import_trips_over_a_line": ("import", 120, "IndexError"),
}
HANG_LIMIT_S = 5.0


def test_every_planted_bug_is_looked_for() -> None:
    assert set(FOUND_WITHIN) == set(BUGS)


@pytest.mark.parametrize("bug", FOUND_WITHIN)
def test_a_planted_bug_is_found(bug: str) -> None:
    target, frames, told = FOUND_WITHIN[bug]
    tally = fuzzed(Job(target, SEED, 0, frames, plant=bug, frame_limit_s=HANG_LIMIT_S))
    (failure,) = tally.failures
    assert re.search(told, failure.what)
    assert failure.frame <= frames
    assert failure.reproduction().endswith(f"--target {target} --replay {SEED}:{failure.frame}")


def test_the_frame_that_hangs_is_kept() -> None:
    job = Job("server", SEED, 0, 2_000, plant="deep_values_hang", frame_limit_s=HANG_LIMIT_S)
    (failure,) = fuzzed(job).failures
    assert b"[[[" in failure.data


def test_a_frame_can_be_replayed_from_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--target", "codec", "--replay", "5:1700", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["fuzz", *arguments])
    assert main() == 0
    assert "nothing was found" in capsys.readouterr().out
