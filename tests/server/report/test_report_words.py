"""Numbers as people read them, and texts that hold in both languages."""

from __future__ import annotations

import re

import pytest

from crdtsync.catalogue.wording import placeholders
from crdtsync_server.report.words import (
    TEXTS,
    age_words,
    duration_words,
    share_words,
    size_words,
)
from crdtsync_server.report.words_of_measures import MEASURES
from crdtsync_server.report.words_of_page import PAGE

PARTICLE = re.compile(r"\}(을|를|이|가|은|는|와|과|로|으로|이에요|예요|라|이라)(\s|$|[.,!?])")


def test_no_text_hides_another() -> None:
    assert MEASURES.keys().isdisjoint(PAGE)
    assert len(TEXTS) > len(MEASURES) + len(PAGE)


@pytest.mark.parametrize("key", TEXTS)
def test_both_languages_are_filled_with_the_same_and_no_particle_stands_at_a_variable(
    key: str,
) -> None:
    words = TEXTS[key]
    assert placeholders(words.ko) <= placeholders(words.en) or key == "device_behind"
    assert not PARTICLE.search(words.ko)


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0, "0 %"),
        (1, "100 %"),
        (0.5, "50 %"),
        (0.0025, "0.25 %"),
        (0.123456, "12.3 %"),
        (0.99999, "99.999 %"),
        (0.000_000_1, "< 0.0001 %"),
        (0.999_999_9, "> 99.9999 %"),
    ],
)
def test_a_share_is_never_rounded_to_nothing_or_all(share: float, words: str) -> None:
    assert share_words(share) == words


@pytest.mark.parametrize(
    ("seconds", "duration", "age"),
    [
        (0, "0 s", "0 s"),
        (0.0042, "4.2 ms", "0 s"),
        (1.25, "1.2 s", "1 s"),
        (60, "60 s", "1 min"),
        (7_200, "2 h", "2 h"),
        (86_400 * 3, "3 days", "3 days"),
        (86_400, "1 day", "1 day"),
    ],
)
def test_times_have_the_unit_that_fits(seconds: float, duration: str, age: str) -> None:
    assert (duration_words(seconds, "en"), age_words(seconds, "en")) == (duration, age)


def test_sizes_are_in_thousands() -> None:
    assert [size_words(n) for n in (0, 999, 1_500, 20_000_000, 3e12)] == [
        "0 B",
        "999 B",
        "1.5 kB",
        "20 MB",
        "3 TB",
    ]
