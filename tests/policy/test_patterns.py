"""Patterns: a language whose work is bounded, and which means what Python means."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.policy.patterns import BadPattern, safe_pattern


@pytest.mark.parametrize(
    ("pattern", "fits", "breaks"),
    [
        (r"\d{2,3}-\d{3,4}-\d{4}", "010-1234-5678", "0101-1234-5678"),
        (r"[^@ ]+@[^@ ]+\.[^@ ]+", "a.b@c.d.kr", "a@b"),
        (r"[가-힣]{2,10}", "홍길동", "Hong"),
        (r"(?:\d{1,3})(?:,\d{3})*", "1,234,567", "1,23"),
        (r"[A-Z]+-\d+", "ICD-10", "ICD10"),
        (r"(?:mg|ml|IU)?", "", "g"),
        (r"\+?\d+(\.\d{1,2})?", "+1.50", "1."),
        (r"[\w.\-]+/\d", "a-b.c/1", "a b/1"),
        (r"[^\d]", "a", "1"),
        (r"a{3}b{2,}", "aaabbb", "aabb"),
        (r"(ab){2}", "abab", "ab"),
        ("", "", "a"),
        ("a|b|", "", "c"),
    ],
)
def test_ordinary_patterns_are_taken(pattern: str, fits: str, breaks: str) -> None:
    compiled = safe_pattern(pattern, 100)
    assert compiled.fullmatch(fits)
    assert not compiled.fullmatch(breaks)


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        ("(a+)+b", "nested quantifiers"),
        ("(a*)*", "nested quantifiers"),
        ("((ab)*c)*", "nested quantifiers"),
        ("(?:(?:a|a)b)*", "nested quantifiers"),
        ("(?:a?){30}a{30}", "nested quantifiers"),
        ("(a|aa)+", "repeats a choice"),
        (r"\d*\d*\d*x", "too many ways"),
        (".*.*.*", "too many ways"),
        ("a?" * 30 + "a" * 30, "too many ways"),
        (r"(\d+)\1", "unknown escape"),
        ("(?=a)", "special meaning"),
        ("(?P<n>a)", "special meaning"),
        ("(?i)a", "special meaning"),
        ("^a", "the whole text is always matched"),
        ("a$", "the whole text is always matched"),
        (r"a\b", "unknown escape"),
        ("a\\", "unknown escape"),
        ("a+?", "quantifier after a quantifier"),
        ("a**", "quantifier after a quantifier"),
        ("*a", "nothing to apply to"),
        ("(a", 'without its ")"'),
        ("a)", 'without its "("'),
        ("[a", 'without its "]"'),
        ("[]", "empty class"),
        ("[z-a]", "run upwards"),
        (r"[\d-z]", "run upwards"),
        ("[[a]", "bare"),
        ("[a--b]", '"--"'),
        ("[a&&b]", '"&&"'),
        ("a{,3}", "no quantifier"),
        ("a{x}", "no quantifier"),
        ("a{3,2}", "n below m"),
        ("a{1001}", "too large"),
        ("a" * 201, "longer than 200"),
        ("(" * 60 + "a" + ")" * 60, "groups inside groups"),
    ],
)
def test_a_pattern_that_is_dear_or_unusual_is_refused_with_a_cure(pattern: str, what: str) -> None:
    with pytest.raises(BadPattern) as raised:
        safe_pattern(pattern, 200)
    assert what in f"{raised.value.what} {raised.value.cure}"
    assert raised.value.cure.endswith(".")


def test_a_smaller_max_length_makes_a_pattern_affordable() -> None:
    pattern = "[a-z]*[a-y]*b"
    with pytest.raises(BadPattern, match="max_length"):
        safe_pattern(pattern, 500)
    assert safe_pattern(pattern, 50)


_atoms = st.sampled_from(
    ["a", "b", ".", "[ab]", "[^a]", r"\d", r"\w", "(?:ab)", "(?:a|b)", "(a?b)"]
)
_quantifiers = st.sampled_from(["", "", "?", "*", "+", "{2}", "{1,3}", "{2,}"])
_patterns = st.lists(
    st.tuples(_atoms, _quantifiers).map("".join) | st.just("|"), min_size=1, max_size=8
).map("".join)


@given(_patterns, st.text("ab1", max_size=6))
def test_what_is_taken_means_what_python_means(pattern: str, text: str) -> None:
    try:
        compiled = safe_pattern(pattern, 20)
    except BadPattern:
        return
    assert bool(compiled.fullmatch(text)) == bool(re.fullmatch(pattern, text, re.ASCII))


@given(_patterns, st.sampled_from(["a", "b", "ab", "a1", "aab"]))
def test_what_is_taken_never_takes_long(pattern: str, unit: str) -> None:
    length = 400
    try:
        compiled = safe_pattern(pattern, length)
    except BadPattern:
        return
    text = (unit * length)[: length - 1] + "!"
    started = time.perf_counter()
    compiled.fullmatch(text)
    assert time.perf_counter() - started < 0.5
