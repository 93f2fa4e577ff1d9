"""Is what a server sends possible at all?

A replica trusts its server for the data. But a broken one, or something else
that answers at its address, must not leave values on the device that make it
unusable: a text that is no JSON, a time that no later write can follow, a place
in the log that the next hello is refused for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from crdtsync.documents.errors import InvalidOp
from crdtsync.documents.ops import (
    MAX_ID_BYTES,
    MAX_VALUES,
    SAFE_INTEGER,
    check_identifier,
    is_op_id,
)
from crdtsync.documents.state import FOLD_PREFIX, LogEntry, StoredOp, Stub
from crdtsync.protocol.errors import ProtocolError
from crdtsync.protocol.messages import Landmark, Paging, Receipt, SnapshotRow

MAX_SERVER_TIME_US = 2**52
"""The year 2112. Stamps follow effective times, and must have room left to do so."""

DIGEST_BYTES = 16

_is_json = msgspec.json.Decoder(msgspec.Raw).decode
_NOT_JSON = (msgspec.MsgspecError, RecursionError, UnicodeError)


def check_place(place: Landmark | LogEntry | Stub) -> None:
    """A seq and a digest of some log; raises ProtocolError."""
    if not 0 <= place.seq <= SAFE_INTEGER or len(place.digest) > DIGEST_BYTES:
        raise ProtocolError(
            f"(seq {place.seq}, a digest of {len(place.digest)} bytes) is not a place in a log"
        )


def check_paging(paging: Paging | None) -> None:
    """Where to page on; raises ProtocolError."""
    if paging is not None and not all(
        0 <= number <= SAFE_INTEGER + 1 for number in (paging.head, paging.before, paging.after)
    ):
        raise ProtocolError(f"{paging} is not a place in paging")


def check_entries(entries: Iterable[LogEntry | Stub]) -> None:
    """Log entries; raises ProtocolError."""
    for entry in entries:
        check_place(entry)
        if entry.op_id is not None:
            _check_entry_id(entry.op_id, 0)
        if isinstance(entry, LogEntry):
            _check_names(entry.collection, entry.record)
            _check_times(entry.time_us, entry.received_us, entry.effective_us)
            for values in entry.writes.values():
                _check_entry_id(entry.op_id, max(len(values) - 1, 0))
                for value in values:
                    _check_json(value)


def check_receipts(receipts: Iterable[Receipt]) -> None:
    """Places and times of accepted ops; raises ProtocolError.

    One below the first seq would be covered by any cursor: the op would leave the
    queue for a place of no log, and no server would ever be offered it again.
    """
    for receipt in receipts:
        if not 1 <= receipt.seq <= SAFE_INTEGER:
            raise ProtocolError(f"a receipt names seq {receipt.seq}, which is in no log")
        _check_times(0, receipt.received_us, 0)


def check_rows(rows: Iterable[SnapshotRow]) -> None:
    """Records of a page of snapshots; raises ProtocolError.

    A first sync asks this of every value there is, so what all entries of an op have in
    common is asked once, and nothing is called where a comparison does.
    """
    collection: str | None = None
    for row in rows:
        record, stored = row.record, row.stored
        # A short text of printable ASCII is a name; ids that come once fill no cache here.
        is_plain = len(record) <= MAX_ID_BYTES and record.isascii() and record.isprintable()
        if not (is_plain and record and row.collection == collection):
            _check_names(row.collection, record)
            collection = row.collection
        if not 0 <= stored.updated_us <= MAX_SERVER_TIME_US:
            _check_times(0, stored.updated_us, 0)
        folded = _check_ops(stored.ops)
        count = len(stored.ops)
        for root, values in stored.values.items():
            for one in values:
                if one.op >= count:
                    raise ProtocolError(
                        f"a record names {count} ops, and a value of {root} is of op {one.op}"
                    )
                if not 0 <= one.n < MAX_VALUES:
                    _check_entry_id(stored.ops[one.op].op_id, one.n)
                if folded and one.op in folded and root[:2] != "c/":
                    _check_entry_id(stored.ops[one.op].op_id, one.n)
                try:
                    _is_json(one.value)
                except _NOT_JSON as error:
                    raise ProtocolError(f"a value is not JSON: {error}") from error


def _check_ops(ops: Sequence[StoredOp]) -> set[int]:
    """Ops that a record names. Gives the places of those that only a counter may have: sums."""
    folded = set()
    for place, op in enumerate(ops):
        if op.op_id.startswith(FOLD_PREFIX):
            folded.add(place)
        else:
            _check_entry_id(op.op_id, 0)
        if not (0 <= op.time_us <= SAFE_INTEGER and 0 <= op.effective_us <= MAX_SERVER_TIME_US):
            _check_times(op.time_us, 0, op.effective_us)
    return folded


def _check_names(collection: str, record: str) -> None:
    """A record that nobody could ask for by its name must not stand in a list."""
    try:
        check_identifier(collection, "collection")
        check_identifier(record, "record id")
    except InvalidOp as error:
        raise ProtocolError(f"the server names a record that cannot be: {error}") from error


def _check_entry_id(op_id: str, n: int) -> None:
    """What a later write supersedes has to have a name that servers take."""
    if not is_op_id(op_id) or not 0 <= n < MAX_VALUES:
        raise ProtocolError(f"({op_id[:64]!r}, {n}) does not name an entry")


def _check_times(time_us: int, received_us: int, effective_us: int) -> None:
    possible = (
        0 <= time_us <= SAFE_INTEGER
        and 0 <= received_us <= MAX_SERVER_TIME_US
        and 0 <= effective_us <= MAX_SERVER_TIME_US
    )
    if not possible:
        raise ProtocolError(f"{time_us}, {received_us}, {effective_us} are not times of an op")


def _check_json(value: str) -> None:
    try:
        _is_json(value)
    except _NOT_JSON as error:
        raise ProtocolError(f"a value is not JSON: {error}") from error
