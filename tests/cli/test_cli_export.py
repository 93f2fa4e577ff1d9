"""``export``: everything out, conflicts unmistakably, and back in without a change."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.cli.command_line import Device, conflicted_device, new_device, process


def fill(device: Device) -> None:
    """Two records with values that are easily spoilt."""
    device.run(
        "set", "patient", "p1", "name=Kim, \"Min\"\nji", "phone==1+1", "allergies=a;b",
        "dose=1.50", "smoker=yes", "born=2020-01-31", "seen=2024-01-31T09:30:00+09:00",
        'notes=["x;y"]', 'extra={"n": 1.5, "k": null}',
    )  # fmt: skip
    device.run("set", "patient", "p1", "visits+=2")
    device.run("set", "patient", "p2", "name='=x", "tags=t;u")


@pytest.mark.parametrize("name", ["out.csv", "out.jsonl"])
@pytest.mark.parametrize("safe", [True, False])
def test_what_was_exported_imports_without_a_change_and_into_another_replica(
    tmp_path: Path, name: str, safe: bool
) -> None:
    device = new_device(tmp_path)
    fill(device)
    file = tmp_path / name
    options = ["--spreadsheet-safe"] if safe and name.endswith("csv") else []
    assert device.run("export", file, "-c", "patient", *options).exit_code == 0
    before = device.count()
    again = device.run("import", file, "-c", "patient", "--json", *options)
    assert (again.json["unchanged"], again.json["bad_count"]) == (2, 0)
    assert device.count() == before
    other = new_device(tmp_path, "other", "dr-lee")
    done = other.run("import", file, "-c", "patient", "--counters", "add", *options)
    assert done.exit_code == 0
    for record_id in ("p1", "p2"):
        here, there = (
            d.run("get", "patient", record_id, "--json").json["fields"] for d in (device, other)
        )
        assert here == there


def test_formulas_are_made_harmless_where_asked(tmp_path: Path) -> None:
    device = new_device(tmp_path)
    fill(device)
    plain = device.run("export", "-", "-c", "patient", "--format", "csv").stdout
    rows = list(csv.DictReader(io.StringIO(plain)))
    assert rows[0]["phone"] == "=1+1"
    safe = device.run("export", "-", "-c", "patient", "--format", "csv", "--spreadsheet-safe")
    rows = list(csv.DictReader(io.StringIO(safe.stdout)))
    assert (rows[0]["phone"], rows[1]["name"]) == ("'=1+1", "''=x")


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_conflict_is_exported_as_all_of_its_values(tmp_path: Path, form: str) -> None:
    device = conflicted_device(tmp_path)
    done = device.run("export", "-", "-c", "patient", "--format", form)
    assert done.exit_code == 0
    assert "several values" in done.stderr
    if form == "csv":
        (row,) = csv.DictReader(io.StringIO(done.stdout))
        found = json.loads(row["allergies"])
    else:
        found = json.loads(done.stdout)["allergies"]
    assert {c["user"] for c in found["conflict"]} == {"nurse-kim", "dr-lee"}
    file = tmp_path / f"back.{form}"
    file.write_text(done.stdout, encoding="utf-8", newline="")
    back = device.run("import", file, "-c", "patient")
    assert back.exit_code == 1
    assert "several values" in back.stderr


def test_an_existing_file_is_kept_unless_force_is_given(tmp_path: Path) -> None:
    device = new_device(tmp_path)
    fill(device)
    file = tmp_path / "out.csv"
    file.write_text("mine", encoding="utf-8")
    refused = device.run("export", file, "-c", "patient")
    assert refused.exit_code == 2
    assert file.read_text(encoding="utf-8") == "mine"
    assert device.run("export", file, "-c", "patient", "--force", "--bom").exit_code == 0
    assert file.read_bytes().startswith(b"\xef\xbb\xbfid,name")
    assert device.run("import", file, "-c", "patient").exit_code == 0
    missing = device.run("export", tmp_path / "no" / "out.csv", "-c", "patient", "--lang", "ko")
    assert missing.exit_code == 2
    assert "폴더가 없어요" in missing.stderr
    assert device.run("export", tmp_path / "out.pdf", "-c", "patient").exit_code == 2


def test_standard_output_is_utf8_whatever_the_terminal_says(tmp_path: Path) -> None:
    device = new_device(tmp_path)
    device.run("set", "patient", "p1", "name=김민지")
    done = process(
        "export", "-", "-c", "patient", "--replica", device.file, PYTHONIOENCODING="ascii"
    )
    assert done.exit_code == 0
    assert json.loads(done.stdout)["name"] == "김민지"
    shown = process("records", "patient", "--replica", device.file, PYTHONIOENCODING="ascii")
    assert shown.exit_code == 0
    assert "p1" in shown.stdout
