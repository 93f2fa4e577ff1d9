"""Asking a person while server and devices go on working in the same program."""

from __future__ import annotations

import asyncio
import os
import sys

from rich.console import Console

from crdtsync.cli.choosing import Choosing

READ_BYTES = 4_096


async def ask(choosing: Choosing, out: Console) -> None:
    """Go through the steps of a choice."""
    lines = Lines()
    while (question := choosing.prompt) is not None:
        out.print(question)
        out.print("> ", end="")
        sys.stdout.flush()
        line = await lines.next()
        if line is None:
            choosing.give_up()
        else:
            choosing.answer(line)
        if choosing.said:
            out.print(choosing.said)


class Lines:
    """Lines of standard input; the event loop goes on while a person thinks.

    A thread would do too, but one that waits for input keeps Ctrl-C from ending the program.
    """

    def __init__(self) -> None:
        self._read = b""

    async def next(self) -> str | None:
        """The next line; None when there are no more."""
        while b"\n" not in self._read:
            if not await self._readable():
                return sys.stdin.readline() or None
            more = os.read(sys.stdin.fileno(), READ_BYTES)
            if not more:
                line, self._read = self._read, b""
                return line.decode(errors="replace") or None
            self._read += more
        line, _, self._read = self._read.partition(b"\n")
        return line.decode(errors="replace")

    async def _readable(self) -> bool:
        """Wait until there is something to read; False where that cannot be waited for (an
        ordinary file answers at once; on Windows the loop waits for the person)."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        try:
            loop.add_reader(sys.stdin.fileno(), ready.set)
        except (NotImplementedError, OSError, ValueError):
            return False
        try:
            await ready.wait()
        finally:
            loop.remove_reader(sys.stdin.fileno())
        return True
