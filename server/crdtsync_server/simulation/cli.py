"""``crdtsync simulate``: the real code in simulated worlds, from seeds.

Importing this needs neither server packages nor apsw; running it does.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from crdtsync.cli.failures import BAD_INPUT, EXIT_CODES, Failure
from crdtsync.cli.options import Lang

NEEDED = ("apsw", "starlette", "uvicorn")
SIMULATE_CODES = (
    "Exit codes here: 0 every seed held; 1 a seed failed; 2 usage; 130 stopped with Ctrl-C."
)
MAX_SEED = 2**53 - 1


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=f"{SIMULATE_CODES} Everywhere: {EXIT_CODES}")(simulate)


def simulate(
    seeds: Annotated[int, typer.Option(min=1, max=10**9, help="How many seeds to run.")] = 1_000,
    first: Annotated[
        int | None,
        typer.Option(min=0, max=MAX_SEED, help="The first seed; drawn by lot if not given."),
    ] = None,
    jobs: Annotated[
        int, typer.Option(min=1, max=256, help="Processes that run seeds side by side.")
    ] = 2,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0, max=MAX_SEED, help="Replay this one to the letter and print its timeline."
        ),
    ] = None,
    plan: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", exists=True, dir_okay=False, help="Replay a plan that was kept."
        ),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, max=100_000, help="Steps of each run; 80 if not given.")
    ] = None,
    json_file: Annotated[
        str | None,
        typer.Option("--json", metavar="FILE", help="Write the result for machines; - prints it."),
    ] = None,
    shrink: Annotated[
        bool | None,
        typer.Option(
            "--shrink/--no-shrink",
            help="Look for the shortest run that fails alike; done by itself when seeds are run, "
            "not in a replay.",
            show_default=False,
        ),
    ] = None,
    shrink_seconds: Annotated[
        float, typer.Option(min=1, max=86_400, help="How long to look for it, per failure.")
    ] = 90,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Run all seeds, also after one failed.")
    ] = False,
    folder: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep plans and timelines of what failed there, not in a new temporary folder.",
        ),
    ] = None,
    lang: Lang = "en",
) -> None:
    """The real code in simulated worlds: seeded faults, every invariant checked, replayable.

    Each seed is a world of virtual time with a server, three to eight devices and people who
    write, while network, disks, clocks and machines fail. After every step the invariants are
    demanded; in the end everything heals, and everybody must come into step.
    """
    from crdtsync_server.simulation.words import tell

    if any(importlib.util.find_spec(name) is None for name in NEEDED):
        raise Failure(tell("needs_packages", lang), BAD_INPUT)
    given = {"--seed": seed, "--plan": plan, "--first": first}
    alone = [name for name, value in given.items() if value is not None]
    if plan is not None and steps is not None:
        alone.append("--steps")
    if len(alone) > 1:
        words = tell("not_together", lang, one=alone[0], other=alone[1])
        raise Failure(words, BAD_INPUT)
    from crdtsync_server.simulation import command
    from crdtsync_server.simulation.jobs import DEFAULT_STEPS

    wanted = command.Wanted(
        seeds=seeds,
        first=first,
        jobs=jobs,
        seed=seed,
        plan=plan,
        steps=DEFAULT_STEPS if steps is None else steps,
        json_file=json_file,
        shrink=shrink,
        shrink_s=shrink_seconds,
        keep_going=keep_going,
        folder=folder,
        lang=lang,
    )
    raise typer.Exit(command.run_command(wanted))
