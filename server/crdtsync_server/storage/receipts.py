"""What is known of an op that was accepted: its receipt and what it touched."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping

import msgspec

from crdtsync.documents.errors import InvalidOp
from crdtsync.documents.state import LogEntry
from crdtsync.policy import Policy, Visibility
from crdtsync.protocol.messages import Receipt
from crdtsync_server.storage.keys import SEQ_BITS, in_chunks, position, uuid_bytes
from crdtsync_server.work import Origin

ENTRY_ENCODER = msgspec.msgpack.Encoder()
ENTRY_DECODER = msgspec.msgpack.Decoder(LogEntry)


class Accepted(msgspec.Struct, frozen=True, gc=False):
    """An op that is in the log, or is in the group at hand and will be.

    Of one that was read (``find_accepted``) the entry has no values and no removals.
    """

    space_id: int
    content_digest: bytes
    entry: LogEntry

    @property
    def receipt(self) -> Receipt:
        """The answer to the op's author, the same each time (invariant 3)."""
        entry = self.entry
        return Receipt(entry.op_id, entry.seq, entry.received_us, entry.outcomes)

    def wrote(self, space_id: int, collection: str, record: str, root: str) -> bool:
        """Whether the op put entries into this field of this record."""
        entry = self.entry
        return (
            self.space_id == space_id
            and entry.record == record
            and entry.collection == collection
            and root in entry.outcomes
        )


def first_receipt(known: Accepted, content: bytes, space_id: int) -> Receipt:
    """What the op got when it was accepted (invariant 3). Raises InvalidOp."""
    if known.content_digest != content or known.space_id != space_id:
        raise InvalidOp("op_id_reused", "another op was accepted under this op_id; write it anew")
    return known.receipt


def find_accepted(
    connection: sqlite3.Connection, statement: str, keys: Iterable[bytes]
) -> dict[bytes, Accepted]:
    """The committed ops among ``keys`` (16 bytes each).

    Thousands may be asked for at once, and each may hold half a megabyte: what they wrote is
    not kept.
    """
    found: dict[bytes, Accepted] = {}
    for placeholders, chunk in in_chunks(list(keys)):
        for key, place, digest, entry in connection.execute(
            statement.replace("/*ids*/", placeholders), chunk
        ):
            told = msgspec.structs.replace(ENTRY_DECODER.decode(entry), writes={}, removed=())
            found[key] = Accepted(place >> SEQ_BITS, digest, told)
    return found


def read_receipts(
    connection: sqlite3.Connection,
    sql: Mapping[str, str],
    origin: Origin,
    op_ids: Iterable[str],
    policy: Policy,
) -> list[Receipt]:
    """The receipts that exist in the origin's space, in the order asked for.

    The author gets the whole receipt. To anyone else outcomes of hidden fields are left
    out, and the receipt of an op of which nothing may be read exists only for the device
    that sent it: there another user's op may wait to hear of it.
    """
    row = connection.execute(sql["find_space"], (origin.space,)).fetchone()
    if row is None:
        return []
    keys = list(dict.fromkeys(map(uuid_bytes, op_ids)))
    found = find_accepted(connection, sql["find_receipts"], keys)
    known = (found.get(key) for key in keys)
    here = [one for one in known if one is not None and one.space_id == row[0]]
    seen = policy.visibility(origin.roles)
    if seen.is_full:
        return [one.receipt for one in here]
    shown = (_shown(connection, sql, one, origin, seen) for one in here)
    return [receipt for receipt in shown if receipt is not None]


def _shown(
    connection: sqlite3.Connection,
    sql: Mapping[str, str],
    one: Accepted,
    origin: Origin,
    seen: Visibility,
) -> Receipt | None:
    entry = one.entry
    if entry.user == origin.user:
        return one.receipt
    outcomes = {
        root: outcome
        for root, outcome in entry.outcomes.items()
        if seen.may_read(entry.collection, root)
    }
    if not outcomes:
        key = (origin.replica_id, position(one.space_id, entry.seq))
        if connection.execute(sql["was_sent_by"], key).fetchone() is None:
            return None
    return msgspec.structs.replace(one.receipt, outcomes=outcomes)
