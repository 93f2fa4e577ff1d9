"""The version of a record over HTTP: ETag, If-Match, `version`.

It names the newest entry of the record's log that the reader may know of, and
a part of a digest of that entry and of what is hidden from them. So it stays the
same while only hidden fields are written, one from before the server was restored
from a backup is noticed (there another entry, or none, stands at that place), and
so is one from before a role changed: at its place other fields were to be seen.
"""

from __future__ import annotations

import hashlib
import re

from crdtsync.documents.state import RecordState
from crdtsync.documents.versions import Basis, Version
from crdtsync_server.problems import Problem
from crdtsync_server.rest.looking import LogHead, Look

DIGEST_CHARS = 8
"""Of the digest within a version. It guards against a mix-up, not against an attacker,
who could not do more with a forged version than without one."""

_FORM = re.compile(r"(\d{1,16})-([0-9a-f]{8})", re.ASCII)

NEVER = "0-00000000"
"""The version of a record that nobody wrote yet, as far as the reader may know."""


def version_at(look: Look, seq: int) -> str:
    """The version of a record whose newest known entry is at ``seq``."""
    head = look.head_of(seq) if seq else None
    return NEVER if head is None else f"{seq}-{_digest(look, head)}"


def _digest(look: Look, head: LogHead) -> str:
    seen = look.sight.seen
    if head.collection not in seen.hiding:
        return head.digest.hex()[:DIGEST_CHARS]
    hidden = sorted(root for name, root in seen.hidden_roots if name == head.collection)
    text = "\n".join(hidden).encode()
    return hashlib.blake2b(head.digest + text, digest_size=DIGEST_CHARS // 2).hexdigest()


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
        or not look.may_know(head)
        or _digest(look, head) != found[2]
    ):
        raise Problem(
            412,
            "stale_version",
            "this version is not one of this record on this server (it may have been restored "
            "from a backup, or your roles have changed); read the record again",
        )
    return Basis(Version(seq))
