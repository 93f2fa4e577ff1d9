"""``crdtsync seed``: rows of a database become records, once."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from crdtsync.cli import make_app
from crdtsync.cli.failures import Failure
from crdtsync.documents.ops import is_op_id
from crdtsync_server.rest.seeding import sending
from crdtsync_server.rest.seeding.seeding import uuid4_of
from crdtsync_server.rest.seeding.words import TEXTS
from tests.server.rest.thin import CLINICIAN, NURSE, Thin, thin_ward
from tests.server.serving import SPACE, rows_of


@dataclass(frozen=True)
class Done:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def seed(thin: Thin, *args: object, token: str | None = CLINICIAN) -> Done:
    """Run the command, on a thread beside the server."""
    url = f"http://127.0.0.1:{thin.server.port}"
    line = ["seed", *map(str, args), "--server", url, "--space", SPACE]
    done = await asyncio.to_thread(
        CliRunner().invoke, make_app(), line, env={"CRDTSYNC_TOKEN": token}
    )
    return Done(done.exit_code, done.stdout, done.stderr)


def database(folder: Path, count: int = 3) -> Path:
    """What a ward had before."""
    file = folder / "old.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(
            "CREATE TABLE people (no INTEGER PRIMARY KEY, full_name TEXT, alive INTEGER,"
            " weight REAL, born TEXT, visits INTEGER, tags TEXT, shoe INTEGER)"
        )
        rows = [
            (n, f"Ann {n}", n % 2, 50.0 + n / 2, "1990-01-31", n, "a;b", 40) for n in range(count)
        ]
        connection.executemany("INSERT INTO people VALUES (?,?,?,?,?,?,?,?)", rows)
        connection.commit()
    return file


ARGS = ("-c", "patient", "--id-column", "no", "--map", "full_name=name", "--json")


async def test_a_table_becomes_records_once_however_often_it_is_seeded(tmp_path: Path) -> None:
    file = database(tmp_path, 450)
    async with thin_ward(tmp_path / "data") as thin:
        first = await seed(thin, "--from-sqlite", file, "--table", "people", *ARGS)
        assert (first.code, first.json["new"], first.json["again"]) == (0, 450, 0), first.err
        assert first.json["left_out"] == ["shoe"]
        found = (await thin.record("3"))["fields"]
        assert (found["name"], found["alive"], found["weight"]) == ("Ann 3", True, 51.5)
        assert (found["born"], found["visits"], found["tags"]) == ("1990-01-31", 3, ["a", "b"])
        logged = len(rows_of(tmp_path / "data", "SELECT 1 FROM log"))
        await thin.put("7", {"name": "Anna"})
        with closing(sqlite3.connect(file)) as connection:
            connection.execute("UPDATE people SET full_name = 'Eve', visits = 99 WHERE no = 3")
            connection.commit()
        again = await seed(thin, "--from-sqlite", file, "--table", "people", *ARGS)
        assert again.code == 0, again.err
        told = again.json
        assert (told["new"], told["again"], told["changed_since"]) == (1, 449, 1)
        assert told["counters_left"] == 1
        assert (await thin.record("7"))["fields"]["name"] == "Anna"
        changed = (await thin.record("3"))["fields"]
        assert (changed["name"], changed["visits"]) == ("Eve", 3)
        assert len(rows_of(tmp_path / "data", "SELECT 1 FROM log")) == logged + 2


async def test_a_query_and_files_are_sources_too_and_bad_rows_are_named(tmp_path: Path) -> None:
    file = database(tmp_path)
    csv = tmp_path / "people.csv"
    csv.write_text("id,name,stage,tags\nc1,Kim,2,x;y\nc2,Lee,9,\n,Moon,1,\n")
    lines = tmp_path / "people.jsonl"
    lines.write_text('{"id":"j1","name":"Park","notes":["a"],"balance":1.50}\n{"id":"j2"\n')
    async with thin_ward(tmp_path / "data") as thin:
        query = "SELECT no AS id, full_name AS name, x'00' AS phone FROM people WHERE no > 1"
        bad = await seed(
            thin, "--from-sqlite", file, "--query", query, "-c", "patient", "--lang", "ko"
        )
        assert bad.code == 1
        assert "phone" in bad.err
        good = await seed(
            thin,
            "--from-sqlite",
            file,
            "--query",
            "SELECT no AS id, full_name AS name FROM people WHERE no > 1;",
            "-c",
            "patient",
        )
        assert (good.code, good.out) == (0, "1 row written, 0 had been written before.\n")
        from_csv = await seed(thin, csv, "-c", "patient", "--json")
        assert from_csv.code == 1
        assert (from_csv.json["new"], from_csv.json["bad_count"]) == (1, 2)
        assert [bad["row"] for bad in from_csv.json["bad"]] == [3, 4]
        from_lines = await seed(thin, lines, "-c", "patient", "--json")
        assert (from_lines.json["new"], from_lines.json["bad_count"]) == (1, 1)
        assert (await thin.record("j1"))["fields"]["balance"] == "1.50"
        assert (await thin.record("c1"))["fields"]["tags"] == ["x", "y"]


async def test_a_row_that_is_no_text_is_refused_and_the_others_are_written(
    tmp_path: Path,
) -> None:
    file = database(tmp_path)
    query = "SELECT no AS id, iif(no = 1, CAST(x'ff41' AS TEXT), 'Kim') AS name FROM people -- all"
    async with thin_ward(tmp_path / "data") as thin:
        done = await seed(thin, "--from-sqlite", file, "--query", query, "-c", "patient", "--json")
        assert (done.code, done.json["new"]) == (1, 2), done.err
        (bad,) = done.json["bad"]
        assert (bad["row"], bad["reason"]) == (2, "the column name holds text that is no UTF-8")


async def test_a_counter_that_is_left_as_it_is_holds_nothing_else_of_its_row_back(
    tmp_path: Path,
) -> None:
    lines = tmp_path / "people.jsonl"
    async with thin_ward(tmp_path / "data") as thin:
        lines.write_text('{"id":"j1","visits":3}\n')
        assert (await seed(thin, lines, "-c", "patient", "--json")).json["new"] == 1
        lines.write_text('{"id":"j1","visits":4,"balance":1.50,"name":"Kim"}\n')
        done = await seed(thin, lines, "-c", "patient", "--json")
        assert (done.code, done.json["new"], done.json["counters_left"]) == (0, 1, 1), done.err
        fields = (await thin.record("j1"))["fields"]
        assert (fields["visits"], fields["balance"], fields["name"]) == (3, "1.50", "Kim")
        lines.write_text('{"id":"j1","visits":4,"balance":1.50,"stage":99}\n')
        wrong = await seed(thin, lines, "-c", "patient", "--json")
        assert (wrong.code, wrong.json["bad_count"]) == (1, 1)
        # Another person's run: what theirs would add is there already.
        lines.write_text('{"id":"j1","visits":3,"balance":1.50}\n')
        theirs = await seed(thin, lines, "-c", "patient", "--json", token="lee:clinician")
        assert (theirs.code, theirs.json["counters_left"]) == (0, 2), theirs.err
        fields = (await thin.record("j1"))["fields"]
        assert (fields["visits"], fields["balance"]) == (3, "1.50")


DROP = "DROP TABLE people"


async def test_what_cannot_be_seeded_is_told_before_anything_is_written(tmp_path: Path) -> None:
    file = database(tmp_path)
    text = tmp_path / "notes.csv"
    text.write_text("id,name\n1,a\n")
    async with thin_ward(tmp_path / "data") as thin:
        cases: list[tuple[tuple[object, ...], str | None, int]] = [
            ((text, "-c", "nothing"), CLINICIAN, 2),
            ((text, "-c", "diary"), NURSE, 2),
            ((text, "-c", "patient"), None, 2),
            (("-c", "patient"), CLINICIAN, 2),
            ((text, "-c", "patient", "--from-sqlite", file), CLINICIAN, 2),
            (("-c", "patient", "--from-sqlite", file), CLINICIAN, 2),
            (("-c", "patient", "--from-sqlite", file, "--table", "x"), CLINICIAN, 2),
            (
                ("-c", "patient", "--from-sqlite", file, "--query", "DROP TABLE people"),
                CLINICIAN,
                2,
            ),
            # Which of the two ids would count, nobody could tell.
            (
                ("-c", "patient", "--from-sqlite", file, "--query", "SELECT 1 AS id, 2 AS id"),
                CLINICIAN,
                2,
            ),
            (
                ("-c", "patient", "--from-sqlite", file, "--query", "SELECT abs(-1 << 63) AS id"),
                CLINICIAN,
                2,
            ),
            ((text, "-c", "patient"), "김", 2),
            ((text, "-c", "patient"), "kim\nlee", 2),
            (("-c", "patient", "--from-sqlite", text, "--table", "x"), CLINICIAN, 2),
            (("-c", "patient", "--from-sqlite", tmp_path / "no.db", "--table", "x"), CLINICIAN, 2),
        ]
        for args, who, code in cases:
            done = await seed(thin, *args, token=who)
            assert (done.code, done.out) == (code, ""), (args, done.err)
            assert done.err.strip()
            assert "Traceback" not in done.err, done.err
    assert rows_of(tmp_path / "data", "SELECT 1 FROM log") == []


# ── a server that is not always there ───────────────────────────────────────


class Script:
    """A connection that answers as it is told."""

    def __init__(self, answers: list[Any]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, str, bytes | None]] = []

    def request(self, method: str, path: str, body: bytes | None, headers: Any) -> None:
        assert headers["Authorization"] == "Bearer kim"
        self.asked.append((method, path, body))

    def getresponse(self) -> Any:
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        pass


class Answer:
    """What ``http.client`` gives."""

    def __init__(self, status: int, told: Any, retry: str = "") -> None:
        self.status, self.reason = status, "because"
        self.headers = {"Retry-After": retry} if retry else {}
        self._data = told if isinstance(told, bytes) else json.dumps(told).encode()

    def read(self) -> bytes:
        return self._data


def scripted(*answers: Any) -> tuple[sending.Server, Script, list[float]]:
    now = [0.0]
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    server = sending.Server("http://host", "kim", "en", sleep=sleep, clock=lambda: now[0])
    script = Script(list(answers))
    server._connection = script  # type: ignore[assignment]
    return server, script, slept


def test_a_batch_is_sent_again_until_it_is_answered() -> None:
    busy = {"op_id": "1", "status": "transient", "problem": {"retry_after_s": 3}}
    done = {"op_id": "1", "status": "accepted", "problem": None}
    server, script, slept = scripted(
        Answer(200, {"user": "kim"}),
        ConnectionResetError("gone"),
        Answer(503, {"detail": "restarting"}, "7"),
        Answer(502, b"<html>"),
        Answer(200, {"results": [busy]}),
        Answer(200, {"results": [done]}),
    )
    assert server.get("/v1/me") == {"user": "kim"}
    script.asked.clear()
    assert server.batch("a b", "r", [{"op_id": "1"}]) == [done]
    assert slept == [0.5, 7.0, 2.0, 3]
    assert len(set(script.asked)) == 1
    assert script.asked[0][1] == "/v1/batch?space=a%20b&lang=en"


def test_a_server_that_stays_away_ends_the_run_with_what_to_do() -> None:
    server, _, slept = scripted(Answer(200, {}), *[OSError("no route")] * 100)
    server.get("/v1/me")
    with pytest.raises(Failure, match="run the same command again"):
        server.get("/v1/me")
    assert 0 < sum(slept) <= sending.PATIENCE_S


def test_a_wrong_address_is_told_at_once() -> None:
    server, _, slept = scripted(OSError("no route"))
    with pytest.raises(Failure, match="Check the address"):
        server.get("/v1/me")
    assert slept == []


def test_a_refusal_is_told_and_not_repeated() -> None:
    server, script, _ = scripted(Answer(401, {"detail": "sign in"}))
    with pytest.raises(Failure, match="sign in"):
        server.get("/v1/me")
    assert len(script.asked) == 1


@pytest.mark.parametrize(
    "url",
    [
        "ws://host",
        "http://",
        "http://host:99999",
        "http://host:port",
        "http://[::1",
        "http://a b",
        "http://host/한글",
    ],
)
def test_what_is_no_address_is_told_in_words(url: str) -> None:
    with pytest.raises(Failure, match="is not the address of a server"):
        sending.Server(url, "kim", "en")


def test_an_answer_that_is_none_of_a_server_of_ours_is_told_in_words() -> None:
    server, script, _ = scripted(Answer(200, b"<html>Sign in to the guest network</html>"))
    with pytest.raises(Failure, match="200 because"):
        server.get("/v1/me")
    assert len(script.asked) == 1


def test_ids_follow_from_what_a_row_says() -> None:
    made = [uuid4_of("row", "a", str(n)) for n in range(200)]
    assert all(map(is_op_id, made))
    assert len(set(made)) == 200
    assert uuid4_of("row", "a", "1") == made[1]
    assert uuid4_of("ab", "c") != uuid4_of("a", "bc")


def korean() -> Iterator[str]:
    yield from (words.ko for words in TEXTS.values())


def test_korean_words_have_no_particle_right_behind_a_name() -> None:
    for text in korean():
        for particle in ("을", "를", "이", "가", "은", "는"):
            assert f"}}{particle} " not in text, text
