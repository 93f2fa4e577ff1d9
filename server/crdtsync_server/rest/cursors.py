"""Where a page ended: opaque to clients, checked when it comes back."""

from __future__ import annotations

import base64
import binascii
from typing import Any, TypeVar

import msgspec

from crdtsync_server.problems import Problem

T = TypeVar("T")


def write_cursor(*parts: Any) -> str:
    """A cursor that ``read_cursor`` reads again."""
    return base64.urlsafe_b64encode(msgspec.msgpack.encode(parts)).decode().rstrip("=")


def read_cursor(text: str, kind: type[T]) -> T:
    """The parts of a cursor. Raises Problem 400."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return msgspec.msgpack.decode(data, type=kind)
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
        raise Problem(
            400, "bad_cursor", "`after` is not the `next` of a page; leave it out to begin anew"
        ) from None
