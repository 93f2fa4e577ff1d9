"""Looks over the shoulder of the code under test, without changing what it does.

Three places are watched: where a replica makes an op, where the server decides
one, and every frame on the network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from crdtsync.documents import settling
from crdtsync.documents.ops import Op
from crdtsync.documents.settling import Decision
from crdtsync.documents.state import RecordState
from crdtsync.policy import CollectionPolicy
from crdtsync.replica import editing, outbox
from crdtsync.replica.file import ReplicaFile
from crdtsync_server.simulation.book import Book
from crdtsync_server.simulation.model import Accepted
from crdtsync_server.storage import group


class Decided:
    """Ops as the server decided them: its log does not tell all that they named."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, int], tuple[Op, CollectionPolicy]] = {}

    def put(self, op: Op, received_us: int, policy: CollectionPolicy) -> None:
        """A decision, of a group that may still fail."""
        self._found[op.op_id, received_us] = op, policy

    def accepted(self, op_id: str, seq: int, received_us: int) -> Accepted | None:
        """The op behind an entry of the log."""
        found = self._found.get((op_id, received_us))
        return None if found is None else Accepted(found[0], seq, received_us, found[1])


@contextmanager
def watched(
    book: Book, decided: Decided, device_of: Callable[[ReplicaFile], str]
) -> Iterator[None]:
    """Watch replicas and server while the block runs."""
    append, edited_op, decide = outbox.append, editing.edited_op, settling.decide

    def append_and_note(file: ReplicaFile, op: Op, now_us: int) -> None:
        book.made(op, device_of(file))
        append(file, op, now_us)

    def edit_and_note(file: ReplicaFile, *args: Any, **more: Any) -> Op:
        op = edited_op(file, *args, **more)
        book.made(op, device_of(file))
        return op

    def decide_and_note(
        state: RecordState, op: Op, policy: CollectionPolicy, **more: Any
    ) -> Decision:
        decision = decide(state, op, policy, **more)
        decided.put(op, more["received_us"], policy)
        return decision

    with ExitStack() as stack:
        stack.enter_context(patch.object(outbox, "append", append_and_note))
        stack.enter_context(patch.object(editing, "edited_op", edit_and_note))
        stack.enter_context(patch.object(group, "decide", decide_and_note))
        yield
