"""Hears what a program says about faults of its own: none may be said while it is fuzzed."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.fuzz.target import Found


class Faults(logging.Handler):
    """Errors in the log, and exceptions that nobody caught."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """An error was logged."""
        words = record.getMessage()
        if record.exc_info is not None and record.exc_info[1] is not None:
            words += "\n" + "".join(traceback.format_exception(record.exc_info[1]))
        self.found.append(words)

    def unhandled(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An exception reached the loop."""
        error = context.get("exception")
        words = str(context.get("message"))
        if error is not None:
            words += "\n" + "".join(traceback.format_exception(error))
        self.found.append(words)

    def check(self) -> None:
        """Raises Found."""
        if self.found:
            raise Found("a fault was reported: " + "\n".join(self.found))


@contextmanager
def hearing_faults(name: str) -> Iterator[Faults]:
    """Within an event loop: whatever is logged as an error below ``name``."""
    faults = Faults()
    logger = logging.getLogger(name)
    before = logger.level, logger.propagate
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    logger.addHandler(faults)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(faults.unhandled)
    try:
        yield faults
    finally:
        loop.set_exception_handler(None)
        logger.removeHandler(faults)
        logger.setLevel(before[0])
        logger.propagate = before[1]
