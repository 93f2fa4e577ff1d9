"""Runs in processes of their own: a run that hangs or dies is told as a failure of its seed."""

from __future__ import annotations

import contextlib
import itertools
import os
import queue
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, Final

import msgspec

from crdtsync.errors import CrdtsyncError
from crdtsync_server.simulation.jobs import DEFAULT_STEPS, Job, Ready, Result

WORKER: Final = (sys.executable, "-P", "-m", "crdtsync_server.simulation.worker")

HANG_S: Final = 120.0
"""A run of usual length takes a tenth of a second; one that takes this long does not end."""

START_S: Final = 60.0
"""Imports take half a second, on a machine that does little else."""

DUMP_S: Final = 2.0
"""For a worker that hangs to say where, before it is killed."""

RUNS_PER_WORKER: Final = 1_000
"""Then a new process takes its place, so that no leak of a long night fills the machine."""

LAST_WORDS_BYTES: Final = 6_000

# What changes the order of things, or how the interpreter behaves.
_NOT_INHERITED: Final = ("PYTHONASYNCIODEBUG", "PYTHONDEVMODE", "PYTHONTRACEMALLOC", "PYTHONDEBUG")


class WorkerCannotStart(CrdtsyncError):
    """A worker ended before its first job: the program or its packages are broken."""


class Worker:
    """One worker process, started when it is needed, and again after it ended."""

    def __init__(self, command: Sequence[str] = WORKER, *, hang_s: float = HANG_S) -> None:
        self._command = command
        self._hang_s = hang_s
        self._process: subprocess.Popen[bytes] | None = None
        self._said: IO[bytes] | None = None
        self._lock = threading.Lock()
        self._job: Job | None = None
        self._hangs = False
        self._stopped = False
        self._runs = 0
        self.versions: Mapping[str, str] = {}
        """What it is made of, once it has started."""

    @property
    def pid(self) -> int | None:
        """The process that works now."""
        return None if self._process is None else self._process.pid

    def run(self, job: Job) -> Result:
        """Carry out a job. A worker that hangs or dies is the result. Raises WorkerCannotStart."""
        if self._runs >= RUNS_PER_WORKER:
            self._end()
        self._start()
        self._runs += 1
        hang_s = self._hang_s * max(1.0, job.steps / DEFAULT_STEPS)
        line = self._ask(job, msgspec.json.encode(job) + b"\n", hang_s)
        if line.endswith(b"\n") and not self._hangs:
            return msgspec.json.decode(line, type=Result)
        hung, process = self._hangs, self._process
        code = None if process is None else process.wait()
        words = self._last_words()
        self._end()
        if hung:
            return Result(job.seed, "hung", f"no end after {hang_s:g} s", words, job.plan)
        return Result(job.seed, "died", f"the worker ended: {_ending(code)}", words, job.plan)

    def stop(self) -> None:
        """End the process, whatever it does, from whatever thread; it is not started again."""
        with self._lock:
            self._stopped = True
            if self._process is not None:
                self._process.kill()

    def close(self) -> None:
        """Stop, and give back what it held. Only from the thread that ran jobs."""
        self.stop()
        self._end()

    def _start(self) -> None:
        if self._process is not None:
            return
        said = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        kept = {key: value for key, value in os.environ.items() if key not in _NOT_INHERITED}
        with self._lock:
            if self._stopped:
                said.close()
                raise WorkerCannotStart("it was stopped")
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                env={**kept, "PYTHONHASHSEED": "0"},
                # Ctrl-C reaches the command alone.
                start_new_session=True,
            )
        self._said, self._runs, self._hangs = said, 0, False
        line = self._ask(None, b"", START_S)
        try:
            self.versions = msgspec.json.decode(line, type=Ready).versions
        except msgspec.DecodeError:
            self._process.kill()
            code = self._process.wait()
            words = self._last_words()
            self._end()
            raise WorkerCannotStart(
                f"a worker of the simulator did not start: {_ending(code)}\n{words}"
            ) from None

    def _ask(self, job: Job | None, line: bytes, within_s: float) -> bytes:
        """Send a line and get one; an unfinished one if the process ended meanwhile."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        asked = job or Job(0)
        self._job = asked
        timer = threading.Timer(within_s, self._give_up, [process, asked])
        timer.daemon = True
        timer.start()
        try:
            with contextlib.suppress(OSError):
                process.stdin.write(line)
                process.stdin.flush()
            return process.stdout.readline()
        finally:
            timer.cancel()
            with self._lock:
                self._job = None

    def _give_up(self, process: subprocess.Popen[bytes], job: Job) -> None:
        with self._lock:
            if self._job is not job:
                return  # it answered at the last moment
            self._hangs = True
        # faulthandler writes down where every thread is.
        process.send_signal(signal.SIGABRT)
        try:
            process.wait(DUMP_S)
        except subprocess.TimeoutExpired:
            process.kill()

    def _last_words(self) -> str:
        if self._said is None:
            return ""
        size = self._said.seek(0, os.SEEK_END)
        self._said.seek(max(0, size - LAST_WORDS_BYTES))
        return self._said.read().decode(errors="replace").strip()

    def _end(self) -> None:
        process, said = self._process, self._said
        with self._lock:
            self._process = self._said = None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
        if said is not None:
            said.close()


class Pool:
    """Some workers that share out jobs. Use it with ``with``: no process outlives it."""

    def __init__(
        self, jobs: int, command: Sequence[str] = WORKER, *, hang_s: float = HANG_S
    ) -> None:
        self.workers = [Worker(command, hang_s=hang_s) for _ in range(jobs)]
        self._threads: list[threading.Thread] = []

    @property
    def versions(self) -> Mapping[str, str]:
        """What the workers are made of, once one has started."""
        return next((worker.versions for worker in self.workers if worker.versions), {})

    def run(self, jobs: Iterable[Job]) -> Iterator[Result]:
        """The result of each job, in the order in which they come. Raises WorkerCannotStart."""
        todo, lock = iter(jobs), threading.Lock()
        done: queue.Queue[Result | BaseException | None] = queue.Queue()

        def work(worker: Worker) -> None:
            try:
                while True:
                    with lock:
                        job = next(todo, None)
                    if job is None:
                        return
                    done.put(worker.run(job))
            except BaseException as error:
                done.put(error)
            finally:
                worker.close()
                done.put(None)

        for worker in self.workers:
            thread = threading.Thread(target=work, args=[worker], daemon=True)
            self._threads.append(thread)
            thread.start()
        ended = 0
        while ended < len(self.workers):
            item = done.get()
            if item is None:
                ended += 1
            elif isinstance(item, BaseException):
                raise item
            else:
                yield item

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *_: Any) -> None:
        for worker in self.workers:
            worker.stop()
        for thread in self._threads:
            thread.join()


def seeds(first: int, count: int | None, steps: int = DEFAULT_STEPS) -> Iterator[Job]:
    """Jobs for seeds in a row; without a count, for ever."""
    numbers = itertools.count(first) if count is None else range(first, first + count)
    return (Job(number, steps) for number in numbers)


def once(
    job: Job,
    command: Sequence[str] = WORKER,
    *,
    hang_s: float = HANG_S,
    told: Callable[[Mapping[str, str]], None] = lambda versions: None,
) -> Result:
    """One job in a fresh process: nothing that ran before can matter."""
    worker = Worker(command, hang_s=hang_s)
    try:
        result = worker.run(job)
        told(worker.versions)
        return result
    finally:
        worker.close()


def _ending(code: int | None) -> str:
    if code is not None and code < 0:
        with contextlib.suppress(ValueError):
            return f"killed by {signal.Signals(-code).name}"
    return f"exit code {code}"
