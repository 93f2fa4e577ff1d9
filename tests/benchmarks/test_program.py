"""The program around a run: where results lie, what it prints to, and how it is stopped."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.harness import results
from benchmarks.harness.measuring import ROOT

PROGRAM = [sys.executable, "-m", "tests.benchmarks.small_program"]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **more}


def program(
    *arguments: str, cwd: Path = ROOT, stdout: int = subprocess.PIPE, **more: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments], cwd=cwd, env=environment(**more), stdout=stdout,
        stderr=subprocess.PIPE, text=True, timeout=100, check=False,
    )  # fmt: skip


def measured(path: Path) -> list[str]:
    return [one.name for one in results.load(path).scenarios]


@pytest.mark.parametrize("place", ["/proc/x/y.json", "{tmp}/folder", "{tmp}/file/y.json"])
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_measured(
    place: str, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    wanted = place.format(tmp=tmp_path)
    done = program("run", "counting", "--rounds", "1", "--out", wanted)
    assert done.returncode == 2
    assert wanted in done.stderr.replace("\n", "")
    assert "--out" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "folder"]


def test_a_full_disk_is_noticed_before_anything_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = results.begin("a test", quick=False, peers={})
    monkeypatch.setattr(results, "WHOLE_RUN_BYTES", 0)
    results.check_writable(found, tmp_path / "y.json")
    monkeypatch.setattr("pathlib.Path.open", lambda *_: full())
    with pytest.raises(results.NotSaved, match=r"y\.json cannot be written: No space left"):
        results.check_writable(found, tmp_path / "y.json")
    assert list(tmp_path.iterdir()) == []


def full() -> object:
    return open("/dev/full", "wb")


def test_a_closed_output_ends_the_program_quietly_after_saving(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    reading, writing = os.pipe()
    os.close(reading)
    done = program("run", "counting", "--rounds", "1", "--out", str(path), stdout=writing)
    os.close(writing)
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr
    assert done.returncode == 141
    assert measured(path) == ["counting"]
    assert [one.name for one in tmp_path.iterdir()] == ["kept.json"]


def test_an_output_on_a_full_disk_is_told_after_saving(tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    with open("/dev/full", "w") as writing:
        done = program(
            "run", "counting", "--rounds", "1", "--out", str(path), stdout=writing.fileno()
        )
    assert "standard output cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.returncode == 2
    assert measured(path) == ["counting"]


def test_two_runs_that_begin_in_the_same_second_write_two_files(tmp_path: Path) -> None:
    found = results.begin("a test", quick=False, peers={})
    paths = [results.save_new(found, tmp_path / "results" / "10.json") for _ in range(3)]
    assert [path.name for path in paths] == ["10.json", "10-2.json", "10-3.json"]
    assert all(results.load(path) == found for path in paths)
    assert len(list((tmp_path / "results").iterdir())) == 3


def test_a_run_leaves_what_another_one_is_writing_alone(tmp_path: Path) -> None:
    found = results.begin("a test", quick=False, peers={})
    other = tmp_path / "kept.part"
    other.write_text("of another run")
    results.save(found, tmp_path / "kept.json")
    results.save(found, other)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["kept.json", "kept.part"]


def test_a_run_without_a_name_for_its_file_says_where_it_lies(tmp_path: Path) -> None:
    done = program("run", "counting", "--rounds", "1", cwd=tmp_path)
    (path,) = (tmp_path / "benchmark-results").iterdir()
    assert done.returncode == 0, done.stderr
    assert f"Results: benchmark-results/{path.name}" in done.stdout
    assert measured(path) == ["counting"]


def test_two_names_for_the_file_of_results_are_refused(tmp_path: Path) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    done = program("run", "counting", "--into", str(one), "--out", str(other))
    assert done.returncode == 2
    assert "--into and --out" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_stopped_leaves_nothing_behind_and_keeps_what_it_has(
    number: signal.Signals, tmp_path: Path
) -> None:
    path, pipe = tmp_path / "kept.json", tmp_path / "pipe"
    os.mkfifo(pipe)
    run = subprocess.Popen(
        [*PROGRAM, "run", "--rounds", "1", "--out", str(path)], cwd=ROOT,
        env=environment(PIPE=str(pipe), TMPDIR="/var/tmp"), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
        # Under nohup the tests themselves, and what they start, would not hear it.
        preexec_fn=lambda: signal.signal(number, signal.SIG_DFL),
    )  # fmt: skip
    with pipe.open(encoding="utf-8") as said:
        folder = said.readline().strip()
        assert Path(folder).is_dir()
        run.send_signal(number)
        _, told = run.communicate(timeout=60)
        ended, _, _ = select.select([said], [], [], 30)
        assert ended, "the worker or its child is still there"
        assert said.read() == ""
    assert run.returncode == 130
    assert "What was measured until then is kept; waiting lacks rounds" in " ".join(told.split())
    assert not Path(folder).exists()
    assert measured(path) == ["counting", "waiting"]
    assert [one.finished for one in results.load(path).scenarios] == [True, False]


@pytest.mark.parametrize("option", ["--into", "--out"])
def test_a_stop_in_the_middle_leaves_the_file_that_was_there(option: str, tmp_path: Path) -> None:
    path, pipe = tmp_path / "kept.json", tmp_path / "pipe"
    os.mkfifo(pipe)
    earlier = results.begin("an earlier run", quick=False, peers={})
    rounds = [results.Round(name, {"per_s": 7.0}) for name in ("ours", "endless")]
    earlier.put(results.ScenarioResult("waiting", [results.CaseResult("few", rounds)]))
    results.save(earlier, path)
    run = subprocess.Popen(
        [*PROGRAM, "run", "waiting", option, str(path)], cwd=ROOT,
        env=environment(PIPE=str(pipe), TMPDIR="/var/tmp"), stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    with pipe.open(encoding="utf-8") as said:
        assert said.readline()
        run.send_signal(signal.SIGINT)
        _, told = run.communicate(timeout=60)
    assert run.returncode == 130
    assert results.load(path) == earlier
    words = "the earlier result stays" if option == "--into" else "Nothing that was measured"
    assert words in " ".join(told.split())


def test_nohup_lets_a_run_survive_its_terminal() -> None:
    script = (
        "import signal\n"
        "from benchmarks.harness.stopping import stop_as_ctrl_c_does\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        "stop_as_ctrl_c_does()\n"
        "signal.raise_signal(signal.SIGHUP)\n"
        "print('still here')\n"
        "try: signal.raise_signal(signal.SIGTERM)\n"
        "except KeyboardInterrupt: signal.raise_signal(signal.SIGTERM)\n"
        "print('cleaned up')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout.splitlines() == ["still here", "cleaned up"]


def test_a_terminal_that_lacks_our_characters_shows_likenesses_of_them() -> None:
    kept = str(ROOT / "benchmarks" / "results" / "full.json")
    for arguments in (["list"], ["show", kept], ["show", kept, "--markdown"]):
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, capture_output=True,
            env=environment(PYTHONIOENCODING="ascii"), text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.isascii()
    assert "0.60 x" in done.stdout or " x (" in done.stdout


def test_a_file_of_an_older_format_is_told_as_such(tmp_path: Path) -> None:
    path = tmp_path / "old.json"
    path.write_text(json.dumps({"format": 0, "old": 1}))
    with pytest.raises(results.BadResults, match="has format 0, and this version reads 1"):
        results.load(path)
    path.write_text('{"old": 1}')
    with pytest.raises(results.BadResults, match="holds no results"):
        results.load(path)
