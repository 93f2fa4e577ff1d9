"""What devices tell of attempts without success: remembered briefly, believed in nothing."""

from __future__ import annotations

import uuid

import pytest

from crdtsync.documents.ops import SAFE_INTEGER
from crdtsync.protocol.codec import decode_client, encode
from crdtsync.protocol.earlier import (
    CUT,
    MAX_EARLIER,
    MAX_REASONS,
    NO_ANSWER,
    OTHER,
    code_of,
    plausible_earlier,
    plausible_summary,
    refused,
    remember,
    transient,
)
from crdtsync.protocol.messages import CursorReport, EarlierAttempt, OutboxSummary


def attempt(ended: str = CUT, *, sent_us: int = 1, request_id: str | None = None) -> EarlierAttempt:
    return EarlierAttempt(str(uuid.uuid4()) if request_id is None else request_id, sent_us, ended)


def test_the_newest_attempts_are_remembered_and_each_stands_once() -> None:
    kept: tuple[EarlierAttempt, ...] = ()
    every = [attempt(sent_us=n) for n in range(MAX_EARLIER + 3)]
    for one in every:
        kept = remember(kept, one)
    assert kept == tuple(every[3:])
    again = attempt(NO_ANSWER, request_id=every[5].request_id)
    assert remember(kept, again) == (*every[3:5], *every[6:], again)


def test_a_server_keeps_the_newest_and_in_known_words() -> None:
    told = tuple(attempt(sent_us=n) for n in range(100))
    assert plausible_earlier(told) == told[-MAX_EARLIER:]
    assert plausible_earlier(()) == ()


@pytest.mark.parametrize(
    "ended", ["cut", "no_answer", "stopped", "held", "transient:disk_full", "refused:too_large"]
)
def test_known_endings_stay_as_they_are(ended: str) -> None:
    (kept,) = plausible_earlier((attempt(ended),))
    assert kept.ended == ended


@pytest.mark.parametrize(
    "ended",
    ["", "CUT", "cut ", "refused:", "refused:<b>", "x" * 100_000, "refused:" + "a" * 41, "\x1b[2J"],
)
def test_endings_that_nobody_knows_are_called_other(ended: str) -> None:
    (kept,) = plausible_earlier((attempt(ended),))
    assert kept.ended == OTHER


@pytest.mark.parametrize(
    "hostile",
    [
        attempt(request_id="not a uuid"),
        attempt(request_id=""),
        attempt(sent_us=-1),
        attempt(sent_us=SAFE_INTEGER + 1),
    ],
)
def test_an_attempt_that_cannot_be_is_left_out_and_the_others_stay(hostile: EarlierAttempt) -> None:
    good = attempt()
    assert plausible_earlier((hostile, good)) == (good,)


def test_one_request_that_is_told_twice_is_kept_once() -> None:
    first = attempt(CUT)
    second = attempt(NO_ANSWER, request_id=first.request_id)
    assert plausible_earlier((first, second)) == (second,)


def test_codes_of_a_server_are_codes_or_other() -> None:
    assert transient("disk_full") == "transient:disk_full"
    assert refused("not_permitted") == "refused:not_permitted"
    assert refused("<script>") == "refused:other"
    assert code_of("a" * 41) == OTHER


def test_a_summary_is_cut_to_numbers_that_count_and_codes_that_are_codes() -> None:
    reasons = {"disk_full": 2, "<script>": 1, "none": 0, "minus": -1, "huge": 2**60}
    told = OutboxSummary(-1, 2**60, 5, 0, reasons)
    assert plausible_summary(told) == OutboxSummary(0, SAFE_INTEGER, 5, 0, {"disk_full": 2})
    many = OutboxSummary(reasons={f"code_{chr(97 + n)}": 1 for n in range(20)})
    assert len(plausible_summary(many).reasons) == MAX_REASONS


def test_a_summary_of_an_older_device_has_no_reasons() -> None:
    frame = encode(CursorReport(1, OutboxSummary(2, 3)))
    older = frame[: frame.index(b"\x95")] + b"\x94\x02\x03\x00\x00"
    assert decode_client(older) == CursorReport(1, OutboxSummary(2, 3, 0, 0, {}))
