"""``crdtsync report`` as a person runs it: files, exit codes, and what is said."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import msgspec
import pytest
from typer.testing import CliRunner, Result

from crdtsync.cli.application import make_app
from crdtsync.protocol.messages import OutboxSummary
from crdtsync.version import __version__
from crdtsync_server.report import command
from crdtsync_server.report.measures import Overview
from tests.cli.disk_room import files_of_at_most
from tests.server.report.books import new_id
from tests.server.serving import device, serving, write

RUNNER = CliRunner()


def run(*options: str | Path) -> Result:
    return RUNNER.invoke(make_app(), ["report", *map(str, options)])


def acceptance_result(**changes: Any) -> str:
    from datetime import UTC, datetime

    counts = {"passed": 1, "failed": 0, "not_run": 1, "written": 40, "lost": 0, "doubled": 0}
    found: dict[str, Any] = {
        "schema": "crdtsync-acceptance/1",
        "verdict": "go",
        "sentence": {"en": "Go: 1 scenario passed.", "ko": "진행: 시나리오 1개 통과."},
        "quick": False,
        "started_at": datetime.now(UTC).isoformat(),
        "seconds": 12.5,
        "versions": {"crdtsync": __version__},
        "counts": counts,
        "scenarios": [
            {
                "name": "offline",
                "title": {"en": "A day offline", "ko": "하루 오프라인"},
                "status": "passed",
                "why_not": None,
            },
            {
                "name": "tokens",
                "title": {"en": "A token", "ko": "토큰"},
                "status": "not run",
                "why_not": {"en": "Not here.", "ko": "여기서는 안 해요."},
            },
        ],
    }
    return json.dumps(found | changes)


async def make_data(folder: Path) -> None:
    """A server's folder with an offline op that was recovered and reported as acknowledged."""
    import hashlib
    import uuid

    from crdtsync.protocol.messages import AcknowledgedDigest, Push, PushedOp
    from crdtsync_server.service import wall_clock_us

    async with serving(folder) as server, device(server, client_us=wall_clock_us()) as wire:
        op = write({"r/name": '"Kim"'})
        hour_ago_us = wall_clock_us() - 3_600_000_000
        await wire.push_frame(Push(new_id(), (PushedOp(op, None, hour_ago_us, 1),)))
        digest = hashlib.blake2b(op.op_id.encode(), digest_size=16).digest()
        await wire.send(AcknowledgedDigest(0, 1, 1, digest, uuid.UUID(op.op_id).bytes))
        await wire.push(write({"r/name": '"Lee"'}))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report") / "data"
    asyncio.run(make_data(folder))
    return folder


@pytest.fixture
def data(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "data"))


def test_go_ends_with_zero_and_no_go_with_one(data: Path, tmp_path: Path) -> None:
    assert run("--data", data).exit_code == 1
    (data / "acceptance.json").write_text(acceptance_result())
    result = run("--data", data, "--out", tmp_path / "r.json")
    found = msgspec.json.decode((tmp_path / "r.json").read_bytes(), type=Overview)
    assert (result.exit_code, found.go) == (0, True), found.reasons
    assert found.sentence == "All is well. Everything that has to be shown is shown: Go."
    assert f"The report is at {tmp_path / 'r.json'}" in result.stderr
    assert found.acceptance.scenarios[1].words == "not run: Not here."


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("en", "Go. Not everything is on the server yet: 3 changes wait on 1 device."),
        ("ko", "아직 서버에 없는 변경이 있어요. 기기 1대에서 변경 3건이"),
    ],
)
def test_a_go_says_what_devices_still_hold_and_not_that_all_is_well(
    data: Path, tmp_path: Path, lang: str, words: str
) -> None:
    (data / "acceptance.json").write_text(acceptance_result())
    with sqlite3.connect(data / "crdtsync.db") as connection:
        outbox = msgspec.msgpack.encode(OutboxSummary(pending=3))
        connection.execute(
            "INSERT INTO replicas (space, replica_id, user, device, cursor_seq, outbox, "
            "first_seen_us, last_seen_us) VALUES (1, ?, 'lee', 'tablet', 0, ?, 0, 0)",
            (new_id(), outbox),
        )
    connection.close()
    assert run("--data", data, "--out", tmp_path / "r.json", "--lang", lang).exit_code == 0
    found = msgspec.json.decode((tmp_path / "r.json").read_bytes(), type=Overview)
    assert words in found.sentence
    assert "All is well" not in found.sentence
    assert found.questions[0].answer == "unknown"


@pytest.mark.parametrize(
    ("lang", "acceptance", "sentence"),
    [
        ("en", None, "Nothing is wrong so far, but something is still to be shown. No acceptance"),
        ("ko", None, "지금까지 문제는 없지만 확인이 더 필요해서"),
        ("en", {"verdict": "no-go"}, "The measurements are good, but the acceptance run is not."),
        ("ko", {"verdict": "no-go"}, "측정한 값은 목표를 지켰지만 인수 시험 때문에"),
    ],
)
def test_a_no_go_never_says_that_all_is_well(
    data: Path, tmp_path: Path, lang: str, acceptance: dict[str, str] | None, sentence: str
) -> None:
    if acceptance is not None:
        (data / "acceptance.json").write_text(acceptance_result(**acceptance))
    run("--data", data, "--out", tmp_path / "r.json", "--lang", lang)
    found = msgspec.json.decode((tmp_path / "r.json").read_bytes(), type=Overview)
    assert (found.go, found.healthy) == (False, True)
    assert found.sentence.startswith(sentence)


def test_an_older_report_stays_where_the_new_one_finds_no_room(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "reports" / "r.html"
    assert run("--data", data, "--out", out).exit_code == 1
    older = out.read_bytes()
    monkeypatch.setitem(command.RENDERERS, ".html", lambda _: "x" * 2_000_000)
    with files_of_at_most(1_000_000):
        failed = run("--data", data, "--out", out)
    assert failed.exit_code == 3
    assert out.read_bytes() == older
    assert [path.name for path in out.parent.iterdir()] == ["r.html"]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"verdict": "no-go"}, "Go: 1 scenario passed."),
        ({"versions": {"crdtsync": "0.0.1"}}, "It ran on version 0.0.1"),
        ({"started_at": "2020-01-01T00:00:00+00:00"}, "old."),
        ({"schema": "something-else"}, "cannot be read"),
        ({"counts": {}}, "cannot be read"),
    ],
)
def test_an_acceptance_run_that_shows_too_little_is_no_go(
    data: Path, tmp_path: Path, changes: dict[str, Any], words: str
) -> None:
    file = tmp_path / "run.json"
    file.write_text(acceptance_result(**changes))
    result = run("--data", data, "--acceptance", file)
    assert result.exit_code == 1
    assert words in result.stdout


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        acceptance_result(seconds=1e300)[:-1]
        + ', "counts": {"written": 1e999, "lost": 0, "doubled": 0}}',
    ],
    ids=["deep", "infinite"],
)
def test_a_hostile_acceptance_file_is_one_that_cannot_be_read(
    data: Path, tmp_path: Path, text: str
) -> None:
    (tmp_path / "run.json").write_text(text)
    result = run("--data", data, "--acceptance", tmp_path / "run.json")
    assert result.exit_code == 1
    assert "cannot be read" in result.stdout


def test_a_quick_run_may_go_and_is_said_to_be_quick(data: Path) -> None:
    (data / "acceptance.json").write_text(acceptance_result(quick=True))
    result = run("--data", data)
    assert result.exit_code == 0
    assert "It was a quick run" in result.stdout


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_the_page_is_well_formed_and_whole_in_both_languages(
    data: Path, tmp_path: Path, lang: str
) -> None:
    out = tmp_path / "deep" / "report.html"
    result = run("--data", data, "--out", out, "--lang", lang)
    assert result.exit_code == 1
    text = out.read_text("utf-8")
    root = ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>\n"))
    assert root.attrib["lang"] == lang
    headings = [one.text for one in root.iter("h2")]
    assert len(headings) == 11
    assert ("Losses and duplicates" if lang == "en" else "유실과 중복") in headings
    assert not list(root.iter("script"))
    assert "http" not in text.replace("https://", "")


def test_markdown_shows_what_people_wrote_as_text(data: Path) -> None:
    with sqlite3.connect(data / "crdtsync.db") as connection:
        connection.execute("UPDATE replicas SET device = '<b>|*x*', user = 'a_b\x1b[2J'")
        connection.execute("UPDATE acknowledged SET op_ids = zeroblob(16)")
    connection.close()
    result = run("--data", data, "--since", "24h")
    assert r"\<b\>\|\*x\*" in result.stdout
    assert "\x1b" not in result.stdout
    assert "00000000-0000-0000-0000-000000000000" in result.stdout


def test_it_works_beside_a_running_server_and_over_it(data: Path, tmp_path: Path) -> None:
    async def both() -> tuple[Result, Result, Result]:
        async with serving(data) as server, device(server):
            url = server.url
            file = tmp_path / "run.json"
            file.write_text(acceptance_result())
            return (
                await asyncio.to_thread(run, "--data", data),
                await asyncio.to_thread(run, "--server", url, "--token", "kim"),
                await asyncio.to_thread(
                    run, "--server", url, "--token", "kim", "--acceptance", file, "--lang", "ko"
                ),
            )

    beside, over, accepted = asyncio.run(both())
    assert (beside.exit_code, over.exit_code, accepted.exit_code) == (1, 1, 0)
    for result in (beside, over):
        assert "Nothing lost, nothing doubled: 1 change " in result.stdout
    assert "✓ 진행" in accepted.stdout


def test_a_token_that_is_not_taken_is_said(tmp_path: Path) -> None:
    async def ask() -> Result:
        async with serving(tmp_path / "data") as server:
            return await asyncio.to_thread(run, "--server", server.url)

    result = asyncio.run(ask())
    assert result.exit_code == 2
    assert "does not answer this (401): sign in" in result.stderr


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ([], 2, "--server URL or --data DIR"),
        (["--data", "x", "--server", "http://h"], 2, "one of them"),
        (["--data", "nowhere"], 3, "no crdtsync database in nowhere"),
        (["--data", "nowhere", "--since", "tomorrow"], 2, "write it like"),
        (["--data", "nowhere", "--out", "report.pdf"], 2, "ends in .html, .md or .json"),
        (["--data", "nowhere", "--acceptance", "nothing.json"], 2, "no file nothing.json"),
        (["--server", "ftp://host"], 2, "not the address of a server"),
        (["--server", "http://kim:secret@host"], 2, "not the address of a server"),
        (["--server", "http://host", "--token", "two\nlines"], 2, "copy it anew"),
        (["--server", "http://127.0.0.1:1"], 4, "cannot be reached"),
    ],
)
def test_mistakes_end_in_words(options: list[str], code: int, words: str) -> None:
    result = run(*options)
    assert result.exit_code == code
    assert words in result.stderr


def test_a_space_that_is_not_there_is_named_with_those_that_are(data: Path) -> None:
    result = run("--data", data, "--space", "ward-9")
    assert result.exit_code == 2
    assert "There is no space 'ward-9' here. There is: ward-3." in result.stderr
    assert run("--data", data, "--space", "ward-3").exit_code == 1


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "crdtsync.db") as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    assert run("--data", tmp_path).exit_code == 3
    (tmp_path / "crdtsync.db").write_bytes(b"no database at all" * 100)
    result = run("--data", tmp_path)
    assert result.exit_code == 3
    assert "not a readable SQLite file" in result.stderr


def test_a_newer_versions_database_is_refused(data: Path) -> None:
    (data / "acceptance.json").write_text(acceptance_result())
    with sqlite3.connect(data / "crdtsync.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    result = run("--data", data)
    assert result.exit_code == 3
    assert "was written by a newer crdtsync" in result.stderr


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE log SET entry = x'c1'",
        "UPDATE replicas SET outbox = x'c1'",
    ],
)
def test_damage_is_told_in_words_by_report_and_trace(data: Path, statement: str) -> None:
    with sqlite3.connect(data / "crdtsync.db") as connection:
        connection.execute(statement)
    connection.close()
    result = run("--data", data)
    told = result.stdout + result.stderr
    assert result.exit_code in (1, 3)
    assert "damaged" in told
    assert "crdtsync verify" in told.replace("\\`", "")
    if "log" in statement:
        traced = RUNNER.invoke(make_app(), ["trace", "patient/p1", "--data", str(data)])
        assert traced.exit_code == 3
        assert "is damaged" in traced.stderr
