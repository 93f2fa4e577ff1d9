"""Bugs that are put into the product on purpose, to see that the fuzzer finds each.

Only a child that was started with ``--plant`` has them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any

BUGS: dict[str, Callable[[], None]] = {}


def plant(name: str) -> None:
    """Break the product of this process."""
    BUGS[name]()


def _bug(make: Callable[[], None]) -> Callable[[], None]:
    BUGS[make.__name__.strip("_")] = make
    return make


def _swap(where: str, make: Callable[[Any], Any]) -> None:
    """Put ``make(what stands there)`` in the place of ``module:name`` or ``module:Class.name``."""
    module, _, path = where.partition(":")
    *holders, name = path.split(".")
    holder: Any = import_module(module)
    for one in holders:
        holder = getattr(holder, one)
    setattr(holder, name, make(getattr(holder, name)))


# ── codec ───────────────────────────────────────────────────────────────────


@_bug
def _codec_lets_errors_through() -> None:
    """Invalid UTF-8 and depth are no ProtocolError any more."""

    def make(whole: Any) -> Any:
        def raw(error: Exception) -> Exception:
            if isinstance(error, UnicodeDecodeError | RecursionError):
                return TypeError(str(error))
            found: Exception = whole(error)
            return found

        return raw

    _swap("crdtsync.protocol.codec:_unreadable", make)


# ── server ──────────────────────────────────────────────────────────────────


@_bug
def _refused_op_digs_graves() -> None:
    """What an op superseded is buried before the op is judged to the end."""
    keys = import_module("crdtsync_server.storage.keys")

    def make(check: Any) -> Any:
        def dig_first(self: Any, space_id: int, op: Any, decision: Any) -> Any:
            head = next(iter(self._cache.heads.values()))
            missing = [
                (keys.uuid_bytes(seen.op_id), root, seen.n) for root, seen in decision.unseen
            ]
            place = keys.position(space_id, head.seq + 1)
            self._graves.dig(missing, place, op.collection, op.record)
            return check(self, space_id, op, decision)

        return dig_first

    _swap("crdtsync_server.storage.group:Group._check_unseen", make)


@_bug
def _half_an_op_is_accepted() -> None:
    """Of an op that writes several fields the last one is left out."""
    structs = import_module("msgspec").structs

    def make(whole: Any) -> Any:
        def half(op: Any, decision: Any, **more: Any) -> Any:
            entry = whole(op, decision, **more)
            kept = dict(list(entry.writes.items())[:-1] or entry.writes.items())
            return structs.replace(entry, writes=kept)

        return half

    _swap("crdtsync_server.storage.group:log_entry", make)


@_bug
def _reused_ids_are_not_noticed() -> None:
    """The same op_id with other content gets the receipt of the first."""

    class Always(bytes):
        def __eq__(self, other: object) -> bool:
            return True

        def __ne__(self, other: object) -> bool:
            return False

        __hash__ = bytes.__hash__

    structs = import_module("msgspec").structs

    def make(find: Any) -> Any:
        def found(*args: Any) -> Any:
            return {
                key: structs.replace(one, content_digest=Always(one.content_digest))
                for key, one in find(*args).items()
            }

        return found

    _swap("crdtsync_server.storage.group:find_accepted", make)


@_bug
def _supersedes_is_not_checked() -> None:
    """An entry of another field or record may be superseded."""
    _swap("crdtsync_server.storage.receipts:Accepted.wrote", lambda wrote: lambda *args: True)


@_bug
def _a_push_spoils_its_group() -> None:
    """A time below zero raises what nobody expects."""

    def make(check: Any) -> Any:
        def brittle(op: Any) -> None:
            if op.time_us < 0:
                raise KeyError(op.time_us)
            check(op)

        return brittle

    _swap("crdtsync_server.storage.group:check_op", make)


@_bug
def _deep_values_hang() -> None:
    """A deep value is looked at for ever."""

    def make(depth: Any) -> Any:
        def slow(text: str, field: str) -> None:
            while text.startswith("[[["):
                pass
            depth(text, field)

        return slow

    _swap("crdtsync.policy.canonical:_check_depth", make)


@_bug
def _answers_pile_up() -> None:
    """Each frame leaves a megabyte behind."""
    kept: list[bytes] = []

    def make(decode: Any) -> Any:
        def hoard(frame: Any) -> Any:
            kept.append(b"x" * 1_048_576)
            return decode(frame)

        return hoard

    _swap("crdtsync_server.connection:decode_client", make)


# ── replica ─────────────────────────────────────────────────────────────────


@_bug
def _nonsense_empties_the_outbox() -> None:
    """Any answer drops its op."""

    def drop(file: Any, answers: Any, **more: Any) -> Any:
        for answer in answers:
            file.run("drop_op", answer.op_id)
        return set()

    _swap("crdtsync.replica.outbox:store_answers", lambda store: drop)


@_bug
def _receipts_are_believed() -> None:
    """A receipt may name a place in no log."""
    _swap(
        "crdtsync.protocol.client_session:check_receipts",
        lambda check: lambda receipts: None,
    )


# ── documents ───────────────────────────────────────────────────────────────


@_bug
def _foreign_bytes_reach_pycrdt() -> None:
    """What our decoder refuses is tried by pycrdt."""
    pycrdt = import_module("pycrdt")

    def make(decode: Any) -> Any:
        def lenient(data: bytes, **more: Any) -> Any:
            try:
                return decode(data, **more)
            except Exception:
                pycrdt.Doc().apply_update(data)
                raise

        return lenient

    _swap("crdtsync.documents.document:decode_update", make)


@_bug
def _bytes_in_order_of_arrival() -> None:
    """Equal documents are not equal bytes."""
    codes = import_module("crdtsync.documents.client_codes")

    def unsorted(sections: Any, deleted: Any) -> bytes:
        if not sections and not deleted:
            return b""
        parts = [codes.varint(len(sections)), *sections.values(), codes.varint(len(deleted))]
        return b"".join(parts) + b"".join(
            codes.client_code(number) + b"\x01\x00\x01" for number in deleted
        )

    _swap("crdtsync.documents.items:write_update", lambda write: unsorted)


@_bug
def _encoder_counts_characters() -> None:
    """Lengths of texts are characters, as in pycrdt's own Encoder."""
    codes = import_module("crdtsync.documents.client_codes")

    def make(write: Any) -> Any:
        def miscounted(number: int, root: str, key: str, content: bytes) -> bytes:
            section: bytes = write(number, root, key, content)
            right = codes.varint(len(content))
            wrong = codes.varint(len(content.decode()))
            head: bytes = section[: -len(content) - len(right)]
            return b"".join((head, wrong, content))

        return miscounted

    for where in ("encoder", "items", "decoder"):
        _swap(f"crdtsync.documents.{where}:value_section", make)


# ── policy and import ───────────────────────────────────────────────────────


@_bug
def _patterns_are_not_bounded() -> None:
    """Patterns go to Python's matcher as they are."""

    patterns = import_module("crdtsync.policy.patterns")

    def unsafe(pattern: str, max_length: int | None) -> re.Pattern[str]:
        try:
            return re.compile(pattern, re.ASCII)
        except (re.error, OverflowError, RecursionError, Warning):
            raise patterns.BadPattern("it does not compile", "Correct it.") from None

    for where in ("field_loading", "fields"):
        _swap(f"crdtsync.policy.{where}:safe_pattern", lambda safe: unsafe)


@_bug
def _import_trips_over_a_line() -> None:
    """A line that is no JSON object ends the command with a traceback."""

    def make(read: Any) -> Any:
        def brittle(number: int, text: str) -> Any:
            line = read(number, text)
            if line.problem is not None:
                raise IndexError(number)
            return line

        return brittle

    _swap("crdtsync.cli.importing.lines:_json_line", make)
