"""As much of PromQL as shows that a query is whole. promtool is not on every machine."""

from __future__ import annotations

import re
from collections.abc import Iterator

_TOKEN = re.compile(
    r'(?P<text>"(?:[^"\\]|\\.)*")|(?P<range>\[(?:\d+[smhd]|\$__rate_interval)\])'
    r"|(?P<number>\d+(?:\.\d+)?(?:e-?\d+)?)|(?P<name>[a-zA-Z_:][\w:]*)"
    r"|(?P<sign>=~|!~|!=|==|<=|>=|[-+*/<>=(){},])|(?P<space>\s+)"
)
_CLOSES = {")": "(", "}": "{"}
NEEDS_RANGE = {"rate", "increase"}
WORDS = {
    *("sum", "min", "max", "rate", "increase", "histogram_quantile", "clamp_min", "time", "abs"),
    *("by", "bool", "ignoring", "group_left", "on", "job"),
}


def mistakes(query: str) -> list[str]:
    """What is not right about a query."""
    found: list[str] = []
    open_: list[str] = []
    tokens = list(_tokens(query, found))
    if not tokens:
        found.append("there is nothing to ask for")
    for number, (kind, text) in enumerate(tokens):
        before = tokens[number - 1][1] if number else ""
        after = tokens[number + 1][1] if number + 1 < len(tokens) else ""
        if text in _CLOSES.values():
            open_.append(text)
        elif text in _CLOSES and (not open_ or open_.pop() != _CLOSES[text]):
            found.append(f"{text} closes nothing")
        if open_ and open_[-1] == "{" and text in ("=", "=~", "!=", "!~") and after[:1] != '"':
            found.append(f"a label is compared with {after}, which is no text")
        if kind == "range" and not _is_asked_over_time(tokens, number):
            found.append(f"{text} stands outside of rate or increase")
        if text in NEEDS_RANGE and after == "(" and not _has_range(tokens[number:]):
            found.append(f"{text} needs a range")
        if kind == "name" and before not in ("{", ",") and after == "(" and text not in WORDS:
            found.append(f"{text} is no function that is known here")
    if open_:
        found.append(f"{' '.join(open_)} is never closed")
    return found


def _tokens(query: str, found: list[str]) -> Iterator[tuple[str, str]]:
    place = 0
    while place < len(query):
        token = _TOKEN.match(query, place)
        if token is None:
            found.append(f"{query[place : place + 20]!r} cannot be read")
            return
        place = token.end()
        if token.lastgroup != "space":
            yield str(token.lastgroup), token[0]


def _is_asked_over_time(tokens: list[tuple[str, str]], number: int) -> bool:
    return any(text in NEEDS_RANGE for _, text in tokens[:number])


def _has_range(tokens: list[tuple[str, str]]) -> bool:
    depth = 0
    for kind, text in tokens[1:]:
        depth += (text in "({") - (text in ")}") if kind == "sign" else 0
        if kind == "range":
            return True
        if depth == 0:
            return False
    return False


def series(query: str) -> Iterator[tuple[str, set[str]]]:
    """Each metric that a query names, with the labels that it is asked by.

    Labels of ``by (…)`` count for every metric of the query.
    """
    grouped = {
        label.strip()
        for labels in re.findall(r"\b(?:by|ignoring) \(([^)]*)\)", query)
        for label in labels.split(",")
    }
    bare = re.sub(r"\b(?:by|ignoring) \([^)]*\)", " ", query)
    bare = re.sub(r'"[^"]*"', '""', bare)
    for name, labels in re.findall(r"\b([a-z_:]\w*)(?:\{([^}]*)\})?(?!\w|\s*\()", bare):
        if name in WORDS or not re.match(r"crdtsync_|process_|up$", name):
            continue
        yield name, grouped | set(re.findall(r"(\w+)\s*[=!]", labels))
