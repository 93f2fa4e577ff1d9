"""``python -m tests.fuzz``: the long run, and the replay of one frame of it.

Each failure ends the run with exit code 1, the line that replays it, and a file
with the frame's bytes. Ctrl-C ends it with the counts so far.
"""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
import tempfile
import time
from pathlib import Path
from types import FrameType

from tests.fuzz.supervisor import Failure, Job, Tally, run
from tests.fuzz.targets import BESIDES, NAMES, SHARES, target_named

EPISODES_PER_CHILD = 25
"""A child is then replaced: so its memory is that of a bounded number of frames."""

TELL_EVERY_S = 5.0


def jobs_of(target: str, seed: str, frames: int) -> list[Job]:
    """The frames of a target as jobs of a child each."""
    per_episode = target_named(target).frames_per_episode
    episodes = -(-frames // per_episode)
    return [
        Job(target, seed, first, min(EPISODES_PER_CHILD, episodes - first) * per_episode)
        for first in range(0, episodes, EPISODES_PER_CHILD)
    ]


def plan(frames: int, seed: str, target: str | None) -> list[Job]:
    """What a run feeds; the targets take turns, so that an early end has seen each."""
    if target is not None:
        return jobs_of(target, seed, frames)
    amounts = {name: round(frames * share) for name, share in {**SHARES, **BESIDES}.items()}
    queues = [jobs_of(name, seed, amount) for name, amount in amounts.items() if amount]
    jobs: list[tuple[float, Job]] = []
    for queue in queues:
        jobs += [(place / len(queue), job) for place, job in enumerate(queue)]
    return [job for _, job in sorted(jobs, key=lambda placed: placed[0])]


def table(tally: Tally) -> str:
    """The counts in plain lines."""
    lines = []
    for name, counts in sorted(tally.counts.items()):
        seconds = tally.seconds[name]
        rate = counts["frames"] / seconds if seconds else 0.0
        peak = tally.peak_bytes[name] >> 20
        head = f"{name:10} {counts['frames']:>9,} frames {seconds:>7.0f} s {rate:>8,.0f}/s"
        lines.append(f"{head} peak {peak} MiB")
        rest = sorted((key, n) for key, n in counts.items() if key != "frames")
        lines += [f"           {n:>9,} {key}" for key, n in rest]
    return "\n".join(lines)


def tell_failure(failure: Failure, folder: Path) -> None:
    """The failure in words, and the frame in a file."""
    path = folder / f"fuzz-{failure.target}-{failure.seed}-{failure.frame}.bin"
    path.write_bytes(failure.data)
    print(f"\nFOUND by {failure.target}, seed {failure.seed}, frame {failure.frame}")
    print(failure.what.rstrip())
    print(f"frame:  {path} ({len(failure.data)} bytes)")
    print(f"replay: {failure.reproduction()}", flush=True)


def fuzz(jobs: list[Job], at_once: int, folder: Path) -> int:
    """Run the jobs and tell how it goes; the exit code."""
    tally, begun_s = Tally(), time.monotonic()
    told_s = begun_s
    wanted = sum(job.frames for job in jobs)
    stopped = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        stopped = True

    before = signal.signal(signal.SIGINT, stop)
    running = run(jobs, tally, at_once=at_once)
    try:
        for _ in running:
            if stopped:
                break
            now_s = time.monotonic()
            if now_s - told_s >= TELL_EVERY_S:
                told_s = now_s
                told = " ".join(f"{n} {c['frames']:,}" for n, c in sorted(tally.counts.items()))
                rate = tally.frames / (now_s - begun_s)
                peak = max(tally.peak_bytes.values(), default=0) >> 20
                print(
                    f"{now_s - begun_s:6.0f} s  {tally.frames:,}/{wanted:,} frames "
                    f"({rate:,.0f}/s, peak {peak} MiB)  {told}",
                    flush=True,
                )
    finally:
        running.close()  # type: ignore[attr-defined]
        signal.signal(signal.SIGINT, before)
    print(f"\n{tally.frames:,} frames in {time.monotonic() - begun_s:.0f} s")
    print(table(tally), flush=True)
    for failure in tally.failures:
        tell_failure(failure, folder)
    if stopped:
        print("\nstopped; nothing was found so far" if not tally.failures else "\nstopped")
    return 1 if tally.failures else 130 if stopped else 0


def replay(target: str, text: str, folder: Path) -> int:
    """Run one episode up to a frame."""
    seed, _, number = text.rpartition(":")
    frame, per_episode = int(number), target_named(target).frames_per_episode
    # Frames count from 1. One that ends an episode may have been followed by its last checks.
    episode = max(frame - 1, 0) // per_episode
    last = None if frame % per_episode == 0 else frame
    tally = Tally()
    for _ in run([Job(target, seed, episode, per_episode, last)], tally):
        pass
    if not tally.failures:
        # What was noticed by a check came from a frame at or before this one.
        for _ in run([Job(target, seed, episode, per_episode)], tally):
            pass
    for failure in tally.failures:
        tell_failure(failure, folder)
    if not tally.failures:
        print(f"nothing was found in the episode of {target} {text}")
    return 1 if tally.failures else 0


def main() -> int:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--frames", type=int, default=1_000_000)
    parser.add_argument("--seed", default=None)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--target", choices=NAMES)
    parser.add_argument("--replay", metavar="SEED:FRAME", help="needs --target")
    parser.add_argument("--out", type=Path, default=Path(tempfile.gettempdir()))
    given = parser.parse_args()
    if given.replay is not None:
        if given.target is None:
            parser.error("--replay needs --target")
        return replay(given.target, given.replay, given.out)
    seed = given.seed if given.seed is not None else str(secrets.randbelow(10**9))
    print(f"seed {seed}", flush=True)
    return fuzz(plan(given.frames, seed, given.target), given.jobs, given.out)


if __name__ == "__main__":
    sys.exit(main())
