"""``python -m benchmarks`` with small scenarios of known figures, for tests of the program."""

from __future__ import annotations

import os

from benchmarks import registry
from benchmarks.__main__ import app
from benchmarks.harness.output import write_any_encoding
from benchmarks.harness.scenario import Case, Contender, Figure, Scenario

HERE = "tests.benchmarks.measured"
FIGURES = (Figure(name="per_s", label="steps/s", better="higher"),)
CASE = Case(name="few", params={"n": 2, "pipe": os.environ.get("PIPE", "")})


def scenario(name: str, *contenders: Contender) -> Scenario:
    return Scenario(
        name=name, group="small", what="Counting × times.", figures=FIGURES, cases=(CASE,),
        quick=(CASE,), contenders=contenders, baseline="ours",
    )  # fmt: skip


OURS = Contender(name="ours", target=f"{HERE}:counted")
registry.SCENARIOS = (
    scenario("counting", OURS, Contender(name="twice", target=f"{HERE}:counted_twice")),
    scenario("waiting", OURS, Contender(name="endless", target=f"{HERE}:endless_with_a_child")),
)

if __name__ == "__main__":
    write_any_encoding()
    app()
