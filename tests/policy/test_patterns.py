"""Patterns: a language whose work is bounded, and which means what Python means."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crdtsync.policy.limits import MAX_PATTERN_STEPS
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


@pytest.mark.timeout(60)  # all of them take a second, and one that backtracks takes for ever
@given(_patterns, st.sampled_from(["a", "b", "ab", "a1", "aab"]))
def test_what_is_taken_never_takes_long(pattern: str, unit: str) -> None:
    length = 400
    try:
        compiled = safe_pattern(pattern, length)
    except BadPattern:
        return
    text = (unit * length)[: length - 1] + "!"
    compiled.fullmatch(text)


@given(st.text("ab-\\[](){}|?*+.^$,0129&~ dwsDWStnr:/!#P<=é\u2028", max_size=12))
def test_whatever_is_taken_is_a_pattern_of_python_too(pattern: str) -> None:
    # Warnings are errors here: what Python may read otherwise one day is refused too.
    with contextlib.suppress(BadPattern):
        assert safe_pattern(pattern, 20).flags & re.ASCII


@pytest.mark.parametrize(
    ("pattern", "max_length"),
    [
        # Each repetition has to run to the end of its characters, which the next one ends.
        (r"[^ab]*a" * 9, 200),
        (r"[^a-zc]*d" * 9, 200),
        (r"[^\x]*\x".replace("\\x", "/") * 9, 200),
        (r"\D*\d" * 9, 200),
        (r"\S* " * 9, 200),
        (r"\W*a" * 9, 200),
        (".*\n" * 9, 200),
        ("[^\U0010ffff]*\U0010ffff" * 5, 200),
        ("[^a\U0010ffff]*a" * 9, 200),
        ("a*b?c", 200),
        ("(ab*)(cd*)(ef*)", 500),
        ("a{2}a{2}a{2}a{2}", 500),
        ("(?:a|b)c*" * 3, 500),
    ],
)
def test_parts_that_cannot_be_confused_cost_nothing(pattern: str, max_length: int) -> None:
    assert safe_pattern(pattern, max_length)


@pytest.mark.parametrize(
    "pattern",
    [
        r"[^ab]*c" * 5,
        r"[^a-zc]*é" * 5,
        r"\D*a" * 5,
        r"\w*_" * 5,
        r"\s*\n" * 5,
        ".*\r" * 5,
        "(ab?|c*)*",
        "(?:ab){2,}" * 9,
        "a{0,9}" * 9,
        "(a)?" * 20 + "b",
        "(b?a*)" * 5,
    ],
)
def test_parts_that_can_be_confused_are_too_dear(pattern: str) -> None:
    with pytest.raises(BadPattern):
        safe_pattern(pattern, 400)


def test_the_bound_of_steps_is_exact() -> None:
    assert 512 * (2_039 + len("a{0,511}a")) == MAX_PATTERN_STEPS
    assert safe_pattern("a{0,511}a", 2_039)
    with pytest.raises(BadPattern, match="too many ways"):
        safe_pattern("a{0,511}a", 2_040)
    # A text of n characters is split at one of n + 1 places; each costs at most n + 5 steps.
    fits = next(n for n in range(1_000, 1_100) if (n + 1) * (n + 5) > MAX_PATTERN_STEPS) - 1
    assert safe_pattern("a*a\\d", fits)
    with pytest.raises(BadPattern, match=f"text of {fits + 1} characters in too many ways"):
        safe_pattern("a*a\\d", fits + 1)


def test_without_a_max_length_a_text_is_taken_to_be_five_hundred_characters_long() -> None:
    with pytest.raises(BadPattern, match="text of 500 characters"):
        safe_pattern(".*.*.*", None)
    assert safe_pattern("a{0,1000}", None)
    assert safe_pattern("x" * 200, None)


def test_groups_nest_up_to_their_bound() -> None:
    assert safe_pattern("(" * 8 + "a" + ")" * 8, 20)
    with pytest.raises(BadPattern, match="too many groups"):
        safe_pattern("(" * 9 + "a" + ")" * 9, 20)
