"""``import``: good lines in, bad lines named, nothing twice."""

from __future__ import annotations

import json
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from crdtsync import Collection, DiskFull
from crdtsync.cli.importing import applying
from tests.cli.command_line import (
    COMMAND,
    Device,
    Done,
    conflicted_device,
    environment,
    new_device,
    process,
)

GOOD = "id,name,allergies,born\np1,Kim,peanut;latex,2020-01-31\np2,Lee,,\n"


@pytest.fixture
def device(tmp_path: Path) -> Device:
    """A device with an empty replica."""
    return new_device(tmp_path)


def put(device: Device, content: str | bytes, *args: object, name: str = "in.csv") -> Done:
    """Import a file with this content."""
    file = device.file.parent / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return device.run("import", file, "-c", "patient", *args)


def fields(device: Device, record_id: str) -> dict[str, object]:
    """A record's fields."""
    done = device.run("get", "patient", record_id, "--json")
    assert done.exit_code == 0, done.stderr
    found: dict[str, object] = done.json["fields"]
    return found


def test_the_same_import_again_writes_no_op(device: Device) -> None:
    first = put(device, GOOD, "--json")
    assert first.exit_code == 0
    assert (first.json["new"], first.json["unchanged"]) == (2, 0)
    assert first.json["waiting"] == device.count() == 2
    again = put(device, GOOD, "--json")
    assert again.exit_code == 0
    assert (again.json["new"], again.json["changed"], again.json["unchanged"]) == (0, 0, 2)
    assert device.count() == 2
    assert fields(device, "p1")["allergies"] == ["latex", "peanut"]


def test_values_that_mean_the_same_are_no_change(device: Device) -> None:
    put(device, "id,name,dose,seen,tags,allergies\n1,é,1.0,2024-01-31T09:00:00+09:00,a;b,x;y\n")
    done = put(
        device,
        'id,name,dose,seen,tags,allergies\n1,é,1.00,2024-01-31T00:00:00Z,b;a,"[""y"", ""x""]"\n',
        "--json",
    )
    assert (done.json["changed"], done.json["unchanged"]) == (0, 1)


def test_only_what_differs_is_written_and_an_empty_cell_says_nothing(device: Device) -> None:
    put(device, GOOD)
    done = put(device, "id,name,born\np1,Kim,2021-01-01\np2,,\n", "--json")
    assert (done.json["changed"], done.json["unchanged"]) == (1, 1)
    last = device.run("outbox", "--json").json[-1]
    assert last["fields"] == {"born": "2021-01-01"}
    assert fields(device, "p2")["name"] == "Lee"
    put(device, "id,name,allergies\np1,,\n", "--empty-clears")
    assert (fields(device, "p1")["name"], fields(device, "p1")["allergies"]) == (None, None)


def test_only_new_leaves_existing_records_alone(device: Device) -> None:
    put(device, GOOD)
    done = put(device, "id,name\np1,Other\np3,Park\n", "--only-new", "--json")
    assert (done.json["new"], done.json["kept"]) == (1, 1)
    assert fields(device, "p1")["name"] == "Kim"


def test_columns_are_mapped_and_what_no_field_takes_is_named(device: Device) -> None:
    done = put(
        device, "ID,FULL NAME,AGE\np1,Kim,3\n", "--map", "FULL NAME=name", "--json", name="x.csv"
    )
    assert done.exit_code == 0
    assert done.json["left_out"] == ["AGE"]
    assert "AGE" in done.stderr
    assert fields(device, "p1")["name"] == "Kim"
    other = put(device, "key,name\np2,Lee\n", "--id-column", "key")
    assert other.exit_code == 0
    assert fields(device, "p2")["name"] == "Lee"


BAD_LINES = [
    (b"p1,An\xff,,", "UTF-8"),
    (b"p1,A\x00n,,", "NUL"),
    (b"p1,a,b,c,d", "5 cells"),
    (b"p1,a", "2 cells"),
    (b",a,,", "id"),
    (b'p1,"a"b,,', "CSV"),
    (b"p1," + b"x" * 70_000 + b",,", "65536"),
    (b"p1," + b"x" * 5_000_000 + b",,", "4194304"),
    (b"p1,,,2020-02-30", "born"),
    (b'p1,,"[1]",', "allergies"),
    (b'p1,,"{""conflict"": [{""value"": [""a""], ""user"": ""x""}]}",', "several values"),
    (b"p1,,,", "no values"),
    (b"a\x07b,x,,", "control"),
    (b"k" * 300 + b",x,,", "256"),
]


@pytest.mark.parametrize(("line", "said"), BAD_LINES, ids=[said for _, said in BAD_LINES])
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_bad_line_is_named_and_the_good_ones_are_kept(
    device: Device, line: bytes, said: str, lang: str
) -> None:
    content = b"id,name,allergies,born\ng1,Kim,,\n" + line + b"\ng2,Lee,,\n"
    done = put(device, content, "--lang", lang)
    assert done.exit_code == 1
    assert fields(device, "g1")["name"] == "Kim"
    assert fields(device, "g2")["name"] == "Lee"
    if lang == "ko":
        assert "3번째 줄" in done.stderr
    else:
        assert "Line 3" in done.stderr
        assert said in done.stderr
    document = put(device, content, "--json")
    assert document.exit_code == 1
    assert [bad["line"] for bad in document.json["bad"]] == [3]
    assert document.json["unchanged"] == 2
    assert device.count() == 2


BAD_JSON = [
    ("nope", "JSON"),
    ("[1]", "record"),
    ('{"id": "p1", "name": 3}', "name"),
    ('{"id": "p1", "name": NaN}', "NaN"),
    ('{"id": "p1", "name": "a", "name": "b"}', "twice"),
    ('{"name": "a"}', "id"),
    ('{"id": true, "name": "a"}', "id"),
    ('{"id": "p1", "allergies": {"conflict": [{"value": ["a"]}]}}', "several values"),
    ('{"id": "p1", "extra": ' + "[" * 5_000 + "]" * 5_000 + "}", "nested"),
    ('{"id": "p1", "extra": ' + "[" * 900 + "]" * 900 + "}", "nested"),
    ('{"id": "p1", "extra": ' + "[" * 40 + "]" * 40 + "}", "nested"),
    ('{"id": "p1", "visits": 1e400}', "visits"),
    ('{"id": "p1", "name": "\\ud800"}', "name"),
    ('{"id": "p1", "tags": "a"}', "tags"),
]


@pytest.mark.parametrize(("line", "said"), BAD_JSON)
def test_a_bad_json_line_is_named_and_the_good_ones_are_kept(
    device: Device, line: str, said: str
) -> None:
    content = (
        '{"id": "g1", "name": "Kim"}\n\n' + line + '\n{"id": 2, "dose": 1.10, "tags": ["a"]}\n'
    )
    done = put(device, content, name="in.jsonl")
    assert done.exit_code == 1
    assert "Line 3" in done.stderr
    assert said in done.stderr
    assert (fields(device, "2")["dose"], fields(device, "2")["tags"]) == ("1.10", ["a"])
    assert device.count() == 2


BAD_FILES: list[tuple[bytes, list[str], str]] = [
    (b"", [], "empty"),
    (b"\xef\xbb\xbf\n\n", [], "empty"),
    (b"id,name,name\n1,a,b\n", [], "same name"),
    (b"id,,name\n1,a,b\n", [], "Column 2"),
    (b"id\x00,name\n", [], "NUL"),
    (b"id,n\xff\n", [], "UTF-8"),
    (b'"id,name\n1,2\n', [], "column names"),
    (b"nr,name\n1,a\n", [], "--id-column"),
    (b"id;name\n1;a\n", [], "--delimiter"),
    (b"id,foo\n1,a\n", [], "--map"),
    (b"id,foo\n1,a\n", ["--map", "foo"], "COLUMN=FIELD"),
    (b"id,foo\n1,a\n", ["--map", "foo=nme"], "nme"),
    (b"id,foo\n1,a\n", ["--map", "bar=name"], "bar"),
    (b"id,foo,name\n1,a,b\n", ["--map", "foo=name"], "Two columns"),
    ("id,name\n1,김\n".encode("utf-16"), [], "UTF-16"),
    (b"id,name\n1,a\n", ["--encoding", "nope"], "nope"),
    (b"id,name\n1,a\n", ["--delimiter", "ab"], "one character"),
]


@pytest.mark.parametrize(("content", "args", "said"), BAD_FILES)
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_file_that_cannot_be_used_writes_nothing_and_says_why(
    device: Device, content: bytes, args: list[str], said: str, lang: str
) -> None:
    done = put(device, content, *args, "--lang", lang, "--json")
    assert done.exit_code == 2
    assert done.stdout == ""
    assert lang == "ko" or said in done.stderr
    assert device.count() == 0


def test_files_that_are_missing_or_of_another_kind(device: Device) -> None:
    folder = device.file.parent
    for file, said in (
        (folder / "none.csv", "none.csv"),
        (folder / "book.xlsx", "--format"),
        (folder, "--format"),
    ):
        done = device.run("import", file, "-c", "patient")
        assert done.exit_code == 2
        assert said in done.stderr
    assert device.run("import", folder, "-c", "patient", "--format", "csv").exit_code == 2


def test_other_encodings_and_marks_are_read(device: Device) -> None:
    assert put(device, "id,name\n1,민지\n".encode("cp949"), "--encoding", "cp949").exit_code == 0
    assert put(device, "id,name\n2,민지\n".encode("utf-16"), "--encoding", "utf-16").exit_code == 0
    assert put(device, "\ufeffid,name\r\n3,민지\r\n").exit_code == 0
    assert put(device, "id\tname\n4\t민지\n", "--delimiter", "tab").exit_code == 0
    assert [fields(device, n)["name"] for n in "1234"] == ["민지"] * 4


def test_a_quote_that_is_never_closed_names_what_was_not_imported(device: Device) -> None:
    done = put(device, 'id,name\ng1,Kim\np1,"Lee\np2,Park\n')
    assert done.exit_code == 1
    assert "lines 3 to 4" in done.stderr
    assert fields(device, "g1")["name"] == "Kim"
    assert device.count() == 1


def test_one_cell_may_hold_many_lines_and_numbers_stay_those_of_the_file(device: Device) -> None:
    done = put(device, 'id,name,born\np1,"a\nb",\np2,x,never\n')
    assert "Line 4 (p2)" in done.stderr
    assert fields(device, "p1")["name"] == "a\nb"


def test_an_id_that_comes_twice_with_other_values_is_refused_each_time(device: Device) -> None:
    content = "id,name\np1,a\np1,b\np1,a\n"
    for _ in range(2):
        done = put(device, content)
        assert done.exit_code == 1
        assert "line 2" in done.stderr
    assert fields(device, "p1")["name"] == "a"
    assert device.count() == 1


def test_a_counter_is_never_counted_twice_by_accident(device: Device) -> None:
    refused = put(device, "id,visits\np1,3\np2,0\n")
    assert refused.exit_code == 1
    assert "--counters" in refused.stderr
    for _ in range(2):
        assert put(device, "id,name,visits\np1,Kim,3\n", "--counters", "add").exit_code == 0
    assert fields(device, "p1")["visits"] == 3
    assert device.count() == 2
    assert put(device, "id,name,visits\np1,Kim,3\n").exit_code == 0
    assert put(device, "id,name,visits\np1,Lee,9\n", "--counters", "skip").exit_code == 0
    assert (fields(device, "p1")["name"], fields(device, "p1")["visits"]) == ("Lee", 3)


def test_deleted_records_and_open_conflicts_are_left_to_people(tmp_path: Path) -> None:
    device = conflicted_device(tmp_path)
    device.run("set", "patient", "p2", "name=Lee")
    device.run("delete", "patient", "p2")
    before = device.count()
    done = put(device, "id,name,allergies\np1,New,dust\np2,Lee,\np3,Park,\n")
    assert done.exit_code == 1
    assert "Line 2 (p1)" in done.stderr
    assert "Line 3 (p2)" in done.stderr
    assert device.count() == before + 1
    assert put(device, "id,name\np1,New\n").exit_code == 0
    assert "conflict" in str(fields(device, "p1")["allergies"])


def test_an_import_that_is_killed_is_finished_by_the_next_one(device: Device) -> None:
    lines = [f"p{n},name {n}\n" for n in range(1_700)]
    running = subprocess.Popen(
        [*COMMAND, "import", "-", "--format", "csv", "-c", "patient",
         "--replica", str(device.file), "--user", device.user],
        stdin=subprocess.PIPE,
        env=environment(),
    )  # fmt: skip
    assert running.stdin is not None
    try:
        running.stdin.write(("id,name\n" + "".join(lines[:1_300])).encode())
        running.stdin.flush()
        # Input stays open, so the import is in the middle of its work when it is killed.
        while (committed := len(device.run("records", "patient", "--json").json)) < 500:
            assert running.poll() is None
    finally:
        running.kill()
        running.wait()
        running.stdin.close()
    assert 500 <= committed < 1_700
    kept = device.count()
    assert kept % 500 == 0, "a commit holds a whole batch"
    done = put(device, "id,name\n" + "".join(lines), "--json")
    assert done.exit_code == 0
    assert (done.json["unchanged"], done.json["new"]) == (kept, 1_700 - kept)
    written = Counter(item["record_id"] for item in device.run("outbox", "--json").json)
    assert len(written) == 1_700
    assert set(written.values()) == {1}


def test_import_reads_standard_input_and_needs_its_format(device: Device) -> None:
    args = ["import", "-", "-c", "patient", "--replica", device.file, "--user", "kim"]
    assert process(*args, given=b"id,name\n1,a\n").exit_code == 2
    done = process(*args, "--format", "jsonl", "--json", given=b'{"id": "1", "name": "a"}\n')
    assert done.exit_code == 0
    assert json.loads(done.stdout)["new"] == 1


@pytest.mark.parametrize(("lang", "words"), [("en", "2 records are saved"), ("ko", "기록 2건은")])
def test_a_full_disk_says_what_is_saved_and_how_to_go_on(
    device: Device, monkeypatch: pytest.MonkeyPatch, lang: str, words: str
) -> None:
    async def full(self: Collection, changes: dict[str, object]) -> None:
        if "p3" in changes:
            raise DiskFull("no space left for the replica; nothing was changed. Free up space")
        await write(self, changes)  # type: ignore[arg-type]

    write = Collection.update_many
    monkeypatch.setattr(Collection, "update_many", full)
    monkeypatch.setattr(applying, "BATCH_ROWS", 2)
    done = put(device, "id,name\np1,a\np2,b\np3,c\n", "--lang", lang)
    assert done.exit_code == 3
    assert words in done.stderr
    assert "no space left" in done.stderr
    assert device.count() == 2
    monkeypatch.undo()
    again = put(device, "id,name\np1,a\np2,b\np3,c\n", "--json")
    assert (again.json["unchanged"], again.json["new"]) == (2, 1)
