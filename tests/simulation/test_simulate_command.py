"""``crdtsync simulate``: what it says, what it writes, and how it ends."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from crdtsync_server.simulation.counting import grouped
from crdtsync_server.simulation.jobs import Job, read_plan
from crdtsync_server.simulation.reporting import SCHEMA
from crdtsync_server.simulation.running import Pool, once
from tests.cli.command_line import process
from tests.simulation.planted_worker import THAT_SEED, WORDS
from tests.simulation.planting import plant, planted, simulate

AROUND = ("--first", THAT_SEED - 2, "--seeds", 6, "--jobs", 1, "--steps", 30)


def test_seeds_that_hold_end_with_sums_and_exit_code_0(tmp_path: Path) -> None:
    file = tmp_path / "out" / "result.json"
    done = simulate("--first", 2_100, "--seeds", 3, "--steps", 30, "--json", file)
    assert done.exit_code == 0, done.stdout
    assert "All held: 3 seeds" in done.stdout
    assert "program started" in done.stdout
    assert "crdtsync simulate --seeds 3 --first 2100 --steps 30" in done.stderr
    result = json.loads(file.read_text(encoding="utf-8"))
    assert (result["schema"], result["ended"]) == (SCHEMA, "held")
    assert (result["first"], result["seeds_wanted"], result["seeds"]) == (2_100, 3, 3)
    assert set(result["versions"]) >= {"crdtsync", "python", "sqlite", "apsw", "pycrdt"}
    assert result["people"]["write"] > 3
    assert min(result[what] for what in ("virtual_hours", "ops", "frames", "seeds_per_s")) > 0
    assert result["failures"] == []
    assert set(result) == {
        *("schema", "ended", "versions", "first", "seeds_wanted", "seeds", "steps", "jobs"),
        *("virtual_hours", "ops", "frames", "seconds", "seeds_per_s", "seeds_per_s_per_job"),
        *("seeds_per_cpu_s", "faults", "people", "other", "failures"),
    }


def test_without_a_first_seed_one_is_drawn_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, "")
    firsts = {simulate("--seeds", 1, "--json", "-").json["first"] for _ in range(2)}
    assert len(firsts) == 2


def test_a_replay_is_the_same_to_the_letter_in_every_process() -> None:
    args = ("simulate", "--seed", 2_110, "--steps", 30)
    first, second = (process(*args, PYTHONHASHSEED=seed) for seed in ("1", "random"))
    assert first == second
    assert first.exit_code == 0
    assert "runs (life 1)" in first.stdout
    assert "seed 2110: held" in first.stdout


def test_a_failure_shows_seed_invariant_replay_and_the_shortest_timeline(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plant(monkeypatch, "break")
    folder = tmp_path / "failed"
    done = simulate(*AROUND, "--folder", folder)
    assert done.exit_code == 1
    for words in (
        f"Seed {THAT_SEED} failed: invariant 4",
        WORDS,
        f"crdtsync simulate --seed {THAT_SEED} --steps 30\n",
        "2 of 30 steps, 1 of",
        f"crdtsync simulate --plan {folder}/seed-{THAT_SEED}.shortest.json",
        "1 of 3 seeds FAILED",
    ):
        assert words in done.stdout
    assert str(folder) in done.stderr
    shortest = read_plan(folder / f"seed-{THAT_SEED}.shortest.json")
    assert [step.what for step in shortest.plan.steps] == ["resolve", "write"]
    assert (shortest.invariant, WORDS in shortest.failure) == ("invariant 4", True)
    whole = read_plan(folder / f"seed-{THAT_SEED}.plan.json")
    assert len(whole.plan.steps) == 30
    timeline = (folder / f"seed-{THAT_SEED}.shortest.txt").read_text(encoding="utf-8")
    for line in timeline.splitlines()[:2]:
        assert line in done.stdout

    again = simulate("--plan", folder / f"seed-{THAT_SEED}.shortest.json")
    assert again.exit_code == 1
    assert again.stdout.rstrip() == timeline.rstrip()


def test_the_result_for_machines_tells_the_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plant(monkeypatch, "break")
    done = simulate(*AROUND, "--json", "-", "--folder", tmp_path / "failed")
    assert done.exit_code == 1
    result = done.json
    assert (result["ended"], result["seeds"]) == ("failed", 3)
    (failure,) = result["failures"]
    assert (failure["seed"], failure["invariant"]) == (THAT_SEED, "invariant 4")
    assert failure["repeatable"] is True
    assert failure["shortest"]["steps"] == 2
    for name in ("plan", "timeline"):
        assert Path(failure[name]).exists()
        assert Path(failure["shortest"][name]).exists()


def test_it_goes_on_after_a_failure_and_does_not_shorten_if_told_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plant(monkeypatch, "break")
    done = simulate(*AROUND, "--keep-going", "--no-shrink", "--folder", tmp_path / "failed")
    assert done.exit_code == 1
    assert "1 of 6 seeds FAILED" in done.stdout
    assert "shortest" not in done.stdout


def test_a_dead_worker_is_told_with_the_seed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plant(monkeypatch, "die")
    done = simulate(*AROUND, "--no-shrink", "--folder", tmp_path / "failed")
    assert done.exit_code == 1
    assert f"Seed {THAT_SEED} failed: died" in done.stdout
    assert "SIGKILL" in done.stdout


INTERRUPTED = """
import signal, sys
from crdtsync.cli import main
from crdtsync_server.simulation import running
signal.signal(signal.SIGINT, signal.default_int_handler)
running.WORKER, sys.argv[1:] = {worker!r}, {args!r}
main()
"""


def test_ctrl_c_ends_it_with_the_counts_so_far_and_exit_code_130(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    args = ["simulate", *map(str, AROUND), "--json", str(file)]
    program = INTERRUPTED.format(worker=planted("interrupt"), args=args)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    told, said = done.stderr.decode(), done.stdout.decode()
    assert done.returncode == 130, told
    assert "Traceback" not in told
    stopped = re.search(r"Stopped after ([12]) of 6 seeds", told)
    assert stopped is not None, told
    assert "fsync failed" in said
    result = json.loads(file.read_text(encoding="utf-8"))
    assert (result["ended"], result["seeds"]) == ("interrupted", int(stopped[1]))


@pytest.mark.parametrize(("lang", "words"), [("en", "Install them"), ("ko", "설치해 주세요")])
def test_without_its_packages_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, lang: str, words: str
) -> None:
    find = importlib.util.find_spec

    def find_all_but_apsw(name: str, package: str | None = None) -> Any:
        return None if name == "apsw" else find(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", find_all_but_apsw)
    done = simulate("--lang", lang)
    assert done.exit_code == 2
    assert words in done.stderr
    assert "pip install 'crdtsync[simulate]'" in done.stderr


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--seed", 1, "--first", 2), "--seed and --first do not go together"),
        (("--plan", __file__, "--steps", 2), "--plan and --steps do not go together"),
        (("--plan", __file__), "test_simulate_command.py is not a plan"),
        (("--plan", "nowhere.json"), "nowhere.json"),
        (("--seeds", 0), "--seeds"),
        (("--seed", -1), "--seed"),
        (("--folder", Path(__file__).parent), "is not an empty folder"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(args: tuple[object, ...], words: str) -> None:
    done = simulate(*args)
    assert done.exit_code == 2
    assert words in done.stderr


def test_the_command_line_starts_without_the_simulator() -> None:
    program = (
        "import sys; from crdtsync.cli import make_app; make_app();"
        "print([m for m in ('apsw', 'starlette', 'crdtsync_server.simulation.command')"
        " if m in sys.modules], 'crdtsync_server.simulation.cli' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[] True"


def test_every_kind_that_is_counted_has_a_heading() -> None:
    known = {"program started", "healed", "a sender had to wait", "airplane mode off"}
    known |= {"device backup", "server backup"}
    with Pool(2) as pool:
        results = [*pool.run(Job(seed) for seed in range(2_120, 2_126))]
    other = {kind for one in results for kind in grouped(one.counts).other}
    assert "program started" in other
    assert {kind for kind in other if not kind.startswith("disk: ")} <= known, (
        "put it into crdtsync_server/simulation/counting.py"
    )


def test_a_failure_that_a_fresh_process_does_not_repeat_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from crdtsync_server.simulation import failing

    plant(monkeypatch, "break")
    monkeypatch.setattr(failing, "once", lambda job, *_: once(job, planted("")))
    done = simulate(*AROUND, "--no-shrink", "--folder", tmp_path / "failed")
    assert "did not fail alike in a fresh process" in done.stdout
