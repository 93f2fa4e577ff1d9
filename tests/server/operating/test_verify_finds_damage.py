"""``crdtsync verify``: sound data is found sound, and each planted damage is named."""

from __future__ import annotations

import contextlib
import json
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from crdtsync.database import StorageError
from crdtsync.documents.ops import FieldWrite, Op, content_digest
from crdtsync.documents.state import LogEntry, StoredRecord
from crdtsync_server.operating import commands
from crdtsync_server.operating.checking import findings as bounds
from crdtsync_server.operating.checking import record_checks
from crdtsync_server.operating.checking.verifying import Verified, verify
from crdtsync_server.operating.words import KINDS, STEPS, Lang
from crdtsync_server.storage.keys import position
from tests.server.operating.ward_data import make_data, open_ward
from tests.server.serving import write

TRIMMED_BELOW = 25
ENTRY = msgspec.msgpack.Decoder(LogEntry)
RECORD = msgspec.msgpack.Decoder(StoredRecord)


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


# ── planting ────────────────────────────────────────────────────────────────


def change_entry(db: sqlite3.Connection, at: int, /, **fields: Any) -> LogEntry:
    place = position(1, at)
    (data,) = db.execute("SELECT entry FROM log WHERE position = ?", (place,)).fetchone()
    entry = msgspec.structs.replace(ENTRY.decode(data), **fields)
    db.execute(
        "UPDATE log SET entry = ? WHERE position = ?", (msgspec.msgpack.encode(entry), place)
    )
    return entry


def change_record(
    db: sqlite3.Connection, record: str, change: Callable[[dict[str, Any]], Any]
) -> None:
    """``change`` gets the record's fields as lists of entries."""
    (data,) = db.execute("SELECT state FROM records WHERE record = ?", (record,)).fetchone()
    stored = RECORD.decode(data)
    fields: dict[str, Any] = {root: list(entries) for root, entries in stored.fields.items()}
    change(fields)
    state = msgspec.msgpack.encode(msgspec.structs.replace(stored, fields=fields))
    db.execute("UPDATE records SET state = ? WHERE record = ?", (state, record))


def replace_value(fields: dict[str, Any], root: str = "r/name") -> None:
    fields[root][0] = msgspec.structs.replace(fields[root][0], value='"Somebody"')


def sql(*statements: str) -> Callable[[sqlite3.Connection], None]:
    def run(db: sqlite3.Connection) -> None:
        for statement in statements:
            assert db.execute(statement).rowcount != 0, statement

    return run


def forge_another_shape(db: sqlite3.Connection) -> None:
    """Log, digest and record tell the same, and it is nothing that a document can hold."""
    values = ('"Lee"',)
    entry = change_entry(db, 38, writes={"x/name": values}, outcomes={"x/name": "applied"})
    op = Op(
        entry.op_id,
        entry.user,
        entry.collection,
        entry.record,
        entry.time_us,
        {"x/name": FieldWrite(values)},
    )
    db.execute(
        "UPDATE log SET content_digest = ? WHERE position = ?",
        (content_digest(op), position(1, 38)),
    )
    change_record(db, "p5", lambda fields: fields.update({"x/name": fields.pop("r/name")}))


ON_ROWS: dict[str, tuple[str, Callable[[sqlite3.Connection], Any]]] = {
    "a table that is not ours": ("wrong_structure", sql("CREATE TABLE extra (x)")),
    "an index that is gone": ("wrong_structure", sql("DROP INDEX conflicts_by_field")),
    "a log row that is gone": (
        "log_gap",
        sql(f"DELETE FROM log WHERE position = {position(1, 7)}"),
    ),
    "the end of the log that is gone": (
        "log_gap",
        sql(f"DELETE FROM log WHERE position = {position(1, 38)}"),
    ),
    "log rows of no space": (
        "wrong_head",
        sql(f"UPDATE log SET position = {position(9, 1)} WHERE position = {position(2, 1)}"),
    ),
    "an entry that is garbage": (
        "unreadable_entry",
        sql(f"UPDATE log SET entry = x'c1c1' WHERE position = {position(1, 7)}"),
    ),
    "an entry that claims another seq": ("unreadable_entry", lambda db: change_entry(db, 7, seq=9)),
    "an op_id that is none": ("unreadable_entry", lambda db: change_entry(db, 7, op_id="seven")),
    "a value in the log that was changed": (
        "changed_entry",
        lambda db: change_entry(db, 38, writes={"r/name": ('"Somebody"',)}),
    ),
    "an author in the log that was changed": (
        "changed_entry",
        lambda db: change_entry(db, 3, user="lee"),
    ),
    "a digest that does not follow": (
        "broken_chain",
        lambda db: change_entry(db, 9, digest=b"x" * 16),
    ),
    "a receive time that was changed": (
        "broken_chain",
        lambda db: change_entry(db, 9, received_us=1_700_000_000_000_001),
    ),
    "times that run backwards": ("wrong_time", lambda db: change_entry(db, 9, received_us=5)),
    "a head with another digest": (
        "wrong_head",
        sql("UPDATE spaces SET digest = x'00' WHERE id = 1"),
    ),
    "a head that is too low": ("wrong_head", sql("UPDATE spaces SET seq = 30 WHERE id = 1")),
    "a log start beyond the head": (
        "wrong_head",
        sql("UPDATE spaces SET log_start = 77 WHERE id = 2"),
    ),
    "a receipt that is gone": (
        "receipt_missing",
        sql(f"DELETE FROM receipts WHERE position = {position(1, 5)}"),
    ),
    "a receipt that leads elsewhere": (
        "receipt_wrong",
        sql(f"UPDATE receipts SET position = {position(1, 6)} WHERE position = {position(1, 5)}"),
    ),
    "a receipt of an op that is not there": (
        "receipt_without_entry",
        sql(f"INSERT INTO receipts VALUES (x'00112233445566778899aabbccddeeff', {position(1, 5)})"),
    ),
    "a receipt beyond the log": (
        "receipt_without_entry",
        sql(
            f"INSERT INTO receipts VALUES (x'00112233445566778899aabbccddeeff', {position(1, 99)})"
        ),
    ),
    "a record that is gone": ("record_missing", sql("DELETE FROM records WHERE record = 'p1'")),
    "a record of before": (
        "record_behind",
        sql(f"UPDATE records SET position = {position(1, 3)} WHERE record = 'p1'"),
    ),
    "a value of a record that was changed": (
        "record_differs",
        lambda db: change_record(db, "p1", replace_value),
    ),
    "a value of a record that is gone": (
        "record_differs",
        lambda db: change_record(db, "p1", lambda fields: fields.pop("r/name")),
    ),
    "a counter that counts otherwise": (
        "record_differs",
        lambda db: change_record(db, "p0", lambda fields: fields["c/visits"].pop()),
    ),
    "a counter that is no number": (
        "record_differs",
        lambda db: change_record(db, "p0", lambda fields: replace_value(fields, "c/visits")),
    ),
    "a record that is garbage": (
        "unreadable_record",
        sql("UPDATE records SET state = x'c1' WHERE record = 'p1'"),
    ),
    "a record of no space": (
        "record_differs",
        sql("UPDATE records SET space = 9 WHERE record = 'p5'"),
    ),
    "a record at another place": (
        "wrong_position",
        sql(f"UPDATE records SET position = {position(1, 1)} WHERE record = 'p5'"),
    ),
    "a history that leads astray": ("broken_link", lambda db: change_entry(db, 38, prev_seq=7)),
    "a history with a hole": (
        "entry_unlinked",
        lambda db: change_entry(db, 28, prev_seq=0),
    ),
    "a record that no document can hold": ("document_differs", forge_another_shape),
    "a conflict that is not written down": (
        "conflict_missing",
        sql("UPDATE conflicts SET status = 'resolved' WHERE status = 'open'"),
    ),
    "a conflict that is over and said to be open": (
        "conflict_wrong",
        sql("UPDATE conflicts SET status = 'open' WHERE status = 'resolved'"),
    ),
    "a conflict with other candidates": (
        "conflict_wrong",
        sql("UPDATE conflicts SET candidates = x'90' WHERE status = 'open'"),
    ),
    "candidates that are garbage": (
        "conflict_wrong",
        sql("UPDATE conflicts SET candidates = x'c1' WHERE status = 'open'"),
    ),
    "an event of another op": (
        "conflict_wrong",
        sql("UPDATE conflict_events SET op_id = 'somebody' WHERE kind = 'resolved'"),
    ),
    "events of a conflict that is gone": (
        "conflict_wrong",
        sql("DELETE FROM conflicts WHERE status = 'resolved'"),
    ),
    "a conflict without events": ("conflict_wrong", sql("DELETE FROM conflict_events")),
    "a grave of what has arrived": (
        "grave_wrong",
        sql("UPDATE graves SET op_id = (SELECT op_id FROM receipts LIMIT 1)"),
    ),
    "a grave that nobody dug": (
        "grave_wrong",
        sql(f"UPDATE graves SET position = {position(1, 2)}"),
    ),
    "a device that is gone": ("device_missing", sql("DELETE FROM replicas")),
    "a device of no space": (
        "device_missing",
        sql(
            "INSERT INTO replicas (space, replica_id, user, first_seen_us, last_seen_us) "
            "VALUES (9, 'r', 'kim', 1, 1)"
        ),
    ),
    "a policy that was changed": (
        "wrong_policy",
        sql("UPDATE policies SET text = replace(text, 'note', 'memo')"),
    ),
    "a policy that is none": ("wrong_policy", sql("UPDATE policies SET text = 'version ='")),
    "policies that are gone": ("wrong_policy", sql("DELETE FROM policies")),
}

ON_TRIMMED_ROWS: dict[str, tuple[str, Callable[[sqlite3.Connection], Any]]] = {
    "a kept value of another op": (
        "kept_value_wrong",
        sql("UPDATE kept_values SET op_id = x'00112233445566778899aabbccddeeff'"),
    ),
    "a kept value of no record": (
        "kept_value_wrong",
        sql("UPDATE kept_values SET record = 999"),
    ),
    "a kept value of another field": (
        "kept_value_wrong",
        sql("UPDATE kept_values SET root = 'r/note' WHERE root = 'r/name'"),
    ),
    "a kept value whose reason has no place": (
        "kept_value_wrong",
        sql("UPDATE kept_values SET left_seq = NULL, why = 'lost_received'"),
    ),
    "a kept value that left elsewhere": (
        "kept_value_wrong",
        sql("UPDATE kept_values SET left_seq = 37, why = 'lost_received'"),
    ),
    "a value of a record that is not in its log": (
        "record_differs",
        lambda db: change_record(db, "p1", _other_author),
    ),
    "a trimmed log row that is gone": (
        "log_gap",
        sql(f"DELETE FROM log WHERE position = {position(1, 7)}"),
    ),
    "a digest of a trimmed row": ("broken_chain", lambda db: change_entry(db, 9, digest=b"x" * 16)),
    "a receipt of a trimmed row that is gone": (
        "receipt_missing",
        sql(f"DELETE FROM receipts WHERE position = {position(1, 5)}"),
    ),
}


def _other_author(fields: dict[str, Any]) -> None:
    (entry,) = fields["r/name"]
    fields["r/name"] = [
        msgspec.structs.replace(entry, op_id="00112233-4455-4677-8899-aabbccddeeff")
    ]


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
    [("en", "is sound: 2 spaces, 39 changes, 7 records"), ("ko", "문제가 없어요")],
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
