"""Operations: one atomic write by one user to one record.

An op is a plain value. It names what it writes, field by field, and the
entries that each write replaces. A field is known here by its *root*, the name
of its map in the document: ``r/phone`` (register), ``c/visits`` (counter),
``s/tags`` (set), and ``d/`` for the register that says whether the record is
deleted. The shape is part of the name, so a field that changes its shape never
meets entries of its former life.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

import msgspec

from crdtsync.documents.errors import InvalidOp

DELETION_ROOT = "d/"
SAFE_INTEGER = 2**53 - 1

# Bounds of one op (invariant 9). They leave room for a form with every field a
# policy may have, and keep the worst op far below the frame limit.
MAX_FIELDS = 256
MAX_VALUES = 1_000
MAX_SUPERSEDES = 4_000
MAX_DELETE_BASE = 10_000
"""Ops that a delete may name as seen: the pending edits of one record."""
MAX_ID_BYTES = 256
MAX_OP_BYTES = 512 * 1024

_UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_is_uuid4 = _UUID4.fullmatch
# C0/C1 controls, line separators and surrogates have no place in an identifier.
_BAD_IN_ID = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class EntryId(NamedTuple):
    """An entry within its field: the op that wrote it and its place in that op."""

    op_id: str
    n: int


class FieldWrite(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What an op does to one field.

    ``values`` are canonical JSON texts, one new entry each (entry ``n`` is
    ``values[n]``). ``supersedes`` are the entries that the writer had seen and
    that this write replaces; fixed when written, but for inheritance.
    """

    values: tuple[str, ...]
    supersedes: tuple[EntryId, ...] = ()


class Op(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """One atomic write. ``op_id`` is the idempotency key (UUID v4)."""

    op_id: str
    user: str
    collection: str
    record: str
    time_us: int
    """The writer's hybrid logical clock, microseconds since 1970 (documents/clock.py)."""
    writes: dict[str, FieldWrite]
    replaces: str | None = None
    """The op_id that this op was edited from: for people, never for merging."""

    @property
    def is_delete(self) -> bool:
        """Whether this op deletes its record (a restore is not a delete)."""
        write = self.writes.get(DELETION_ROOT)
        return write is not None and DeleteMark.parse(write.values[0]).deleted


class DeleteMark(msgspec.Struct, frozen=True, omit_defaults=False):
    """The value of the deletion register: deleted or not, and what the person had seen.

    ``seq`` is the confirmed state that the delete was based on, ``ops`` the
    own pending ops (in a document without a server: every visible op).
    """

    deleted: bool
    ops: tuple[str, ...] = ()
    seq: int = 0

    def text(self) -> str:
        """Canonical JSON, the content of the entry."""
        return _MARK_ENCODER.encode(self).decode()

    @classmethod
    def parse(cls, text: str) -> DeleteMark:
        """Read an entry of the deletion register; raises InvalidOp."""
        try:
            mark = _MARK_DECODER.decode(text)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise InvalidOp("bad_delete", f"the deletion mark is not readable: {error}") from error
        if mark.text() != text:
            raise InvalidOp("bad_delete", "the deletion mark is not in canonical form")
        return mark

    def covering(self) -> Callable[[int, str], bool]:
        """Tells of an op, by its seq and op_id, whether the person who deleted had seen it.

        A mark may name thousands, and as many are asked about.
        """
        named = frozenset(self.ops)
        return lambda seq, op_id: 0 < seq <= self.seq or op_id in named


_MARK_ENCODER = msgspec.json.Encoder()
_MARK_DECODER = msgspec.json.Decoder(DeleteMark)
_DIGEST_ENCODER = msgspec.msgpack.Encoder(order="deterministic")


def is_op_id(text: str) -> bool:
    """Whether ``text`` is a UUID v4 in its canonical lower-case spelling."""
    return _is_uuid4(text) is not None


@lru_cache(maxsize=4_096)
def check_identifier(text: str, what: str) -> None:
    """Refuse names that cannot be stored, shown or compared safely."""
    if not text:
        raise InvalidOp("bad_record_id", f"the {what} is empty; give it a name")
    if _BAD_IN_ID.search(text):
        raise InvalidOp(
            "bad_record_id", f"the {what} {text!r} holds a control character; leave it out"
        )
    if len(text.encode()) > MAX_ID_BYTES:
        raise InvalidOp(
            "bad_record_id",
            f"the {what} is longer than {MAX_ID_BYTES} bytes; use a shorter one",
        )


@lru_cache(maxsize=4_096)
def _check_names(user: str, collection: str, record: str) -> None:
    check_identifier(user, "user")
    check_identifier(collection, "collection")
    check_identifier(record, "record id")


def content_digest(op: Op) -> bytes:
    """16 bytes over everything that makes the op what it is.

    ``supersedes`` is left out because inheritance may extend it between two
    attempts, and ``replaces`` because it changes nothing (invariant 3).
    """
    writes = {root: write.values for root, write in op.writes.items()}
    content = _DIGEST_ENCODER.encode((op.user, op.collection, op.record, op.time_us, writes))
    return hashlib.blake2b(content, digest_size=16).digest()


def check_op(op: Op) -> None:
    """Refuse an op that is malformed in itself, whatever the policy says."""
    check_written(op)
    check_superseded(op)


def check_written(op: Op) -> None:
    """The half of ``check_op`` that looks at everything but the entries which are replaced.

    It is enough where those are found to be here: what is here was checked when it came.
    """
    op_id, writes = op.op_id, op.writes
    if _is_uuid4(op_id) is None:
        raise InvalidOp("bad_op", f"the op_id {op_id[:64]!r} is not a UUID v4")
    if op.replaces is not None and not is_op_id(op.replaces):
        raise InvalidOp("bad_op", "`replaces` is not a UUID v4")
    _check_names(op.user, op.collection, op.record)
    if not 0 <= op.time_us <= SAFE_INTEGER:
        raise InvalidOp("bad_op", f"the time {op.time_us} is outside 0 to 2^53-1 microseconds")
    if not 0 < len(writes) <= MAX_FIELDS:
        raise InvalidOp("bad_op", f"an op writes 1 to {MAX_FIELDS} fields, not {len(writes)}")
    if len(writes) > 1 and DELETION_ROOT in writes:
        raise InvalidOp("bad_delete", "a delete or restore writes nothing else")
    size_bytes = 0
    for root, write in writes.items():
        values = write.values
        if _shape_of(root) != "r" or len(values) != 1:
            # Nothing of this can be wrong with one value in a register.
            _check_shape(root, write)
        for value in values:
            size_bytes += len(value) if value.isascii() else _bytes_of(value)
    if size_bytes > MAX_OP_BYTES:
        raise InvalidOp("too_large", f"the op holds {size_bytes} bytes; split it")


def check_superseded(op: Op) -> None:
    """The other half of ``check_op``: what the op replaces."""
    op_id = op.op_id
    for root, write in op.writes.items():
        count = len(write.supersedes)
        if count > MAX_SUPERSEDES:
            raise InvalidOp("too_large", f"{root}: too many elements in one op; split it")
        if count > 1 and len(set(write.supersedes)) != count:
            raise InvalidOp("bad_supersedes", f"{root}: an entry is superseded twice")
        for seen_id, n in write.supersedes:
            if _is_uuid4(seen_id) is None or not 0 <= n < MAX_VALUES:
                raise InvalidOp("bad_supersedes", f"{root}: {seen_id[:64]!r} is not an entry's id")
            if seen_id == op_id:
                raise InvalidOp("bad_supersedes", f"{root}: an op cannot supersede itself")


def _bytes_of(value: str) -> int:
    try:
        return len(value.encode())
    except UnicodeEncodeError as error:
        raise InvalidOp("bad_op", "a value holds half a character (a lone surrogate)") from error


@lru_cache(maxsize=4_096)
def _shape_of(root: str) -> str:
    """``r``, ``c``, ``s`` or ``d``. Raises InvalidOp, and remembers good roots only, which
    are short."""
    shape, slash, name = root.partition("/")
    if not slash or shape not in ("r", "c", "s", "d") or bool(name) == (shape == "d"):
        raise InvalidOp("wrong_shape", f"{root[:80]!r} is not the root of a field")
    check_identifier(root, "field")
    return shape


def _check_shape(root: str, write: FieldWrite) -> None:
    """Refuse values, or a lack of them, that the shape of the field does not have."""
    shape = _shape_of(root)
    count = len(write.values)
    if shape in "rcd" and count != 1:
        raise InvalidOp("wrong_shape", f"{root}: one value is written at a time, not {count}")
    if shape == "c" and write.supersedes:
        raise InvalidOp("bad_supersedes", f"{root}: a counter's deltas replace nothing")
    if shape == "s" and not count and not write.supersedes:
        raise InvalidOp("wrong_shape", f"{root}: nothing is added and nothing removed")
    if count > MAX_VALUES:
        raise InvalidOp("too_large", f"{root}: too many elements in one op; split it")
    if shape == "d":
        mark = DeleteMark.parse(write.values[0])
        if len(mark.ops) > MAX_DELETE_BASE or not 0 <= mark.seq <= SAFE_INTEGER:
            raise InvalidOp("bad_delete", "the base of the delete is out of bounds")
        if not all(is_op_id(seen) for seen in mark.ops):
            raise InvalidOp("bad_delete", "the base of the delete names something else than ops")
