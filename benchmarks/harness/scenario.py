"""What a benchmark is: cases, contenders that take turns at each, and marks to reach.

A contender is measured in a process of its own, so that nobody inherits a warm cache or
a grown heap from the one before. It is given the parameters of a case and prints its
figures (``worker.py`` for Python, the scripts in ``peers/`` for everything else).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Better = Literal["higher", "lower"]


@dataclass(frozen=True, kw_only=True)
class Figure:
    """Something that is measured."""

    name: str
    """As the contender prints it, with its unit: ``ops_per_s``."""
    label: str
    """As people read it: ``ops/s``."""
    better: Better
    digits: int = 0
    """Behind the point, where it is shown."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One size or shape of a scenario."""

    name: str
    params: Mapping[str, Any]
    x: float | None = None
    """Where it stands on a chart's horizontal axis."""
    rounds: int | None = None
    """Fewer rounds than asked for, where one takes minutes."""


@dataclass(frozen=True, kw_only=True)
class Contender:
    """Somebody who is measured."""

    name: str
    target: str
    """``package.module:function`` of ours; of a peer the script in its folder."""
    peer: str | None = None
    """Its folder in ``benchmarks/peers`` (``peers.py``); None for ours."""
    note: str = ""
    """In what it differs from the others, told under the table."""
    only: frozenset[str] = frozenset()
    """Cases it takes part in; all where empty."""
    params: Mapping[str, Any] = field(default_factory=dict)
    """What its target is given beside the parameters of the case."""
    server_peer: str | None = None
    """The peer in whose environment a server runs that ``target``, of ours, drives: the command
    that starts it is given to the target as ``server_command``."""
    server_script: str = ""
    """The server in the folder of ``server_peer``."""

    @property
    def needs(self) -> str | None:
        """The peer that has to be installed for it; None where nothing of others is needed."""
        return self.peer or self.server_peer

    def takes_part_in(self, case: Case) -> bool:
        """Whether this contender is measured at ``case``."""
        return not self.only or case.name in self.only


@dataclass(frozen=True, kw_only=True)
class Mark:
    """What has to be reached. It is told, and never makes a run fail: no time does."""

    what: str
    figure: str
    of: str
    case: str
    against: str | None = None
    """The contender whose figure divides ours; None for an absolute figure."""
    at_case: str | None = None
    """The other case whose figure divides ours, where growth is judged."""
    at_least: float | None = None
    at_most: float | None = None
    unit: str = "×"


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A picture of one figure over the cases."""

    figure: str
    x_label: str
    log_x: bool = False
    log_y: bool = False


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """One question that a user has."""

    name: str
    group: str
    what: str
    """What is measured and how, in a sentence or two."""
    figures: tuple[Figure, ...]
    """The first is the one that ratios are told of."""
    cases: tuple[Case, ...]
    quick: tuple[Case, ...]
    """Small cases for ``--quick``: they show that it runs, and nothing of speed."""
    contenders: tuple[Contender, ...]
    baseline: str
    """The contender that the others are divided by."""
    marks: tuple[Mark, ...] = ()
    chart: Chart | None = None
    timeout_s: float = 600.0
    """Of one measurement of one contender."""

    def figure(self, name: str) -> Figure:
        """The figure of that name."""
        return next(one for one in self.figures if one.name == name)
