"""A fault of one contender or of one peer's installation costs that contender and nobody else."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path
from typing import NoReturn

import pytest

from benchmarks.harness import measuring, peers, results
from benchmarks.harness.measuring import Failed, figures_of, measure
from benchmarks.harness.peers import Missing, Peers, cause_in
from benchmarks.harness.running import Runner
from benchmarks.harness.scenario import Case, Contender, Figure, Scenario

HERE = "tests.benchmarks.measured"
NO_PEERS = Peers(install=False)
CASE = Case(name="few", params={"n": 2})
GOOD = Contender(name="good", target=f"{HERE}:counted")


def race(*contenders: Contender, peers: Peers = NO_PEERS) -> results.CaseResult:
    scenario = Scenario(
        name="counting", group="test", what="", cases=(CASE,), quick=(), baseline="good",
        figures=(Figure(name="per_s", label="steps/s", better="higher"),),
        contenders=(*contenders, GOOD),
    )  # fmt: skip
    found = results.begin("a test", quick=False, peers={})
    return Runner(found, peers, rounds=1).run(scenario, [CASE]).cases[0]


@pytest.mark.parametrize(
    "line",
    [
        '{"figures":{',
        '{"figures": null}',
        '{"figures": [1]}',
        '{"figures": {"per_s": "fast"}}',
        '{"figures": {"per_s": {}}}',
        '{"figures": {"per_s": Infinity}}',
    ],
)
def test_a_damaged_line_of_figures_makes_its_contender_missing_and_no_other(line: str) -> None:
    damaged = Contender(name="damaged", target=f"{HERE}:says", params={"line": line})
    case = race(damaged)
    assert "damaged printed no figures, but" in case.missing["damaged"]
    assert case.of("good", "per_s") == [2.0]


def test_what_a_system_does_not_say_is_no_figure() -> None:
    line = '{"figures": {"per_s": 2, "peak": null, "resident": NaN}}'
    assert figures_of(line) == {"per_s": 2.0}


def test_a_contender_whose_program_is_not_there_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measuring, "command", lambda *_: [str(tmp_path / "no-such-program")])
    with pytest.raises(Failed, match=r"good cannot be started: .*no-such-program"):
        measure(GOOD, CASE, NO_PEERS, 60)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Contender:
    """A peer with a folder of its own and nothing to install."""
    folder = tmp_path / "peers" / "elsewhere"
    folder.mkdir(parents=True)
    (folder / "requirements.txt").write_text("# nothing\n")
    (folder / "measure.py").write_text('print(\'{"figures": {"per_s": 5}}\')\n')
    monkeypatch.setattr(peers, "FOLDER", tmp_path / "peers")
    return Contender(name="elsewhere", target="measure.py", peer="elsewhere")


@pytest.mark.parametrize("place", ["/proc/nope", "{tmp}/a-file", "{tmp}/a-file/below"])
def test_a_folder_that_peers_cannot_lie_in_leaves_them_out_by_name(
    place: str, elsewhere: Contender, tmp_path: Path
) -> None:
    (tmp_path / "a-file").touch()
    folder = Path(place.format(tmp=tmp_path))
    case = race(elsewhere, peers=Peers(folder, install=True))
    assert f"elsewhere cannot be installed in {folder}" in case.missing["elsewhere"]
    assert "--peers-folder" in case.missing["elsewhere"]
    assert case.of("good", "per_s") == [2.0]


def test_a_virtual_environment_that_cannot_be_made_is_told_with_what_helps(
    elsewhere: Contender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def create(*_: object, **__: object) -> NoReturn:
        raise subprocess.CalledProcessError(1, "ensurepip", output=b"Error: no ensurepip here")

    monkeypatch.setattr(venv, "create", create)
    case = race(elsewhere, peers=Peers(tmp_path / "environments", install=True))
    assert "Error: no ensurepip here" in case.missing["elsewhere"]
    assert "python3-venv" in case.missing["elsewhere"]


@pytest.mark.parametrize("by", ["option", "XDG_CACHE_HOME"])
def test_a_relative_folder_of_peers_is_meant_from_where_the_run_was_started(
    by: str, elsewhere: Contender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    monkeypatch.setattr(Peers, "_install_python", link_to_this_python)
    known = Peers(Path("cache/mine") if by == "option" else None, install=True)
    assert race(elsewhere, peers=known).of("elsewhere", "per_s") == [5.0]


def link_to_this_python(_: Peers, folder: Path, __: Path) -> None:

    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(sys.executable)


PIP = """\
WARNING: Retrying (Retry(total=1, connect=None, read=None)) after connection broken by \
'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object at 0x7f8c2d0>: Failed \
to establish a new connection: [Errno -2] Name or service not known')': /simple/loro/
WARNING: Retrying (Retry(total=0, connect=None, read=None)) after connection broken by \
'NewConnectionError('<pip._vendor.urllib3.connection.HTTPSConnection object at 0x7f8ca10>: Failed \
to establish a new connection: [Errno -2] Name or service not known')': /simple/loro/
ERROR: Could not find a version that satisfies the requirement loro==1.17.1 (from versions: none)
ERROR: No matching distribution found for loro==1.17.1

[notice] A new release of pip is available: 24.0 -> 26.1
[notice] To update, run: pip install --upgrade pip
"""
NPM = """\
npm error code ENOTFOUND
npm error network request to http://registry.invalid/xtend failed, reason: getaddrinfo ENOTFOUND
npm error network This is a problem related to network connectivity.
npm error network In most cases you are behind a proxy or have bad network settings.
npm error network
npm error network If you are behind a proxy, please make sure that the 'proxy' config is set.
npm error A complete log of this run can be found in: /root/.npm/_logs/debug-0.log
"""


def test_the_cause_of_a_failed_installation_is_told_without_advice_and_repetition() -> None:
    found = cause_in(PIP)
    assert found.count("Name or service not known") == 1
    assert "No matching distribution found for loro==1.17.1" in found
    assert "notice" not in found
    assert cause_in(NPM) == (
        "npm error code ENOTFOUND / npm error network request to http://registry.invalid/xtend "
        "failed, reason: getaddrinfo ENOTFOUND"
    )
    assert cause_in("something\nelse went wrong") == "something / else went wrong"


def test_an_installation_that_fails_says_why_and_what_helps(
    elsewhere: Contender, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        subprocess, "run", lambda *_, **__: subprocess.CompletedProcess([], 1, PIP, "")
    )
    monkeypatch.setattr(venv, "create", lambda *_, **__: None)
    with pytest.raises(Missing, match=r"Name or service not known.*PIP_INDEX_URL.*--no-peers"):
        Peers(tmp_path / "environments", install=True).path("elsewhere")
