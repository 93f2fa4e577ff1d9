"""Who may see what in a world: nothing hidden leaves the server, and devices hold the rest."""

from __future__ import annotations

import msgspec

from crdtsync.documents.ops import DELETION_ROOT
from crdtsync.protocol.codec import decode_server
from crdtsync.protocol.messages import Changes, History, SnapshotPage, Welcome
from crdtsync.replica.file import ReplicaFile
from crdtsync_server.simulation.book import Broken
from crdtsync_server.simulation.model import Moment
from crdtsync_server.simulation.rules import POLICIES, hidden_from

PERMISSIONS = 12
"""Told as an invariant of its own: a field that a user may not read never leaves the server."""


_HOLDS = (("records", "state"), ("seen", "entry"), ("lost", "state"))
"""Where a replica's file keeps what it got from a server. What its own people wrote (the
outbox, and own accepted ops) stays."""


class Permissions:
    """Looks into every frame for fields that the connection's user may not read."""

    def __init__(self) -> None:
        self._hidden: dict[int, frozenset[str]] = {}
        self._mark_of: dict[str, str | None] = {}

    def frame_left_server(self, frame: bytes, connection: int) -> None:
        """Look at a frame. Raises Broken."""
        if frame[1:9] == b"\xa7welcome":
            welcome = decode_server(frame)
            assert isinstance(welcome, Welcome)
            self._hidden[connection] = hidden_from(welcome.policy_version, welcome.roles)
            return
        hidden = self._hidden.get(connection)
        if not hidden:
            return
        message = decode_server(frame)
        if isinstance(message, Changes | History):
            for entry in message.entries:
                told = msgspec.msgpack.encode(entry)
                _look(told, hidden, f"the entry {entry.seq}")
        elif isinstance(message, SnapshotPage):
            for row in message.rows:
                _look(msgspec.msgpack.encode(row), hidden, f"the snapshot of {row.record}")

    def on_device(self, name: str, file: ReplicaFile) -> None:
        """From the welcome on nothing that is hidden now is on the device. Raises Broken."""
        mark = file.text("view")
        if self._mark_of.get(name) == mark:
            return
        self._mark_of[name] = mark
        hidden = hidden_on(file)
        for table, column in _HOLDS if hidden else ():
            rows = file.connection.execute(
                f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL"
            )
            for (data,) in rows:
                _look(data, hidden, f"{table} of {name}")


def _look(told: bytes, hidden: frozenset[str], what: str) -> None:
    found = [root for root in hidden if root.encode() in told]
    if found:
        raise Broken(PERMISSIONS, f"{what} tells of {found}, which its reader may not see")


def hidden_on(file: ReplicaFile) -> frozenset[str]:
    """The roots that a device may not hold, by the roles and the policy of its last welcome.

    The mark says which version of the policy that was: a newer one may have been
    adopted since, and is followed when the server has sent the records anew.
    """
    mark = file.text("view")
    if not mark:
        return frozenset()
    roles = frozenset(msgspec.json.decode(file.text("view_roles") or "[]", type=list[str]))
    for policy in POLICIES:
        if policy.visibility(roles).mark == mark:
            return hidden_from(policy.version, roles)
    raise Broken(PERMISSIONS, f"a device sees in a way that no policy gives: {mark}")


def seen_of(moment: Moment | None, hidden: frozenset[str]) -> Moment | None:
    """How a record stands for who may not see these roots; None where nothing of it is seen."""
    if moment is None or not hidden:
        return moment
    if not moment.deleted and not moment.has_entries - hidden - {DELETION_ROOT}:
        return None
    standing = {root: what for root, what in moment.standing.items() if root not in hidden}
    return moment._replace(standing=standing)
