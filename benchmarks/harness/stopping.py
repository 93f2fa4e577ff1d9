"""However a run is ended from outside, it saves what it has and leaves no contender behind."""

from __future__ import annotations

import signal
from types import FrameType
from typing import NoReturn

SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))
"""A request to end, and a terminal that was closed."""


def stop_as_ctrl_c_does() -> None:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt. ``nohup``, which lets a run survive its
    terminal, is left alone."""
    for one in SIGNALS:
        if signal.getsignal(one) is not signal.SIG_IGN:
            signal.signal(one, _stop)


def _stop(number: int, frame: FrameType | None) -> NoReturn:
    # A shell and its terminal may both send one: the second must not interrupt cleaning up.
    for one in SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    raise KeyboardInterrupt
