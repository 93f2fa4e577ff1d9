"""The growth benchmark in small: bytes are bounded by what the record holds."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from benchmarks.growth_writers import FIELDS
from benchmarks.record_growth import Growth, main, record_growth

ENTRY_BYTES = 150
"""At most what one entry of this record takes, its value included."""

ENTRIES = 7 + 2 * 8 + 12
"""At most: one per register, eight deltas per counter, one per tag."""


@pytest.fixture(scope="module", params=[1, 2, 20], ids="{} writers".format)
def writers(request: pytest.FixtureRequest) -> int:
    return int(request.param)


async def test_a_record_after_2_000_edits_is_as_small_as_after_100(
    tmp_path: Path, writers: int
) -> None:
    found: dict[int, Growth] = {}
    for edits in (100, 2_000):
        folder = tmp_path / str(edits)
        folder.mkdir()
        found[edits] = await record_growth(folder, writers, edits)
    assert len(FIELDS) == 10
    for one in found.values():
        assert one.good, one.mistakes
        # The same bound for both: what the record holds, not what was done to it.
        assert one.record_bytes < ENTRIES * ENTRY_BYTES
        # Written once, all values are of one op, which is named once; now each has its own.
        assert one.record_bytes < 5.5 * one.once_bytes
        assert one.document_bytes < 2.5 * one.once_document_bytes
        assert one.replica_record_bytes < 5.5 * one.once_bytes
        # A value or two per register that history still tells of.
        assert one.kept_values <= 7
        assert one.receipt_bytes_per_op < one.log_bytes_per_op
    assert found[2_000].uncompacted_bytes is not None
    assert found[2_000].uncompacted_bytes > 20 * found[2_000].document_bytes
    assert found[2_000].resolved > 0 or writers == 1


def test_the_script_prints_and_writes_its_figures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "growth.json"
    assert main(["--edits", "100", "--writers", "2", "--json", str(file)]) == 0
    said = capsys.readouterr().out
    assert "One record after many edits" in said
    assert "pycrdt" in said
    figures = json.loads(file.read_text(encoding="utf-8"))
    assert [one["edits"] for one in figures["records"]] == [100]
    assert figures["surroundings"]["cores"] > 0


def test_the_script_that_is_interrupted_shows_what_was_finished_and_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    whole = record_growth

    async def interrupted(folder: Path, writers: int, edits: int, **more: Any) -> Growth:
        if writers == 2:
            assert os.listdir(tmp_path) != []
            raise KeyboardInterrupt
        return await whole(folder, writers, edits, **more)

    monkeypatch.setattr("benchmarks.record_growth.record_growth", interrupted)
    assert main(["--edits", "100", "--writers", "1,2"]) == 130
    said = capsys.readouterr().out
    assert "Stopped" in said
    assert "One record after many edits" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["", "a", "0", "1,,2"])
def test_the_script_says_what_it_cannot_read(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--edits", text])
    assert "100,10000" in capsys.readouterr().err
