"""The one string inside an item: what the author of an entry wrote, as JSON text.

The text is ``[<value>,<time_us>,"<user>","<op_id>"]`` without a space. The value
stands first and is copied in as it is, so the same entry gives the same bytes
on every side; it is taken out again untouched, as the slice of the text that
the first element covers, never parsed and written anew.
"""

from __future__ import annotations

import re
from functools import lru_cache
from json.encoder import encode_basestring
from typing import NamedTuple

import msgspec

from crdtsync.documents.errors import InvalidOp
from crdtsync.documents.ops import SAFE_INTEGER, DeleteMark, is_op_id

# Reads the frame and checks the JSON syntax of the value, which it leaves as bytes.
_FRAME = msgspec.json.Decoder(tuple[msgspec.Raw, int, str, str])

# Sums of counters may grow beyond what one delta may hold; the bound keeps the
# conversion to an integer, which is quadratic, cheap.
_DELTA = re.compile(r'-?(0|[1-9][0-9]{0,999})|"-?[0-9]{1,999}(\.[0-9]{1,999})?"')


class Content(NamedTuple):
    """What the text says."""

    value: str
    time_us: int
    user: str
    op_id: str


_quoted = lru_cache(maxsize=4_096)(encode_basestring)
"""The same few users come again and again."""

_is_plain_ascii = re.compile(r'"[ !#-\[\]-~]*"').fullmatch

_FRAME_BYTES = len('[,9007199254740991,,"00000000-0000-4000-8000-000000000000"]')


@lru_cache(maxsize=4_096)
def _quoted_size(user: str) -> int:
    try:
        return len(_quoted(user).encode())
    except UnicodeEncodeError as error:
        raise InvalidOp("bad_op", "the user holds half a character (a lone surrogate)") from error


def content_text(value: str, time_us: int, user: str, op_id: str) -> str:
    """The text of an entry."""
    return f'[{value},{time_us},{_quoted(user)},"{op_id}"]'


def content_bytes(value: str, time_us: int, user: str, op_id: str) -> bytes:
    """The text as UTF-8. Raises UnicodeEncodeError for lone surrogates."""
    return f'[{value},{time_us},{_quoted(user)},"{op_id}"]'.encode()


def read_content(text: bytes) -> Content:
    """Take the text apart; the value comes back exactly as it was written.

    Raises ValueError for another form and for bytes that are not UTF-8.
    """
    try:
        value, time_us, user, op_id = _FRAME.decode(text)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from error
    return Content(bytes(value).decode(), time_us, user, op_id)


def check_content(root: str, content: Content) -> None:
    """Refuse what no reader could make sense of, whatever the policy says.

    Raises InvalidOp.
    """
    if not 0 <= content.time_us <= SAFE_INTEGER:
        raise InvalidOp("bad_op", f"{root}: the time {content.time_us} is out of range")
    if root[0] == "c" and _DELTA.fullmatch(content.value) is None:
        raise InvalidOp("wrong_type", f"{root}: a counter holds integers or decimals")
    if root[0] == "d":
        DeleteMark.parse(content.value)


def plain_size(root: str, value: str, time_us: int, user: str) -> int:
    """At most how many bytes the text of an entry has that is plain to see; 0 for another.

    For entries under the id of an op, which is as plain itself (``is_op_id``). Plain is a
    text that can be read in one way only, which needs no parser to see: a string of
    printable characters without quote and backslash, which most values are. A lone surrogate
    is not printable. Raises InvalidOp for one in the user's name.
    """
    if root[0] not in "rs" or not 0 <= time_us <= SAFE_INTEGER:
        return 0
    if _is_plain_ascii(value) is not None:
        return _FRAME_BYTES + _quoted_size(user) + len(value)
    if (
        value.count('"') == 2
        and value[0] == '"' == value[-1]
        and value.isprintable()
        and "\\" not in value
    ):
        return _FRAME_BYTES + _quoted_size(user) + 4 * len(value)
    return 0


def written_content(root: str, value: str, time_us: int, user: str, op_id: str) -> bytes:
    """The text of a new entry, refused unless it can be read back.

    Raises InvalidOp: an item that our own decoder would refuse must not come
    into being, because it would make the whole document unreadable.
    """
    try:
        text = content_bytes(value, time_us, user, op_id)
        if plain_size(root, value, time_us, user) and is_op_id(op_id):
            return text
        content = read_content(text)
    except ValueError as error:
        raise InvalidOp("not_json", f"{root}: the value is not JSON text ({error})") from error
    if content.value != value:
        raise InvalidOp("not_canonical", f"{root}: the value is not in canonical form")
    check_content(root, content)
    return text
