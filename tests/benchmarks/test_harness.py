"""The benchmarks' harness: turns, ratios, marks, missing peers, what is kept."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks.harness import comparing, documents, peers, results, telling
from benchmarks.harness.charts import draw
from benchmarks.harness.judging import judge
from benchmarks.harness.measuring import Failed, measure
from benchmarks.harness.peers import Missing, Peers
from benchmarks.harness.results import CaseResult, Results, Round, ScenarioResult
from benchmarks.harness.running import Runner, measurements
from benchmarks.harness.scenario import Case, Chart, Contender, Figure, Mark, Scenario

HERE = "tests.benchmarks.measured"
NO_PEERS = Peers(install=False)

SCENARIO = Scenario(
    name="counting",
    group="test",
    what="Counting to a number.",
    figures=(Figure(name="per_s", label="steps/s", better="higher"),),
    cases=(Case(name="few", params={"n": 2}, x=2.0), Case(name="many", params={"n": 8}, x=8.0)),
    quick=(Case(name="few", params={"n": 2}, x=2.0),),
    contenders=(
        Contender(name="ours", target=f"{HERE}:counted", note="is the real one"),
        Contender(name="twice", target=f"{HERE}:counted_twice"),
    ),
    baseline="twice",
    marks=(
        Mark(what="half", figure="per_s", of="ours", case="few", against="twice", at_least=0.5),
        Mark(what="all", figure="per_s", of="ours", case="few", against="twice", at_least=0.9),
        Mark(what="flat", figure="per_s", of="ours", case="many", at_case="few", at_most=1.5),
        Mark(what="many", figure="per_s", of="ours", case="many", at_least=8, unit="steps/s"),
    ),
    chart=Chart(figure="per_s", x_label="n"),
)


def run(scenario: Scenario, rounds: int = 2) -> Results:
    found = results.begin("a test", quick=False, peers={})
    Runner(found, NO_PEERS, rounds=rounds).run(scenario, scenario.cases)
    return found


def copied(found: Results) -> Results:
    return msgspec.convert(msgspec.to_builtins(found), Results)


@pytest.fixture(scope="module")
def counted() -> Results:
    return run(SCENARIO)


def test_contenders_take_turns_each_in_a_process_of_its_own(counted: Results) -> None:
    case = counted.scenarios[0].cases[0]
    assert [one.contender for one in case.rounds] == ["ours", "twice", "ours", "twice"]
    assert len({one.figures["pid"] for one in case.rounds}) == 4
    assert all(one.figures["peak_memory_bytes"] > 1_000_000 for one in case.rounds)
    assert measurements(SCENARIO, SCENARIO.cases, 2) == 8


def test_ratios_are_taken_within_one_turn() -> None:
    rounds = [("a", 10.0), ("b", 20.0), ("a", 1.0), ("b", 1.0)]
    case = CaseResult("x", [Round(who, {"speed": speed}) for who, speed in rounds])
    assert case.ratios("a", "b", "speed") == [0.5, 1.0]


def test_marks_are_told_as_reached_or_missed(counted: Results) -> None:
    reached = {
        mark.what: judge(mark, counted.scenario("counting")).reached for mark in SCENARIO.marks
    }
    assert reached == {"half": True, "all": False, "flat": False, "many": True}
    told = telling.marks_rows([(SCENARIO, mark) for mark in SCENARIO.marks], counted)
    assert told[0] == ["half", "at least 0.5 × twice", "0.50 ×", "reached"]
    assert [row[3] for row in told] == ["reached", "missed", "missed", "reached"]


def test_a_mark_that_was_not_measured_is_neither_reached_nor_missed() -> None:
    assert judge(SCENARIO.marks[0], None).reached is None
    assert judge(SCENARIO.marks[0], ScenarioResult("counting")).reached is None


def test_a_contender_that_fails_is_named_with_its_last_words_and_the_others_go_on() -> None:
    broken = Contender(name="broken", target=f"{HERE}:broken")
    with pytest.raises(Failed, match="the disk is made of cheese"):
        measure(broken, SCENARIO.cases[0], NO_PEERS, 60)
    scenario = Scenario(
        name="counting", group="test", what="", figures=SCENARIO.figures, cases=SCENARIO.quick,
        quick=(), contenders=(broken, SCENARIO.contenders[1]), baseline="twice",
    )  # fmt: skip
    case = run(scenario).scenarios[0].cases[0]
    assert "cheese" in case.missing["broken"]
    assert len(case.of("twice", "per_s")) == 2
    assert ["broken", "missing"] in telling.rows(scenario, case)


@pytest.mark.parametrize(("server_peer", "is_missing"), [(None, True), ("node-sync", False)])
def test_a_peer_that_fails_is_tried_once_more_and_ours_is_not(
    server_peer: str | None, is_missing: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Peers, "path", lambda *_: tmp_path)
    contender = Contender(
        name="moody", target=f"{HERE}:fails_once", server_peer=server_peer, server_script="x.mjs",
        params={"folder": str(tmp_path)},
    )  # fmt: skip
    scenario = Scenario(
        name="counting", group="test", what="", figures=SCENARIO.figures, cases=SCENARIO.quick,
        quick=(), contenders=(contender,), baseline="moody",
    )  # fmt: skip
    case = run(scenario, rounds=1).scenarios[0].cases[0]
    assert ("moody" in case.missing) == is_missing
    assert len(case.of("moody", "per_s")) == (0 if is_missing else 1)


def test_a_contender_that_does_not_end_is_ended() -> None:
    endless = Contender(name="endless", target=f"{HERE}:endless")
    with pytest.raises(Failed, match="more than 0 s"):
        measure(endless, SCENARIO.cases[0], NO_PEERS, 0.3)


def test_a_peer_that_is_not_installed_is_named_as_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    peer = Contender(name="elsewhere", target="measure.py", peer="elsewhere")
    folder = tmp_path / "peers" / "elsewhere"
    folder.mkdir(parents=True)
    (folder / "requirements.txt").write_text("# exact pins\nno-such-package-at-all==1.0\n")
    monkeypatch.setattr(peers, "FOLDER", tmp_path / "peers")
    assert peers.pins("elsewhere") == ["no-such-package-at-all 1.0"]
    with pytest.raises(Missing, match="is not installed"):
        Peers(tmp_path, install=False).path("elsewhere")
    scenario = Scenario(
        name="counting", group="test", what="", figures=SCENARIO.figures, cases=SCENARIO.quick,
        quick=(), contenders=(peer, SCENARIO.contenders[1]), baseline="twice",
    )  # fmt: skip
    case = run(scenario).scenarios[0].cases[0]
    assert "not installed" in case.missing["elsewhere"]
    assert len(case.of("twice", "per_s")) == 2


def test_a_contender_may_drive_the_server_of_a_peer_and_is_missing_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = Contender(
        name="driver", target=f"{HERE}:driven", params={"times": 3},
        server_peer="elsewhere", server_script="serve.py",
    )  # fmt: skip
    assert driver.needs == "elsewhere"
    folder = tmp_path / "peers" / "elsewhere"
    folder.mkdir(parents=True)
    (folder / "requirements.txt").write_text("no-such-package-at-all==1.0\n")
    monkeypatch.setattr(peers, "FOLDER", tmp_path / "peers")
    scenario = Scenario(
        name="counting", group="test", what="", figures=SCENARIO.figures, cases=SCENARIO.quick,
        quick=(), contenders=(driver, SCENARIO.contenders[1]), baseline="twice",
    )  # fmt: skip
    assert "not installed" in run(scenario).scenarios[0].cases[0].missing["driver"]

    class Installed(Peers):
        def path(self, peer: str, say: object = None) -> Path:
            return tmp_path / peer

    figures = measure(driver, SCENARIO.cases[0], Installed(install=False), 60)
    assert figures["per_s"] == 6
    assert figures["words"] == 2


def test_results_are_kept_and_read_again(counted: Results, tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    results.save(counted, path)
    again = results.load(path)
    assert again == counted
    assert again.versions["pycrdt"]
    path.write_text("{")
    with pytest.raises(results.BadResults, match=r"kept\.json holds no results"):
        results.load(path)
    with pytest.raises(results.BadResults, match="cannot be read"):
        results.load(tmp_path / "nowhere.json")


def test_two_runs_are_compared_by_their_ratios(counted: Results) -> None:
    rows = comparing.rows([SCENARIO], counted, counted)
    assert [row[:3] for row in rows] == [
        ["counting: few", "ours / twice", "0.50 ×"],
        ["counting: many", "ours / twice", "0.50 ×"],
    ]
    assert comparing.differences(counted, counted) == []


def test_a_chart_is_drawn_as_a_png(counted: Results, tmp_path: Path) -> None:
    drawn = draw(SCENARIO, counted.scenarios[0], tmp_path)
    assert drawn is not None
    assert drawn.read_bytes().startswith(b"\x89PNG")


def test_the_page_of_results_has_every_contender_and_note(counted: Results) -> None:
    text = documents.every_figure([SCENARIO], counted)
    for part in ("| ours | 0.50 × | 2 |", "| twice | 1 | 4 |", "ours: is the real one", "pycrdt"):
        assert part in text


def test_the_readme_tells_how_many_times_better_or_worse_crdtsync_is(counted: Results) -> None:
    rounds = [("crdtsync", 2.0), ("fast", 4.0), ("slow", 0.01)]
    scenario = Scenario(
        name="racing", group="test", what="", figures=SCENARIO.figures, cases=SCENARIO.quick,
        quick=(), baseline="fast",
        contenders=tuple(Contender(name=name, target="") for name, _ in rounds),
    )  # fmt: skip
    case = CaseResult("few", [Round(name, {"per_s": speed}) for name, speed in rounds])
    both = copied(counted)
    both.put(ScenarioResult("racing", [case]))
    text = documents.for_readme([SCENARIO, scenario], both)
    assert "| racing, few (n = 1) | 2 steps/s | fast 0.50 · slow 200 |" in text
    assert "| half | at least 0.5 × twice | 0.50 × | reached |" in text


def test_a_run_goes_on_with_kept_results_and_replaces_what_it_measures_again(
    counted: Results,
) -> None:
    kept = copied(counted)
    kept.put(ScenarioResult("another"))
    merged = results.go_on(kept, results.begin("later", quick=False, peers={"node": ["yjs 13"]}))
    merged.put(ScenarioResult("counting"))
    assert [one.name for one in merged.scenarios] == ["another", "counting"]
    assert merged.peers == {"node": ["yjs 13"]}
    elsewhere = results.begin("later", quick=False, peers={})
    elsewhere.machine.cpu = "another one"
    with pytest.raises(results.BadResults, match="another machine"):
        results.go_on(kept, elsewhere)
    with pytest.raises(results.BadResults, match="--quick"):
        results.go_on(kept, results.begin("later", quick=True, peers={}))
