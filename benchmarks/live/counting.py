"""Counting what arrives without decoding it: how often a marker occurs in a stream of pieces."""

from __future__ import annotations


class Occurrences:
    """How often ``marker`` occurred, also where it lies across the border of two pieces.

    The marker must not overlap itself: no beginning of it is an end of it.
    """

    __slots__ = ("_border", "_carry", "marker", "seen")

    def __init__(self, marker: bytes) -> None:
        if any(marker[:size] == marker[-size:] for size in range(1, len(marker))):
            raise ValueError(f"{marker!r} overlaps itself")
        self.marker = marker
        self.seen = 0
        self._border = len(marker) - 1
        self._carry = b""

    def add(self, piece: bytearray, size: int) -> int:
        """Count in the first ``size`` bytes of ``piece``; returns how many there were.

        Only what lies across the border is copied: a marker fits into neither side of it.
        """
        border = self._border
        found = piece.count(self.marker, 0, size)
        found += (self._carry + piece[: min(border, size)]).count(self.marker)
        if size >= border:
            self._carry = bytes(piece[size - border : size])
        else:
            self._carry = (self._carry + bytes(piece[:size]))[-border:]
        self.seen += found
        return found
