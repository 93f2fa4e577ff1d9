"""``crdtsync verify``: sound data is found sound, and each planted damage is named."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from crdtsync.database import StorageError
from crdtsync_server.operating import commands
from crdtsync_server.operating.checking import findings as bounds
from crdtsync_server.operating.checking import record_checks
from crdtsync_server.operating.checking.verifying import Verified, verify
from crdtsync_server.operating.words import KINDS, STEPS, Lang
from tests.server.operating.planted_damage import (
    ON_ROWS,
    ON_TRIMMED_ROWS,
    change_entry,
    change_record,
    replace_value,
)
from tests.server.operating.ward_data import make_data, open_ward
from tests.server.serving import write

TRIMMED_BELOW = 25


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two data folders, whole and trimmed, that tests copy."""
    folder = tmp_path_factory.mktemp("sound")
    make_data(folder / "whole")
    make_data(folder / "trimmed", trim_below=TRIMMED_BELOW)
    return folder


@contextlib.contextmanager
def tampering(path: Path) -> Iterator[sqlite3.Connection]:
    """Change a database behind its server's back."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def copy_of(sound: Path, folder: Path, name: str = "whole") -> Path:
    shutil.copytree(sound / name, folder / "data")
    return folder / "data" / "crdtsync.db"


def kinds(verified: Verified) -> set[str]:
    return set(verified.findings.counts)


# ── tests ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["whole", "trimmed"])
def test_what_the_server_wrote_is_sound(sound: Path, name: str) -> None:
    verified = verify(sound / name / "crdtsync.db")
    assert (verified.is_sound, verified.findings.told) == (True, [])
    assert [(one.name, one.head_seq) for one in verified.spaces] == [("ward-3", 38), ("ward-4", 1)]
    assert verified.records == 7
    assert verified.policy_version == 3
    assert verified.spaces[0].log_start == (1 if name == "whole" else TRIMMED_BELOW)


@pytest.mark.parametrize("trim_below", [2, 8, 27, 31, 33, 36, 39])
def test_data_that_is_trimmed_anywhere_is_sound(tmp_path: Path, trim_below: int) -> None:
    make_data(tmp_path, trim_below=trim_below)
    assert verify(tmp_path / "crdtsync.db").findings.told == []


@pytest.mark.parametrize("damage", ON_ROWS)
def test_each_damage_is_found_and_named(sound: Path, tmp_path: Path, damage: str) -> None:
    kind, plant = ON_ROWS[damage]
    path = copy_of(sound, tmp_path)
    with tampering(path) as db:
        plant(db)
    found = verify(path)
    assert kind in kinds(found), found.findings.told


@pytest.mark.parametrize("damage", ON_TRIMMED_ROWS)
def test_damage_below_the_start_of_the_log_is_found_too(
    sound: Path, tmp_path: Path, damage: str
) -> None:
    kind, plant = ON_TRIMMED_ROWS[damage]
    path = copy_of(sound, tmp_path, "trimmed")
    with tampering(path) as db:
        plant(db)
    found = verify(path)
    assert kind in kinds(found), found.findings.told


def test_a_page_that_is_overwritten_is_found_and_the_rest_is_checked_all_the_same(
    sound: Path, tmp_path: Path
) -> None:
    path = copy_of(sound, tmp_path)
    with tampering(path) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        db.execute("PRAGMA journal_mode = DELETE")
        (page,) = db.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'receipts'"
        ).fetchone()
        (size,) = db.execute("PRAGMA page_size").fetchone()
        change_entry(db, 3, user="lee")
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)
    found = verify(path)
    assert {"damaged_file"} <= kinds(found)
    assert found.spaces[0].head_seq == 38, "what can be read is told"


def test_damage_that_repeats_is_counted_in_full_and_told_in_part(
    sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounds, "KEPT_PER_KIND", 3)
    path = copy_of(sound, tmp_path)
    with tampering(path) as db:
        db.execute("DELETE FROM receipts")
    found = verify(path).findings
    assert found.counts["receipt_missing"] == 39
    assert len([one for one in found.told if one.kind == "receipt_missing"]) == 3


def test_a_long_history_is_checked_with_bounded_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound, rows are read a second time, and the result is the same."""
    monkeypatch.setattr(record_checks, "HELD_BYTES", 1)
    make_data(tmp_path)
    assert verify(tmp_path / "crdtsync.db").is_sound
    with tampering(tmp_path / "crdtsync.db") as db:
        change_record(db, "p1", replace_value)
    assert "record_differs" in kinds(verify(tmp_path / "crdtsync.db"))


def test_data_is_checked_while_a_server_writes_to_it(tmp_path: Path) -> None:
    """Everything that is read is one committed state, whatever is written meanwhile."""
    ward = open_ward(tmp_path)
    with contextlib.closing(ward.connection):
        ward.fill()
        grown: list[str] = []

        def progress(step: str, done: int, total: int) -> None:
            grown.append(step)
            ward.push(
                write({"c/visits": "1"}, record="p1"), write({"r/name": '"New"'}, record=step)
            )

        verified = verify(tmp_path / "crdtsync.db", progress)
    assert verified.findings.told == []
    assert verified.spaces[0].head_seq == 38, "as it was when the check began"
    assert len(grown) > 5
    assert verify(tmp_path / "crdtsync.db").spaces[0].head_seq == 38 + 2 * len(grown)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"no database at all" * 1_000, "not a readable SQLite file"),
        (b"", "not the database of a crdtsync server"),
        (None, "does not exist"),
    ],
)
def test_what_is_no_server_s_data_is_said(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    from crdtsync_server.operating.database_file import database_of

    path = tmp_path / "crdtsync.db"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StorageError, match=words):
        verify(database_of(path))


def test_a_replica_of_a_device_is_not_taken_for_a_server_s_data(tmp_path: Path) -> None:
    with tampering(tmp_path / "tablet.db") as db:
        db.execute("CREATE TABLE outbox (x)")
        db.execute("PRAGMA user_version = 2")
    with pytest.raises(StorageError, match="not the database of a crdtsync server"):
        verify(tmp_path / "tablet.db")


def test_data_of_a_newer_server_is_refused_with_the_version_that_is_needed(
    sound: Path, tmp_path: Path
) -> None:
    path = copy_of(sound, tmp_path)
    with tampering(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(StorageError, match="schema 99"):
        verify(path)


# ── the command ─────────────────────────────────────────────────────────────


def run(*arguments: str) -> Any:
    app = typer.Typer()
    app.callback()(lambda: None)
    commands.register(app)
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


@pytest.mark.parametrize(
    ("lang", "words"),
    [("en", "is sound. Spaces: 2; changes: 39; records: 7"), ("ko", "문제가 없어요")],
)
def test_the_command_tells_that_all_is_well(sound: Path, lang: Lang, words: str) -> None:
    told = run("verify", "--data", str(sound / "whole"), "--lang", lang)
    assert told.exit_code == 0, told.output
    assert words in told.output
    assert "ward-3" in told.output


@pytest.mark.parametrize(
    ("lang", "words"),
    [("en", "receipts are missing (receipt_missing, 39)"), ("ko", "빠진 접수증이 있어요")],
)
def test_the_command_tells_damage_and_the_way_out(
    sound: Path, tmp_path: Path, lang: Lang, words: str
) -> None:
    path = copy_of(sound, tmp_path)
    with tampering(path) as db:
        db.execute("DELETE FROM receipts")
    told = run("verify", "--data", str(tmp_path / "data"), "--lang", lang)
    assert told.exit_code == 1
    assert words in told.output
    assert "crdtsync restore" in told.output
    told = run("verify", "--data", str(path), "--json")
    assert told.exit_code == 1
    read = json.loads(told.stdout)
    assert (read["sound"], read["counts"]["receipt_missing"]) == (False, 39)
    assert read["findings"][0]["kind"] == "receipt_missing"


def test_every_kind_of_damage_has_words_in_both_languages_and_a_test() -> None:
    planted = {kind for kind, _ in [*ON_ROWS.values(), *ON_TRIMMED_ROWS.values()]}
    assert planted | {"damaged_file"} == set(KINDS)
    for en, ko in [*KINDS.values(), *STEPS.values()]:
        assert en
        assert any("가" <= letter <= "힣" for letter in ko)
