"""Yjs updates that look like ours: sections taken apart, changed and put together again."""

from __future__ import annotations

from random import Random

from crdtsync.documents.client_codes import varint
from crdtsync.documents.content import content_bytes
from crdtsync.documents.encoder import (
    Mark,
    mark_section,
    tombstone_section,
    value_section,
)
from crdtsync.documents.identity import client_id
from crdtsync.documents.ops import EntryId
from tests.fuzz.bad_frames import spoil_bytes
from tests.fuzz.bad_ops import ROOTS, VALUES
from tests.fuzz.hostile import bad_id, new_id, number, text
from tests.fuzz.rules import GOOD_VALUES

# Structs of the Yjs v1 format that our encoder never writes: garbage collected,
# skipped, JSON, binary, text, embed, format, type, nested document.
FOREIGN = (
    b"\x00\x01",
    b"\x00\x00",
    b"\x0a\x05",
    b"\x02\x01\x01a\x01\x01\x7b",
    b"\x03\x01\x01a\x02ab",
    b"\x04\x01\x01a\x02hi",
    b"\x05\x01\x01a\x02{}",
    b"\x06\x01\x01a\x01b\x04true",
    b"\x07\x01\x01a\x01",
    b"\x09\x01\x01a\x01x\x76\x00",
    b"\x28\x01\x01a\x01k\x01\x75\x01" * 3,
    b"\x28\x01\x01a\x01k\x01" + b"\x75\x01" * 2_000 + b"\x7e",
    b"\x28\x01\x01a\x01k\x01\x76\xff\xff\xff\xff\x0f",
    b"\xa8\x01\x00\x01\x77\x01x",
)


class Forger:
    """Makes updates from a good one; ``forged`` is right in form as often as not."""

    def __init__(self, draw: Random) -> None:
        self.draw = draw

    def good_section(self) -> tuple[int, bytes]:
        """What our encoder writes for some entry, be it of this record or not."""
        draw = self.draw
        collection, name = draw.choice(list(GOOD_VALUES))
        shape = draw.choice("rcs")
        root = draw.choice((f"{shape}/{name}", draw.choice(ROOTS)))
        entry_id = EntryId(new_id(draw), draw.choice((0, 0, 1, 999)) if shape == "s" else 0)
        value = draw.choice((*GOOD_VALUES[collection, name], draw.choice(VALUES)))
        return self.section(root, entry_id, value)

    def section(self, root: str, entry_id: EntryId, value: str) -> tuple[int, bytes]:
        """One item, with at most one thing about it that our encoder would not write."""
        draw = self.draw
        key = entry_id.op_id if not entry_id.n else f"{entry_id.op_id}.{entry_id.n}"
        code = client_id(root, entry_id)
        user, time_us, op_id = "kim", 1_700_000_000_000_000, entry_id.op_id
        match draw.randrange(14):
            case 0:
                key = draw.choice((bad_id(draw, key), text(draw), f"{key}.0", f"{key}.-1"))
            case 1:
                code = draw.choice((0, 1, code ^ 1, 2**53 - 1, 2**53, 2**63))
            case 2:
                user = text(draw)
            case 3:
                time_us = number(draw)
            case 4:
                op_id = new_id(draw)
            case _:
                pass
        try:
            if draw.random() < 0.25:
                return code, _coded(tombstone_section, code, root, key)
            content = content_bytes(value, time_us, user, op_id)
            if draw.random() < 0.05:
                content = spoil_bytes(draw, content)
            return code, _coded(value_section, code, root, key, content)
        except (UnicodeEncodeError, ValueError):
            return code, b"\x01\x00"

    def mark(self) -> tuple[int, bytes]:
        """An as-of mark."""
        return mark_section(Mark(self.draw.choice((None, 1, 7, 2**53))))

    def forged(self, own: list[tuple[int, bytes]], dead: list[int]) -> bytes:
        """An update of sections of a document and of others, in some order."""
        draw = self.draw
        sections = list(own)
        deleted = list(dead)
        for _ in range(draw.randrange(4)):
            sections.append(self.good_section())
        for _ in range(draw.choice((0, 1, 1, 2))):
            self._change(sections, deleted)
        if draw.random() < 0.8:
            sections = sorted(dict(sections).items(), reverse=True)
            deleted = sorted(set(deleted), reverse=True)
        count = len(sections) if draw.random() < 0.95 else abs(number(draw))
        parts = [varint(count), *(section for _, section in sections)]
        parts.append(varint(len(deleted) if draw.random() < 0.95 else abs(number(draw))))
        for code in deleted:
            parts.append(varint(code) + (b"\x01\x00\x01" if draw.random() < 0.95 else b"\x01\x00"))
        data = b"".join(parts)
        return spoil_bytes(draw, data) if draw.random() < 0.25 else data

    def _change(self, sections: list[tuple[int, bytes]], deleted: list[int]) -> None:
        draw = self.draw
        at = draw.randrange(len(sections)) if sections else 0
        match draw.randrange(8):
            case 0 if sections:
                sections.append(sections[at])
            case 1 if sections:
                del sections[at]
            case 2 if sections:
                sections[at] = sections[at][0], spoil_bytes(draw, sections[at][1])
            case 3:
                sections.append(self.mark())
            case 4:
                code = draw.choice((1, draw.getrandbits(53)))
                sections.append((code, b"\x01" + varint(code) + b"\x00" + draw.choice(FOREIGN)))
            case 5 if sections:
                deleted.append(sections[at][0])
            case 6 if deleted:
                deleted.remove(draw.choice(deleted))
            case _:
                deleted.append(draw.getrandbits(53) or 1)


def _coded(write: object, code: int, *rest: object) -> bytes:
    """A section under any client id, those that no varint of ours holds included."""
    assert callable(write)
    if 0 < code < 2**53:
        return bytes(write(code, *rest))
    plain = bytes(write(1, *rest))
    return plain[:1] + varint(code) + plain[2:]
