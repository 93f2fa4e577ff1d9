"""Patterns for texts, from a language small enough to bound its work.

Python's matcher backtracks: `(a+)+b` takes years on forty letters, and the server
runs the patterns of a policy on texts of strangers. So a pattern is read here
first, and refused when the number of ways to split one text is not small. What is
left also means the same in a browser (with its `u` flag and `^(?:…)$` around it).

The language: characters, `.`, classes `[a-z가-힣]`, `\\d \\w \\s` (ASCII) and their
negations, groups `(…)`, alternatives `|`, and the quantifiers `? * + {m} {m,} {m,n}`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .limits import (
    MAX_PATTERN_CHARS,
    MAX_PATTERN_NESTING,
    MAX_PATTERN_STEPS,
    MAX_PATTERN_TEXT_CHARS,
)

_LAST = 0x10FFFF
_SYNTAX = frozenset("^$\\.*+?()[]{}|/")
_MAX_REPEAT = 1_000
_QUANTIFIER = re.compile(r"\{(\d{1,4})(,?)(\d{0,4})\}", re.ASCII)

Ranges = tuple[tuple[int, int], ...]  # code points, both ends included


class BadPattern(ValueError):
    """A pattern that is not in the language or costs too much; `what` and `cure`."""

    def __init__(self, what: str, cure: str) -> None:
        self.what = what
        self.cure = cure
        super().__init__(f"{what}. {cure}")


def safe_pattern(pattern: str, max_length: int | None) -> re.Pattern[str]:
    """Compile `pattern` for `fullmatch` on texts of up to `max_length` characters.

    Without `max_length` texts are taken to have up to MAX_PATTERN_TEXT_CHARS, and
    the caller refuses longer ones. Raises BadPattern.
    """
    if len(pattern) > MAX_PATTERN_CHARS:
        raise BadPattern(
            f"the pattern is longer than {MAX_PATTERN_CHARS} characters", "Shorten it."
        )
    longest = MAX_PATTERN_TEXT_CHARS if max_length is None else max_length
    paths = _Reader(pattern).read().paths(longest, _END)
    if paths * (longest + len(pattern)) > MAX_PATTERN_STEPS:
        raise BadPattern(
            f"the pattern can split a text of {longest} characters in too many ways",
            "Set a smaller max_length, use {m,n} in place of * and +, or put a character "
            "between two repeated parts that neither of them matches.",
        )
    return re.compile(pattern, re.ASCII)


@dataclass(frozen=True, slots=True)
class _One:
    """One character out of some ranges, repeated."""

    ranges: Ranges
    least: int = 1
    most: int | None = 1

    def paths(self, longest: int, follow: Ranges | None) -> int:
        return _stops(self.least, self.most, longest, self.ranges, follow)

    @property
    def first(self) -> Ranges | None:
        """What a match must start with; None when it may be empty."""
        return self.ranges if self.least else None

    @property
    def length(self) -> int | None:
        """Characters of every match; None when matches differ."""
        return self.least if self.least == self.most else None


@dataclass(frozen=True, slots=True)
class _Sequence:
    parts: tuple[_One | _Group, ...]

    def paths(self, longest: int, follow: Ranges | None) -> int:
        total = 1
        for part in reversed(self.parts):
            total *= part.paths(longest, follow)
            follow = part.first
        return total

    @property
    def first(self) -> Ranges | None:
        return self.parts[0].first if self.parts else None

    @property
    def length(self) -> int | None:
        lengths = [part.length for part in self.parts]
        return None if None in lengths else sum(length or 0 for length in lengths)


@dataclass(frozen=True, slots=True)
class _Group:
    branches: tuple[_Sequence, ...]
    least: int = 1
    most: int | None = 1

    def paths(self, longest: int, follow: Ranges | None) -> int:
        once = sum(branch.paths(longest, follow) for branch in self.branches)
        if self.most == 1:
            return once + (1 - self.least)
        first, length = self.branches[0].first, self.branches[0].length
        if len(self.branches) > 1:
            raise BadPattern(
                "the pattern repeats a choice between alternatives",
                "Write a class such as [abc] in place of (a|b|c), or do not repeat the group.",
            )
        if not length or first is None or once != 1:
            raise BadPattern(
                "the pattern repeats a group whose own length varies (nested quantifiers)",
                "Repeat only groups of a fixed length, such as (\\d{3},)*.",
            )
        return _stops(self.least, self.most, longest // length, first, follow)

    @property
    def first(self) -> Ranges | None:
        starts = [branch.first for branch in self.branches]
        if not self.least or None in starts:
            return None
        return tuple(pair for ranges in starts if ranges for pair in ranges)

    @property
    def length(self) -> int | None:
        lengths = {branch.length for branch in self.branches}
        body = lengths.pop() if len(lengths) == 1 else None
        return body * self.least if body is not None and self.least == self.most else None


_END: Ranges = ()  # nothing follows: no character can be taken for the next part


def _stops(
    least: int, most: int | None, longest: int, ranges: Ranges, follow: Ranges | None
) -> int:
    """At how many places a repetition may stop, seen from one start.

    One, if what follows cannot start inside of it: then it has to run to the end of
    its characters. `follow` is None when that is not known.
    """
    if most is not None and most == least:
        return 1
    if follow is not None and not _overlap(ranges, follow):
        return 1
    return max(min(most if most is not None else longest, longest) - least, 0) + 1


def _overlap(one: Ranges, other: Ranges) -> bool:
    return any(a <= d and c <= b for a, b in one for c, d in other)


def _without(ranges: Ranges) -> Ranges:
    left, start = [], 0
    for low, high in sorted(ranges):
        if low > start:
            left.append((start, low - 1))
        start = max(start, high + 1)
    return (*left, (start, _LAST)) if start <= _LAST else tuple(left)


_DIGIT: Ranges = ((48, 57),)
_WORD: Ranges = ((48, 57), (65, 90), (95, 95), (97, 122))
_SPACE: Ranges = ((9, 13), (32, 32))
_ESCAPES: dict[str, Ranges] = {
    "d": _DIGIT,
    "D": _without(_DIGIT),
    "w": _WORD,
    "W": _without(_WORD),
    "s": _SPACE,
    "S": _without(_SPACE),
    "t": ((9, 9),),
    "n": ((10, 10),),
    "r": ((13, 13),),
}


class _Reader:
    """A recursive descent over the pattern's characters."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._at = 0

    def read(self) -> _Group:
        group = self._alternatives(0)
        if self._peek():
            raise self._bad('a ")" without its "("', "Remove it or write \\).")
        return group

    def _peek(self) -> str:
        return self._pattern[self._at : self._at + 1]

    def _next(self) -> str:
        found = self._peek()
        self._at += 1
        return found

    def _bad(self, what: str, cure: str) -> BadPattern:
        return BadPattern(f"the pattern has {what} at character {self._at + 1}", cure)

    def _alternatives(self, depth: int) -> _Group:
        if depth > MAX_PATTERN_NESTING:
            raise self._bad("too many groups inside groups", "Flatten it.")
        branches = []
        parts: list[_One | _Group] = []
        while (char := self._peek()) not in ("", ")"):
            if char == "|":
                self._at += 1
                branches.append(_Sequence(tuple(parts)))
                parts = []
            else:
                parts.append(self._quantified(self._part(depth)))
        return _Group((*branches, _Sequence(tuple(parts))))

    def _part(self, depth: int) -> _One | _Group:
        char = self._next()
        if char == "(":
            if self._peek() == "?":
                if not self._pattern.startswith("?:", self._at):
                    raise self._bad(
                        "a group with a special meaning", "Use only (…) and (?:…) groups."
                    )
                self._at += 2
            group = self._alternatives(depth + 1)
            if self._next() != ")":
                raise self._bad('a "(" without its ")"', "Close the group.")
            return group
        if char == "[":
            return _One(self._char_class())
        if char == "\\":
            return _One(self._escape())
        if char == ".":
            return _One(_without(((10, 10),)))
        if char in "^$":
            self._at -= 1
            raise self._bad(
                f'a "{char}"', f"Leave it out, the whole text is always matched, or write \\{char}."
            )
        if char in _SYNTAX and char != "/":
            self._at -= 1
            raise self._bad(
                f'a "{char}" with nothing to apply to', f"Write \\{char} for the character."
            )
        return _One(((ord(char), ord(char)),))

    def _quantified(self, part: _One | _Group) -> _One | _Group:
        char = self._peek()
        if char not in ("?", "*", "+", "{"):
            return part
        least, most = self._quantifier()
        if self._peek() in ("?", "*", "+", "{"):
            raise self._bad(
                "a quantifier after a quantifier", "Use one of ? * + {m} {m,} {m,n}, once."
            )
        if isinstance(part, _One):
            return _One(part.ranges, least, most)
        return _Group(part.branches, least, most)

    def _quantifier(self) -> tuple[int, int | None]:
        char = self._peek()
        if char != "{":
            self._at += 1
            return {"?": (0, 1), "*": (0, None), "+": (1, None)}[char]
        found = _QUANTIFIER.match(self._pattern, self._at)
        if found is None:
            raise self._bad('a "{" that is no quantifier', "Write {m}, {m,}, {m,n} or \\{.")
        least = int(found[1])
        most = int(found[3]) if found[3] else (None if found[2] else least)
        if (found[3] and not found[2]) or max(least, most or 0) > _MAX_REPEAT:
            raise self._bad("a count that is too large", f"Repeat at most {_MAX_REPEAT} times.")
        if most is not None and most < least:
            raise self._bad("a {m,n} with n below m", "Put the smaller count first.")
        self._at = found.end()
        return least, most

    def _escape(self) -> Ranges:
        char = self._next()
        if char in _ESCAPES:
            return _ESCAPES[char]
        if char and (char in _SYNTAX or char == "-"):
            return ((ord(char), ord(char)),)
        self._at -= 1
        raise self._bad(
            f'an unknown escape "\\{char}"',
            "Known are \\d \\w \\s \\t \\n \\r and \\ before a sign.",
        )

    def _char_class(self) -> Ranges:
        negated = self._peek() == "^"
        self._at += 1 if negated else 0
        ranges: list[tuple[int, int]] = []
        while (char := self._next()) != "]":
            if not char:
                raise self._bad('a "[" without its "]"', "Close the class.")
            low = self._class_member(char)
            if self._peek() == "-" and self._pattern[self._at + 1 : self._at + 2] not in ("]", ""):
                self._at += 1
                if self._peek() == "-":
                    raise self._bad('"--" in a class', "Name - once, as the last one.")
                high = self._class_member(self._next())
                if not low[0][0] == low[-1][1] <= high[0][0] == high[-1][1]:
                    raise self._bad(
                        "a range that does not run upwards", "Write a range like a-z, or \\- ."
                    )
                low = ((low[0][0], high[0][1]),)
            ranges.extend(low)
        if not ranges:
            raise self._bad("an empty class", "Name the characters between [ and ].")
        return _without(tuple(ranges)) if negated else tuple(ranges)

    def _class_member(self, char: str) -> Ranges:
        if char == "\\":
            return self._escape()
        if char == "[":
            raise self._bad('a bare "[" in a class', "Write \\[.")
        if char in "-&|~" and self._peek() == char:
            # Python means to give these a meaning of their own one day.
            raise self._bad(f'"{char}{char}" in a class', f"Name {char} once, as the last one.")
        return ((ord(char), ord(char)),)
