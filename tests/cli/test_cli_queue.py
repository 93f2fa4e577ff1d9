"""``status``, ``outbox``, ``retry``, ``edit``, ``discard``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from crdtsync import NeedsAttention, Policy, Replica
from crdtsync.documents.errors import UsageError
from crdtsync_server.service import RunningServer
from tests.cli.command_line import POLICY, Device, conflicted_device, finish, new_device

STRICTER = POLICY.replace("version = 1", "version = 2").replace(
    'merge = "user-latest"', 'merge = "user-latest", max_length = 5'
)


def refused_device(folder: Path) -> Device:
    """A device whose phone number the server did not accept, with a later change held back."""
    device = new_device(folder)
    device.run("set", "patient", "p1", "phone=010-1234-5678", "name=Kim")
    device.run("set", "patient", "p1", "visits+=1")

    async def send() -> None:
        policy = Policy.parse(STRICTER)
        async with (
            RunningServer(policy=policy, data=folder / "server", dev=True) as server,
            Replica.open(device.file, user=device.user) as replica,
        ):
            with pytest.raises(NeedsAttention):
                await replica.sync_once(server.url, timeout=20)

    finish(send())
    return device


def test_status_of_a_new_device_and_of_one_with_changes(tmp_path: Path) -> None:
    device = new_device(tmp_path)
    fresh = device.run("status")
    assert fresh.exit_code == 0
    assert "has not synced yet" in fresh.stdout
    device.run("set", "patient", "p1", "name=Kim")
    waiting = device.run("status", "--json")
    assert waiting.exit_code == 1
    found = waiting.json
    assert (found["pending"], found["waiting"], found["in_step"]) == (1, 1, False)
    assert (found["space"], found["policy_version"]) == ("ward-3", 1)
    assert "전송 대기 1건" in device.run("status", "--lang", "ko").stdout


def test_status_remembers_when_everything_was_in_step(tmp_path: Path) -> None:
    device = conflicted_device(tmp_path)
    done = device.run("status", "--json")
    assert done.exit_code == 1, "a conflict needs a person"
    assert done.json["last_synced"] is not None
    assert (done.json["in_step"], done.json["conflicts"]) == (True, 1)
    assert "All changes saved to the server" in done.json["message"]
    assert "골라 주세요" in device.run("status", "--lang", "ko").stdout


def test_the_outbox_says_in_words_why_a_change_was_not_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    device = refused_device(tmp_path)
    done = device.run("outbox", "--json")
    assert done.exit_code == 1
    first, second = done.json
    assert (first["needs_person"], first["error_code"]) == (True, "too_long")
    assert second["waits_for"] == first["op_id"]
    english, korean = (device.run("outbox", "--lang", lang).stdout for lang in ("en", "ko"))
    assert "longer than 5" in english
    assert "5자까지" in korean
    assert first["op_id"][:8] in english
    assert device.run("status").exit_code == 1


def test_an_edit_keeps_the_place_and_names_what_it_replaces(tmp_path: Path) -> None:
    device = refused_device(tmp_path)
    op_id = device.run("outbox", "--json").json[0]["op_id"]
    done = device.run("edit", op_id[:8], "phone=0101")
    assert done.exit_code == 0, done.stderr
    edited = device.run("outbox", "--json").json[0]
    assert edited["replaces"] == op_id
    assert edited["fields"] == {"phone": "0101", "name": "Kim"}
    assert device.run("edit", edited["op_id"], "--leave-out", "phone").exit_code == 0
    assert device.run("outbox", "--json").json[0]["fields"] == {"name": "Kim"}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["edit", "zzzz", "phone=1"], "zzzz"),
        (["edit", "OP"], "nothing to write"),
        (["edit", "OP", "nme=1"], "nme"),
        (["edit", "OP", "phone=toolong"], "phone"),
        (["edit", "OP", "born=2020-01-01"], "born"),
        (["discard", "zzzz"], "zzzz"),
        (["discard", ""], "No waiting change"),
        (["retry", "zzzz"], "zzzz"),
    ],
)
def test_wrong_numbers_and_values_are_said(tmp_path: Path, args: list[str], said: str) -> None:
    device = refused_device(tmp_path)
    op_id = device.run("outbox", "--json").json[0]["op_id"]
    done = device.run(*(op_id if arg == "OP" else arg for arg in args))
    assert done.exit_code == 2
    assert said in done.stderr
    assert len(device.run("outbox", "--json").json) == 2


def test_retry_puts_one_or_all_back_into_the_queue(tmp_path: Path) -> None:
    device = refused_device(tmp_path)
    first, second = device.run("outbox", "--json").json
    not_failed = device.run("retry", second["op_id"])
    assert not_failed.exit_code == 2
    assert "has not failed" in not_failed.stderr
    assert "1 change is" in device.run("retry").stdout
    assert device.run("outbox", "--json").json[0]["state"] == "pending"
    assert "nothing to retry" in device.run("retry").stdout
    assert device.run("retry", first["op_id"], "--lang", "ko").exit_code == 2


def test_discard_asks_first(tmp_path: Path) -> None:
    device = refused_device(tmp_path)
    op_id = device.run("outbox", "--json").json[0]["op_id"]
    for answer in ("n\n", ""):
        kept = device.run("discard", op_id[:6], given=answer)
        assert kept.exit_code == 1
        assert len(device.run("outbox", "--json").json) == 2
    assert device.run("discard", op_id[:6], given="y\n").exit_code == 0
    assert len(device.run("outbox", "--json").json) == 1
    other = device.run("outbox", "--json").json[0]["op_id"]
    assert device.run("discard", other, "--yes", "--lang", "ko").exit_code == 0
    assert device.run("outbox", "--json").json == []
    assert device.run("outbox").exit_code == 0


def test_the_queue_can_be_written_to_a_file(tmp_path: Path) -> None:
    device = new_device(tmp_path)
    device.run("set", "patient", "p1", "name=Kim")
    file = tmp_path / "queue.jsonl"
    assert device.run("outbox", "--export", file).exit_code == 0
    (line,) = file.read_text(encoding="utf-8").splitlines()
    assert json.loads(line)["fields"] == {"name": "Kim"}


def test_a_beginning_that_fits_several_changes_is_refused(tmp_path: Path) -> None:
    device = new_device(tmp_path)
    for number in range(17):  # of 17 hexadecimal numbers two begin alike
        device.run("set", "patient", f"p{number}", "name=Kim")
    starts = [item["op_id"][0] for item in device.run("outbox", "--json").json]
    twice = next(start for start in starts if starts.count(start) > 1)
    done = device.run("discard", twice, "--yes")
    assert done.exit_code == 2
    assert "Give more of it" in done.stderr
    assert device.count() == 17


@pytest.mark.parametrize("ending", ["", "-wal", ".lock"])
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_no_output_takes_the_place_of_the_replica_it_is_read_from(
    tmp_path: Path, ending: str, lang: str
) -> None:
    """Invariant 4: the queue would be gone with the file."""
    device = new_device(tmp_path)
    device.run("set", "patient", "p1", "name=Kim")
    own = Path(f"{device.file}{ending}")
    link = tmp_path / "queue.jsonl"
    link.symlink_to(own)
    for out in (own, link):
        taken = device.run("outbox", "--export", out, "--lang", lang)
        assert taken.exit_code == 2
        assert ("belongs to" if lang == "en" else "다른 이름을") in taken.stderr
        options = ("-c", "patient", "--force", "--format", "jsonl", "--lang", lang)
        assert device.run("export", out, *options).exit_code == 2
    assert len(device.run("outbox", "--json").json) == 1


def test_a_replica_does_not_export_its_queue_over_itself(tmp_path: Path) -> None:
    device = new_device(tmp_path)
    device.run("set", "patient", "p1", "name=Kim")

    async def export() -> None:
        async with Replica.open(device.file, user="kim", read_only=True) as replica:
            with pytest.raises(UsageError, match="belongs to this replica"):
                await replica.export_outbox(device.file)
            assert len(replica.outbox) == 1

    finish(export())
