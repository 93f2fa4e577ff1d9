"""The version of a record over HTTP: ETag, If-Match, `version`.

It names the newest entry of the record's log that the reader may know of, and
a part of that entry's digest. So it stays the same while only hidden fields are
written, and one from before the server was restored from a backup is noticed:
there another entry, or none, stands at that place. Roles that see more, or less,
make another version: the same entry then stands for another answer.
"""

from __future__ import annotations

import hashlib
import re

from crdtsync.documents.state import RecordState
from crdtsync.documents.versions import Basis, Version
from crdtsync_server.problems import Problem
from crdtsync_server.rest.looking import Look

DIGEST_CHARS = 8
"""Of the digest within a version. It guards against a mix-up, not against an attacker,
who could not do more with a forged version than without one."""

_FORM = re.compile(r"(\d{1,16})-([0-9a-f]{8})", re.ASCII)

NEVER = "0-00000000"
"""The version of a record that nobody wrote yet, as far as the reader may know."""


def version_at(look: Look, seq: int) -> str:
    """The version of a record whose newest known entry is at ``seq``."""
    head = look.head_of(seq) if seq else None
    return NEVER if head is None else f"{seq}-{_part(look, head.digest)}"


def _part(look: Look, digest: bytes) -> str:
    mark = look.sight.seen.mark
    shown = hashlib.sha256(digest + mark.encode()).digest() if mark else digest
    return shown.hex()[:DIGEST_CHARS]


def entity_tag(version: str) -> str:
    """The version as an ETag."""
    return f'"{version}"'


def basis_of(look: Look, state: RecordState, text: str) -> Basis:
    """What the reader of version ``text`` had seen of this record.

    Raises Problem: 400 for what is no version, 412 for one of another record or log.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise Problem(
            400, "bad_version", f"{text[:80]!r} is not a version; pass the record's ETag unchanged"
        )
    seq = int(found[1])
    if text == NEVER:
        return Basis(Version(0))
    head = look.head_of(seq) if 0 < seq <= look.head_seq else None
    if (
        head is None
        or (head.collection, head.record) != (state.collection, state.record)
        or _part(look, head.digest) != found[2]
        or not look.may_know(head)
    ):
        raise Problem(
            412,
            "stale_version",
            "this version is not one of this record on this server (it may have been restored "
            "from a backup) or not one of what your roles see now; read the record again",
        )
    return Basis(Version(seq))
