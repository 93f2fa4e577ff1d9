"""Opening replicas for commands: beside a running one to read, alone to write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from crdtsync.cli.failures import Failure, current_lang
from crdtsync.cli.texts import say
from crdtsync.policy_file import Policy
from crdtsync.replica.exporting import is_own_file
from crdtsync.replica.queue_view import OutboxItem
from crdtsync.replica.replica import Replica

T = TypeVar("T")

NOBODY = "reader"
"""The user of a replica that is only read, where the person did not say who they are."""


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's work. Ctrl-C cancels it, so that files are closed in order."""
    return asyncio.run(work)


@asynccontextmanager
async def reading(path: Path, *, user: str | None = None) -> AsyncIterator[Replica]:
    """The replica, to read it only; works beside the program that holds it."""
    _must_exist(path)
    async with Replica.open(path, user=user or NOBODY, read_only=True) as replica:
        yield replica


@asynccontextmanager
async def writing(
    path: Path, *, user: str, space: str | None = None, policy: Path | None = None
) -> AsyncIterator[Replica]:
    """The replica, to write into it; made first where ``space`` and ``policy`` are given."""
    if space is None or policy is None:
        _must_exist(path)
    rules = None if policy is None else Policy.load(policy)
    async with Replica.open(path, user=user, space=space, policy=rules) as replica:
        yield replica


def _must_exist(path: Path) -> None:
    if not path.is_file():
        key = "replica_is_folder" if path.is_dir() else "no_replica"
        raise Failure(say(key, current_lang.get(), file=path))


def refuse_own_file(file: Path, replica: Path, lang: str) -> None:
    """An output must not take the place of the replica that it is read from."""
    if is_own_file(file, replica):
        raise Failure(say("own_file", lang, file=file))


def find_op(replica: Replica, beginning: str, lang: str) -> OutboxItem:
    """The queued change whose number begins like this; exactly one must."""
    found = [item for item in replica.outbox if item.op_id.startswith(beginning.lower())]
    if not found or not beginning:
        raise Failure(say("no_such_op", lang, op_id=beginning))
    if len(found) > 1:
        raise Failure(say("several_ops", lang, op_id=beginning, n=len(found)))
    return found[0]
