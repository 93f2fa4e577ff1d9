"""Fresh seeds: drawn once for the whole test run, before its workers start."""

from __future__ import annotations

import os
import signal
from random import SystemRandom

import pytest

BASE_SEED = "CRDTSYNC_SEED"
"""The first of the fresh seeds. Set it to run the same ones again."""


def pytest_configure(config: pytest.Config) -> None:
    """Workers of xdist inherit the environment."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A shell's background job: the programs that tests interrupt would inherit it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if not os.environ.get(BASE_SEED):
        os.environ[BASE_SEED] = str(SystemRandom().randrange(1_000_000_000))


def pytest_report_header(config: pytest.Config) -> str:
    """What makes this run one that can be had again (not shown with -q)."""
    return _words()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The same where people look, if fresh seeds were run."""
    ran = (report for reports in terminalreporter.stats.values() for report in reports)
    if any("test_fresh_seeds" in getattr(report, "nodeid", "") for report in ran):
        terminalreporter.write_line(_words())


def _words() -> str:
    return f"fresh seeds: {BASE_SEED}={os.environ[BASE_SEED]}"
