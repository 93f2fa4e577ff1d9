"""How collections read what a replica holds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crdtsync.documents.state import RecordState
from crdtsync.policy import Policy, Visibility
from crdtsync.replica.reader import View
from crdtsync.replica.shown import shown
from crdtsync.replica.store import ReplicaStore


class Looking:
    """The part of ``Replica`` that reads: at once, beside whatever is being written."""

    user: str
    _sight: tuple[Policy, Visibility] | None

    @property
    def policy(self) -> Policy:
        """The policy in force here: the newest that was passed in or came from a server."""
        return self._open_store().policy

    def _open_store(self) -> ReplicaStore:
        raise NotImplementedError

    def _open_view(self) -> View:
        raise NotImplementedError

    @property
    def sight(self) -> Visibility:
        """What this user may read, by the roles that a server gave them last."""
        policy = self.policy
        if self._sight is None or self._sight[0] is not policy:
            self._sight = (policy, self._open_view().sight_of(self.user))
        return self._sight[1]

    @property
    def log_generation(self) -> int:
        """How often versions that were told before have lost their meaning: a server was
        restored, or roles changed under which something had been hidden."""
        return self._open_view().number("log_generation")

    def read_record(self, collection: str, record_id: str) -> tuple[RecordState, str]:
        """The shown record and its sync state, from one consistent read."""
        found = shown(self._open_view(), collection, record_id)
        return found.state, found.sync_state

    def read_all(self, name: str, *values: Any) -> list[Any]:
        """Run a named query on the reading connection."""
        return self._open_view().all(name, *values)

    def read_one(self, name: str, *values: Any) -> Any:
        """Run a named query on the reading connection; its first row."""
        return self._open_view().one(name, *values)

    async def read_elsewhere(self, text: str, values: Sequence[Any]) -> list[Any]:
        """Run a long query without holding up the event loop."""
        return await self._open_store().look(
            lambda file: file.connection.execute(text, values).fetchall()
        )
