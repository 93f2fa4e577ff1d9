"""A server in a process of its own, as devices meet it: its time and memory are not theirs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import TracebackType

STOP_TIMEOUT_S = 30


class ServerProcess:
    """``with ServerProcess(folder) as server``: it listens at ``server.url``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __enter__(self) -> ServerProcess:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.served", str(self._folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.url = self._line()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        finally:
            self._process.kill()

    def cpu_s(self) -> float:
        """Processor seconds that it has used since its start."""
        return self._asked()[0]

    def resident_bytes(self) -> float:
        """The memory that it holds; NaN where the system does not say it."""
        return self._asked()[1]

    def _asked(self) -> tuple[float, float]:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        cpu_s, resident = self._line().split()
        return float(cpu_s), float(resident)

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if not line:
            raise RuntimeError(f"the server has ended (exit code {self._process.poll()})")
        return line
