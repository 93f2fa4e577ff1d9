"""What the device remembers of attempts without success (protocol/earlier.py).

Only ops that failed have any: an op that is accepted at the first attempt costs nothing.
All functions run inside a transaction of the caller.
"""

from __future__ import annotations

import msgspec

from crdtsync.protocol.earlier import remember
from crdtsync.protocol.messages import EarlierAttempt
from crdtsync.replica.file import ReplicaFile

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(tuple[EarlierAttempt, ...])


def read_earlier(data: bytes | None) -> tuple[EarlierAttempt, ...]:
    """The column ``earlier`` of an outbox row."""
    return () if data is None else _DECODER.decode(data)


def note_attempt(
    file: ReplicaFile,
    op_id: str,
    request_id: str | None,
    sent_us: int | None,
    earlier: tuple[EarlierAttempt, ...],
    ended: str,
) -> None:
    """The last attempt of an op had no success: remember how it ended.

    Nothing happens for an op that was never sent, or by a version that did not note when.
    """
    if request_id is not None and sent_us is not None:
        kept = remember(earlier, EarlierAttempt(request_id, sent_us, ended))
        file.run("set_earlier", _ENCODER.encode(kept), op_id)


def end_sending(file: ReplicaFile, ended: str) -> None:
    """What was on its way has no answer: it is pending again (invariant 3 makes that safe)."""
    for op_id, request_id, sent_us, earlier in file.all("being_sent"):
        note_attempt(file, op_id, request_id, sent_us, read_earlier(earlier), ended)
    file.run("sending_is_pending")
