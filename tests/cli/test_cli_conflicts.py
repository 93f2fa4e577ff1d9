"""``conflicts`` and ``resolve``: every value shown, nothing preselected, nothing lost."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from crdtsync import Conflict, Policy, Replica
from crdtsync.cli.choosing import Choosing
from crdtsync_server.service import RunningServer
from tests.cli.command_line import POLICY, Device, conflicted_device, finish, new_device

SAW_NOTHING = "0"
"""The version of a record that its writer had never seen."""

FIELD = Policy.parse(POLICY).collection("patient").fields["allergies"]


@pytest.fixture
def device(tmp_path: Path) -> Device:
    """A device with a conflict on patient p1's allergies."""
    return conflicted_device(tmp_path)


def allergies(device: Device) -> object:
    """What the device shows now."""
    return device.run("get", "patient", "p1", "--json").json["fields"]["allergies"]


def test_all_values_stand_side_by_side_with_their_differences_in_words(device: Device) -> None:
    done = device.run("conflicts")
    assert done.exit_code == 1
    for words in (
        'Two different values for "allergies"',
        "In all of them: peanut",
        "Only here: latex",
        "Missing here: penicillin",
        "nurse-kim",
        "dr-lee",
        "[1]",
        "[2]",
    ):
        assert words in done.stdout
    korean = device.run("conflicts", "--lang", "ko").stdout
    assert "서로 다른 값이 있어요" in korean
    assert "여기에만 있음: latex" in korean


def test_conflicts_in_json_name_the_record_and_every_candidate(device: Device) -> None:
    done = device.run("conflicts", "--json")
    assert done.exit_code == 1
    (found,) = done.json
    assert (found["collection"], found["id"], found["field"]) == ("patient", "p1", "allergies")
    assert {c["user"] for c in found["candidates"]} == {"nurse-kim", "dr-lee"}
    assert found["version"] == device.run("get", "patient", "p1", "--json").json["version"]


def test_no_conflicts_is_exit_code_0(tmp_path: Path) -> None:
    device = new_device(tmp_path)
    assert device.run("conflicts").exit_code == 0
    assert device.run("conflicts", "--json").json == []


def test_a_value_resolves_and_the_others_stay_in_the_history(device: Device) -> None:
    done = device.run("resolve", "patient", "p1", "allergies", "peanut;dust")
    assert done.exit_code == 0
    assert allergies(device) == ["dust", "peanut"]
    assert device.run("conflicts").exit_code == 0
    past = device.run("history", "patient", "p1", "allergies", "--json").json["values"]
    assert [item["visible"] for item in past] == [True, False, False]
    again = device.run("resolve", "patient", "p1", "allergies", "latex")
    assert again.exit_code == 2
    assert "nothing to choose" in again.stderr


def test_keep_all_is_the_union(device: Device) -> None:
    assert device.run("resolve", "patient", "p1", "allergies", "--keep-all").exit_code == 0
    assert allergies(device) == ["latex", "peanut", "penicillin"]


def test_clear_decides_that_there_is_no_value(device: Device) -> None:
    assert device.run("resolve", "patient", "p1", "allergies", "--clear").exit_code == 0
    assert allergies(device) is None


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("2\ny\n", ["peanut", "penicillin"]),
        ("a\ny\n", ["latex", "peanut", "penicillin"]),
        ("1\nn\n\n9\n0\nx\n2\nmaybe\nyes\n", ["peanut", "penicillin"]),
        ("v\n\nv\n[oops\ndust; mould\ny\n", ["dust", "mould"]),
        ("1\n예\n", ["latex", "peanut"]),
    ],
)
def test_choosing_asks_until_it_is_confirmed(
    device: Device, typed: str, expected: list[str]
) -> None:
    done = device.run("resolve", "patient", "p1", "allergies", "--choose", given=typed)
    assert done.exit_code == 0, done.stderr
    assert allergies(device) == expected


@pytest.mark.parametrize("typed", ["", "q\n", "1\n", "1\nn\nq\n", "\n\n\n"])
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_leaving_the_choice_changes_nothing(device: Device, typed: str, lang: str) -> None:
    before = allergies(device)
    done = device.run(
        "resolve", "patient", "p1", "allergies", "--choose", "--lang", lang, given=typed
    )
    assert done.exit_code == 1
    assert ("아무것도 바꾸지" if lang == "ko" else "Nothing was changed") in done.stderr
    assert allergies(device) == before


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["p1", "allergies"], "--choose"),
        (["p1", "allergies", "a", "--choose"], "one of them"),
        (["p9", "allergies", "a"], "p9"),
        (["p1", "nme", "a"], "nme"),
        (["p1", "name", "a"], "nothing to choose"),
        (["p1", "allergies", "[1, 2]"], "allergies"),
    ],
)
def test_what_cannot_be_resolved_is_said(device: Device, args: list[str], said: str) -> None:
    done = device.run("resolve", "patient", *args)
    assert done.exit_code == 2
    assert said in done.stderr


def test_a_record_that_changed_since_it_was_listed_is_refused(device: Device) -> None:
    version = device.run("conflicts", "--json").json[0]["version"]
    late = device.run("set", "patient", "p1", "allergies=dust", "--based-on", SAW_NOTHING)
    assert late.exit_code == 0
    done = device.run("resolve", "patient", "p1", "allergies", "latex", "--seen", version)
    assert done.exit_code == 1
    assert "Look at all values again" in done.stderr


def test_a_record_of_which_another_field_changed_is_not_told_as_another_value(
    device: Device,
) -> None:
    version = device.run("conflicts", "--json").json[0]["version"]
    assert device.run("set", "patient", "p1", "phone=010").exit_code == 0
    done = device.run("resolve", "patient", "p1", "allergies", "latex", "--seen", version)
    assert done.exit_code == 1
    assert "patient p1 has changed since the version that you saw" in done.stderr
    assert "Another value" not in done.stderr
    assert len(device.run("conflicts", "--json").json) == 1


def test_a_value_that_arrives_while_the_person_thinks_stops_the_choice(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Device(device.file, "dr-park")

    def typed(_: str) -> str:
        if not answers:
            raise EOFError
        if len(answers) == 1:  # nothing is locked while the person is asked to confirm
            late = other.run("set", "patient", "p1", "allergies=dust", "--based-on", SAW_NOTHING)
            assert late.exit_code == 0
        return answers.pop(0)

    answers = ["1", "y"]
    monkeypatch.setattr("builtins.input", typed)
    done = device.run("resolve", "patient", "p1", "allergies", "--choose", "--lang", "ko")
    assert done.exit_code == 1
    assert "다른 값이 도착했어요" in done.stderr
    found = allergies(device)
    assert isinstance(found, dict)
    assert len(found["conflict"]) == 3
    shown = device.run("conflicts").stdout
    assert "3 different values" in shown
    assert "not sent yet" in shown


def test_a_single_value_cannot_keep_all(tmp_path: Path) -> None:
    device = new_device(tmp_path)
    version = device.run("set", "patient", "p1", "dose=1", "--json").json["version"]
    device.run("set", "patient", "p1", "dose=2")
    device.run("set", "patient", "p1", "dose=3", "--based-on", version)
    done = device.run("resolve", "patient", "p1", "dose", "--keep-all")
    assert done.exit_code == 2
    chosen = device.run("resolve", "patient", "p1", "dose", "--choose", given="a\nv\nx\n2.5\ny\n")
    assert chosen.exit_code == 0
    assert device.run("get", "patient", "p1", "--json").json["fields"]["dose"] == "2.5"


def test_a_choice_reaches_the_other_device(tmp_path: Path) -> None:
    device = conflicted_device(tmp_path)
    device.run("resolve", "patient", "p1", "allergies", "--keep-all")

    async def both() -> None:
        policy = Policy.parse(POLICY)
        async with (
            RunningServer(policy=policy, data=tmp_path / "server", dev=True) as server,
            Replica.open(device.file, user="nurse-kim") as tablet,
            Replica.open(tmp_path / "phone.db", user="dr-lee") as phone,
        ):
            await tablet.sync_once(server.url, timeout=20)
            await phone.sync_once(server.url, timeout=20)
            value = phone.collection("patient")["p1"]["allergies"]
            assert not isinstance(value, Conflict)
            assert value == {"latex", "peanut", "penicillin"}

    finish(both())


def test_the_steps_of_a_choice_preselect_nothing(device: Device) -> None:
    async def read() -> None:
        async with Replica.open(device.file, user="x", read_only=True) as replica:
            conflict = replica.collection("patient")["p1"]["allergies"]
        choosing = Choosing(conflict, FIELD, "en")
        for line in ("", "y", "n", "yes", "3", "-1", "１"):
            choosing.answer(line)
            assert choosing.said == "That is none of the choices."
            assert not choosing.decided

    asyncio.run(read())
