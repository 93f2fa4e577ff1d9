"""Where a page of ops ended, as the reader carries it: ``next``, then ``after``.

A page ends at the last op that was shown, and is named by it. Where so much lay in between that
the walk ended before it found anything to show, the place is that of something hidden: it
goes out sealed, so that it tells nothing and can be handed back only.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.fernet import Fernet, InvalidToken

from crdtsync.documents.ops import is_op_id
from crdtsync_server.storage.keys import uuid_bytes, uuid_text

LARGEST_ID = 1 << 62

_SEALED = "~"
_SEAL = Fernet(Fernet.generate_key())
"""Of this process: a sealed place ends with it, and the reader begins anew."""


class BadQuestion(ValueError):
    """A question that has no answer; the message says how to ask."""


def sealed(*numbers: int) -> str:
    """A place that is not to be read."""
    text = ".".join(map(str, numbers))
    return _SEALED + _SEAL.encrypt(text.encode()).decode()


def opened(after: str) -> tuple[int, int] | None:
    """The two numbers of a sealed place; None for a place that is not sealed. Raises
    BadQuestion."""
    if not after.startswith(_SEALED):
        return None
    try:
        first, _, second = _SEAL.decrypt(after.removeprefix(_SEALED)).decode().partition(".")
    except (InvalidToken, ValueError):
        raise _no_place(after) from None
    return int(first), int(second)


@dataclass(frozen=True, slots=True)
class InRecord:
    """Where to go on among the ops of a record."""

    space_id: int = 0
    refused: bytes | None = None
    """Behind this one of the ops that the space did not accept; they come first."""
    seq: int = 0
    """Behind this entry of the log; 0: from the newest on."""
    hidden: bool = False
    """Whether that entry may be one of which the reader knows nothing."""

    def __str__(self) -> str:
        if self.hidden:
            return sealed(self.space_id, self.seq)
        return f"{self.space_id}.{self.seq if self.refused is None else uuid_text(self.refused)}"


def place_in_record(after: str | None) -> InRecord:
    """Where to go on. Raises BadQuestion."""
    if after is None:
        return InRecord()
    hidden = opened(after)
    if hidden is not None:
        return InRecord(hidden[0], seq=hidden[1], hidden=True)
    space_id, _, place = after.partition(".")
    if is_op_id(place):
        return InRecord(_number(space_id, after), uuid_bytes(place))
    return InRecord(_number(space_id, after), seq=_number(place, after))


@dataclass(frozen=True, slots=True)
class InRequests:
    """Where to go on among the ops of a user's pushes."""

    request: int = LARGEST_ID
    """The row of the push."""
    key: bytes | None = None
    """Behind this one of its ops; None: from its first on, and not to be read."""

    def __str__(self) -> str:
        if self.key is None:
            return sealed(self.request, 0)
        return f"{self.request}.{uuid_text(self.key)}"


def place_in_requests(after: str | None) -> InRequests:
    """Where to go on. Raises BadQuestion."""
    if after is None:
        return InRequests()
    hidden = opened(after)
    if hidden is not None:
        return InRequests(hidden[0])
    request, _, op_id = after.partition(".")
    return InRequests(_number(request, after), place_in_request(op_id, after))


def place_in_request(op_id: str, after: str) -> bytes:
    """The op to go on behind. Raises BadQuestion."""
    if not is_op_id(op_id):
        raise _no_place(after)
    return uuid_bytes(op_id)


def _number(text: str, after: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise _no_place(after)
    return int(text)


def _no_place(after: str) -> BadQuestion:
    return BadQuestion(f"{after[:64]!r} is no place to go on from; leave `after` out")
