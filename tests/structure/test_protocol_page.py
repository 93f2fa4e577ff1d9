"""PROTOCOL.md tells what the code does: every message with its fields, every close code."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from crdtsync.documents.ops import Op
from crdtsync.documents.state import (
    LogEntry,
    Outcome,
    Removal,
    StoredOp,
    StoredRecord,
    StoredValue,
    Stub,
    Why,
)
from crdtsync.protocol import admission, client_session, close_codes, messages, server_session

PAGE = (Path(__file__).parents[2] / "crdtsync/protocol/PROTOCOL.md").read_text(encoding="utf-8")
TABLED = [*get_args(messages.ClientMessage), *get_args(messages.ServerMessage)]


def fields_of(kind: type) -> list[str]:
    """The wire fields of a message, in order."""
    return [field.encode_name for field in msgspec.structs.fields(kind)]


@pytest.mark.parametrize("kind", TABLED, ids=lambda kind: str(kind.__name__))
def test_every_message_stands_on_the_page_with_its_fields_in_order(kind: type) -> None:
    tag = kind.__struct_config__.tag  # type: ignore[attr-defined]
    rows = [
        line for line in PAGE.splitlines() if re.match(rf"\| (`ping`, )?`{re.escape(tag)}`", line)
    ]
    if tag == "ping":
        rows = [line for line in PAGE.splitlines() if line.startswith("| `ping`, `pong`")]
    assert rows, f"{tag} is missing"
    if tag not in ("ping", "pong"):
        assert rows[0].split("|")[2].strip() == ", ".join(fields_of(kind))


@pytest.mark.parametrize("kind", get_args(messages.Answer), ids=lambda kind: str(kind.__name__))
def test_every_answer_stands_on_the_page(kind: type) -> None:
    tag = kind.__struct_config__.tag  # type: ignore[attr-defined]
    text = ", ".join([f'"{tag}"', *fields_of(kind)])
    assert f"[{text}]" in re.sub(r"\s+", " ", PAGE)


def test_log_entries_and_stubs_are_written_out() -> None:
    flat = re.sub(r"\s+", " ", PAGE)
    assert f"[1, {', '.join(fields_of(LogEntry))}]" in flat
    assert f"[0, {', '.join(fields_of(Stub))}]" in flat


@pytest.mark.parametrize(
    "kind",
    [
        Op,
        Removal,
        StoredOp,
        StoredValue,
        messages.PushedOp,
        messages.EarlierAttempt,
        messages.OutboxSummary,
        messages.Landmark,
        messages.Paging,
    ],
    ids=lambda kind: str(kind.__name__),
)
def test_every_part_is_written_out_with_its_fields_in_order(kind: type) -> None:
    assert f"[{', '.join(fields_of(kind))}]" in re.sub(r"\s+", " ", PAGE)


def test_a_record_of_a_snapshot_is_written_out() -> None:
    stored = f"[{', '.join(fields_of(StoredRecord))}]"
    assert f"`[collection, record, {stored}]`" in PAGE


def test_the_bounds_that_end_a_connection_are_told_as_they_are() -> None:
    flat = re.sub(r"\s+", " ", PAGE)
    timeouts_us = {server_session.HELLO_TIMEOUT_US, client_session.HELLO_TIMEOUT_US}
    assert timeouts_us == {10_000_000}
    assert "within 10 s of the opening (4008)" in flat
    assert f"at most {admission.MAX_LANDMARKS} landmarks and {admission.MAX_PREVIOUS_RUNS} " in flat
    assert f"at most {admission.MAX_TEXT_CHARS} characters, `view` has at most " in flat
    assert f"`view` has at most {admission.MAX_VIEW_CHARS} (`bad_hello`)" in flat
    assert f"At most {server_session.MAX_REQUESTS_IN_FLIGHT} requests" in flat
    assert f"at most {server_session.MAX_ACKNOWLEDGED_OPS:,} of them a message" in flat
    assert f"at most {server_session.MAX_REPORTS_PER_MINUTE} reports in a minute" in flat
    assert client_session.ANSWER_SILENCES == 3
    assert "three times `limits.silence_ms` (`ANSWER_SILENCES`)" in flat
    assert f"{messages.Limits().frame_bytes // 2**20} MiB" in flat


@pytest.mark.parametrize("word", [*get_args(Why), *get_args(Outcome)])
def test_every_reason_and_outcome_is_explained(word: str) -> None:
    assert f"`{word}`" in PAGE


def test_every_close_code_stands_on_the_page() -> None:
    listed = dict(re.findall(r"^\| (\d{4}) \| (\w+) \|", PAGE, re.M))
    assert listed == {str(code): name for code, name in close_codes.NAMES.items()}


def test_the_wire_schema_has_not_changed_without_the_protocol_version() -> None:
    # What version 1 was when it was published. Fields may be added at the end
    # (with defaults); anything else needs a new version.
    published = {
        "hello": 15,
        "push": 2,
        "welcome": 11,
        "changes": 1,
        "answers": 2,
        "snapshots": 5,
    }
    for kind in TABLED:
        tag = kind.__struct_config__.tag
        if tag in published:
            assert len(fields_of(kind)) >= published[tag]
    assert messages.PROTOCOL_VERSION == 1
