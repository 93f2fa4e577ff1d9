"""Frames that are not what they should be: wrong types and members, wrong bytes."""

from __future__ import annotations

from random import Random

import msgspec

from tests.fuzz.hostile import RAW, Tree, anything, number, text

TAGS = (
    *("hello", "push", "head?", "receipts?", "cursor", "acknowledged", "snapshots?", "history?"),
    *("ping", "pong", "welcome", "refused", "changes", "answers", "head", "receipts", "snapshots"),
    *("history", "goodbye", "receipt", "held", "transient", "", "HELLO", "push\x00"),
)

_ENCODER = msgspec.msgpack.Encoder()


def packed(tree: Tree) -> bytes:
    """The bytes of a tree; of one that cannot be told, of something that can."""
    try:
        return _ENCODER.encode(tree)
    except (UnicodeEncodeError, OverflowError, ValueError, TypeError, RecursionError):
        return b"\x91\xc0"


def spoil_tree(draw: Random, tree: Tree) -> bytes:
    """Change some members of a message, whatever their types should be."""
    for _ in range(draw.choice((1, 1, 1, 2, 4))):
        tree = _changed(draw, tree)
    return packed(tree)


def _changed(draw: Random, tree: Tree) -> Tree:
    places = _places(tree)
    if not places or draw.random() < 0.03:
        return anything(draw)
    holder, key = draw.choice(places)
    match draw.randrange(10):
        case 0 | 1 | 2 | 3:
            holder[key] = _other(draw, holder[key])
        case 4:
            del holder[key]
        case 5 if isinstance(holder, list):
            holder.insert(key, anything(draw))
        case 6 if isinstance(holder, list):
            holder.extend(anything(draw) for _ in range(draw.choice((1, 2, 300))))
        case 7 if isinstance(holder, list):
            other = draw.randrange(len(holder))
            holder[key], holder[other] = holder[other], holder[key]
        case 8:
            _, other_key = other_place = draw.choice(places)
            if other_place[0] is not holder:
                holder[key] = _shallow(other_place[0][other_key])
        case _:
            holder[key] = [holder[key]] if draw.random() < 0.5 else {"a": holder[key]}
    return tree


def _other(draw: Random, value: Tree) -> Tree:
    """Another value, mostly of the same type: those come further."""
    if draw.random() < 0.35:
        return anything(draw)
    if isinstance(value, bool) or value is None:
        return draw.choice((True, False, None))
    if isinstance(value, int):
        return draw.choice((number(draw), value + 1, value - 1, -value))
    if isinstance(value, str):
        return draw.choice((text(draw), draw.choice(TAGS), value + "x", value[:-1], value.upper()))
    if isinstance(value, bytes):
        return draw.choice((b"", value[:-1], value + b"x", bytes(reversed(value)), b"x" * 100_000))
    if isinstance(value, list):
        return draw.choice(([], value * 2, value[:-1], list(reversed(value))))
    return draw.choice((draw.choice(RAW), {}, [], value))


def _shallow(value: Tree) -> Tree:
    """A copy that never makes a tree hold itself."""
    return msgspec.Raw(packed(value)) if isinstance(value, list | dict) else value


def _places(tree: Tree) -> list[tuple[Tree, Tree]]:
    """Every (holder, key) in a tree, breadth first and bounded."""
    places: list[tuple[Tree, Tree]] = []
    queue = [tree]
    while queue and len(places) < 300:
        holder = queue.pop(0)
        members = (
            list(enumerate(holder))
            if isinstance(holder, list)
            else list(holder.items())
            if isinstance(holder, dict)
            else []
        )
        for key, value in members:
            places.append((holder, key))
            if isinstance(value, list | dict):
                queue.append(value)
    return places


def spoil_bytes(draw: Random, frame: bytes) -> bytes:
    """Flip, cut, repeat, join: what a broken network card or a fuzzer does."""
    data = bytearray(frame)
    for _ in range(draw.choice((1, 1, 2, 5, 20))):
        at = draw.randrange(len(data)) if data else 0
        match draw.randrange(8):
            case 0 | 1 if data:
                data[at] = draw.randrange(256)
            case 2 if data:
                data[at] ^= 1 << draw.randrange(8)
            case 3:
                del data[at:]
            case 4:
                del data[at : at + draw.randrange(9)]
            case 5:
                data[at:at] = draw.randbytes(draw.randrange(1, 9))
            case 6:
                data[at:at] = draw.choice(RAW)
            case _:
                data[at:at] = data[: draw.randrange(40)]
    if draw.random() < 0.1:
        data += frame
    return bytes(data)
