"""Standard output and standard error of the program, whatever they are connected to."""

from __future__ import annotations

import codecs
import os
import sys
from typing import IO, NoReturn

from rich.console import Console

CLOSED = 141
"""The exit code where whoever read the output has gone: what a shell says after SIGPIPE."""
UNWRITABLE = 2
PLAIN = {"×": "x", "µ": "u", "–": "-", "→": ">", "…": "."}
"""Characters of ours that have a likeness in every encoding, each as wide as it was."""


def write_any_encoding() -> None:
    """Let characters that the terminal's encoding lacks be written as likenesses of them."""
    codecs.register_error("benchmarks-plain", _plain)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="benchmarks-plain")


def _plain(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    return "".join(PLAIN.get(one, "?") for one in lacking), error.end


class Output(Console):
    """Tables for people: the program ends quietly where nobody reads them any more."""

    def on_broken_pipe(self) -> NoReturn:
        """End the program; what was measured is saved before it is printed."""
        self.quiet = True
        _drop(sys.stdout)
        raise SystemExit(CLOSED)

    def _write_buffer(self) -> None:
        try:
            super()._write_buffer()
        except BrokenPipeError:
            raise
        except OSError as error:
            self.quiet = True
            _drop(sys.stdout)
            Complaints(stderr=True).print(f"standard output cannot be written: {error.strerror}")
            raise SystemExit(UNWRITABLE) from error


class Complaints(Console):
    """Progress and complaints: they never stop a run, and after a terminal was closed nobody
    hears them."""

    def _write_buffer(self) -> None:
        try:
            super()._write_buffer()
        except OSError:
            self.quiet = True
            _drop(sys.stderr)


def _drop(stream: IO[str]) -> None:
    """Python writes what is left in a stream's buffer at its end, and would complain then."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
