"""``records``, ``get``, ``set``, ``delete``, ``undelete``, ``history``."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from crdtsync import Policy, Replica
from tests.cli.command_line import Device, conflicted_device, crdtsync, new_device, write_policy


@pytest.fixture
def device(tmp_path: Path) -> Device:
    """A device with an empty replica."""
    return new_device(tmp_path)


def test_the_first_set_makes_the_replica_where_space_and_policy_are_given(tmp_path: Path) -> None:
    device = Device(tmp_path / "new.db", "nurse-kim")
    missing = device.run("set", "patient", "p1", "name=Kim")
    assert missing.exit_code == 2
    assert "--space" in missing.stderr
    assert not list(tmp_path.iterdir())
    policy = write_policy(tmp_path)
    made = device.run("set", "patient", "p1", "name=Kim", "--space", "w", "--policy", policy)
    assert made.exit_code == 0
    assert device.run("get", "patient", "p1", "--json").json["fields"]["name"] == "Kim"


def test_set_reads_every_value_by_the_type_of_its_field(device: Device) -> None:
    done = device.run(
        "set", "patient", "p1", "name=007", "allergies=peanut; latex", "dose=1.50",
        "born=2020-01-31", "seen=2024-01-31T09:30:00+09:00", "smoker=no", 'notes=["a;b","c"]',
        'extra={"n": 1.5}', "tags=x;y", "--json",
    )  # fmt: skip
    assert done.exit_code == 0
    assert done.json["sync_state"] == "pending"
    assert done.json["updated_by"] == "nurse-kim"
    assert done.json["fields"] == {
        "name": "007",
        "phone": None,
        "allergies": ["latex", "peanut"],
        "dose": "1.50",
        "visits": 0,
        "tags": ["x", "y"],
        "born": "2020-01-31",
        "seen": "2024-01-31T09:30:00+09:00",
        "smoker": False,
        "notes": ["a;b", "c"],
        "extra": {"n": 1.5},
    }
    assert device.count() == 1


def test_counters_and_sets_take_steps_one_at_a_time(device: Device) -> None:
    for step in ("visits+=3", "visits-=1", "tags+=a;b", "tags-=a"):
        assert device.run("set", "patient", "p1", step).exit_code == 0
    fields = device.run("get", "patient", "p1", "--json").json["fields"]
    assert (fields["visits"], fields["tags"]) == (2, ["b"])
    before = device.count()
    for wrong in (["visits=3"], ["visits+=1", "name=x"], ["name+=x"], ["--clear", "visits"]):
        done = device.run("set", "patient", "p1", *wrong)
        assert done.exit_code == 2, wrong
        assert done.stderr
    assert device.count() == before


def test_clear_clears_and_an_empty_text_stays_a_text(device: Device) -> None:
    device.run("set", "patient", "p1", "name=Kim", "phone=010")
    fields = device.run("set", "patient", "p1", "name=", "--clear", "phone", "--json").json[
        "fields"
    ]
    assert (fields["name"], fields["phone"]) == ("", None)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["set", "patient", "p1", "nme=x"], "nme"),
        (["set", "patient", "p1", "born=2020-13-01"], "2024-01-31"),
        (["set", "patient", "p1", "smoker=perhaps"], "smoker"),
        (["set", "patient", "p1", "extra={oops"], "extra"),
        (["set", "patient", "p1", "name"], "FIELD=VALUE"),
        (["set", "patient", "p1"], "nothing to write"),
        (["set", "patient", "p1", "name=a", "name=b"], "twice"),
        (["set", "patient", "", "name=a"], "empty"),
        (["set", "patient", "a\x07b", "name=a"], "control"),
        (["set", "patint", "p1", "name=a"], "patient"),
        (["set", "patient", "p1", 'allergies={"conflict": [{"value": ["a"]}]}'], "conflict"),
        (["get", "patient", "p9"], "p9"),
        (["delete", "patient", "p9"], "p9"),
        (["undelete", "patient", "p9"], "p9"),
        (["history", "patient", "p9", "name"], "p9"),
        (["records", "patient", "--where", "name"], "FIELD=VALUE"),
        (["records", "patient", "--where", "nme=x"], "nme"),
        (["records", "patient", "--order-by", "nme"], "nme"),
    ],
)
@pytest.mark.parametrize("lang", ["en", "ko"])
def test_what_cannot_be_done_is_said_in_words_with_exit_code_2(
    device: Device, args: list[str], said: str, lang: str
) -> None:
    done = device.run(*args, "--lang", lang)
    assert done.exit_code == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    if lang == "en":
        assert said in done.stderr
    else:
        assert any("가" <= char <= "힣" for char in done.stderr)
    assert device.count() == 0


def test_based_on_replaces_only_what_the_person_saw(device: Device) -> None:
    version = device.run("set", "patient", "p1", "dose=1.0", "--json").json["version"]
    device.run("set", "patient", "p1", "dose=2.0")
    late = device.run("set", "patient", "p1", "dose=3.0", "--based-on", version, "--json")
    values = {c["value"] for c in late.json["fields"]["dose"]["conflict"]}
    assert values == {"2.0", "3.0"}
    refused = device.run("set", "patient", "p1", "dose=4.0")
    assert refused.exit_code == 1
    assert "crdtsync resolve patient p1 dose --choose" in refused.stderr
    assert device.run("set", "patient", "p1", "dose=4.0", "--based-on", "zzz").exit_code == 2


def test_a_deleted_record_comes_back_with_its_values(device: Device) -> None:
    device.run("set", "patient", "p1", "name=Kim")
    assert device.run("delete", "patient", "p1").exit_code == 0
    gone = device.run("get", "patient", "p1")
    assert gone.exit_code == 2
    assert "crdtsync undelete patient p1" in gone.stderr
    assert device.run("set", "patient", "p1", "name=x").exit_code == 2
    assert device.run("records", "patient", "--json").json == []
    assert device.run("undelete", "patient", "p1").exit_code == 0
    assert device.run("get", "patient", "p1", "--json").json["fields"]["name"] == "Kim"
    assert device.run("undelete", "patient", "p1").exit_code == 2


def test_records_filters_orders_and_limits(device: Device) -> None:
    for number, name in enumerate(["b", "a", "c"]):
        device.run("set", "patient", f"p{number}", f"name={name}", "tags=x" if number else "tags=y")

    def ids(*args: str) -> list[str]:
        return [row["id"] for row in device.run("records", "patient", "--json", *args).json]

    assert ids() == ["p0", "p1", "p2"]
    assert ids("--order-by", "name") == ["p1", "p0", "p2"]
    assert ids("--order-by", "name", "--descending", "--limit", "1") == ["p2"]
    assert ids("--where", "name=a") == ["p1"]
    assert ids("--where", "tags=x", "--where", "name=c") == ["p2"]
    assert ids("--where", "phone=") == ["p0", "p1", "p2"]
    assert "No record matches" in device.run("records", "patient", "--where", "name=z").stdout


def test_a_conflict_is_never_shown_as_one_value(tmp_path: Path) -> None:
    device = conflicted_device(tmp_path)
    found = device.run("get", "patient", "p1", "--json").json["fields"]["allergies"]
    assert {c["user"] for c in found["conflict"]} == {"nurse-kim", "dr-lee"}
    for args in (["records", "patient"], ["get", "patient", "p1"]):
        shown = device.run(*args, "--lang", "ko").stdout.replace("\n", "")
        assert "값 2개" in shown
        assert "latex" in shown
        assert "penicillin" in shown


def test_values_of_others_cannot_drive_the_terminal(device: Device) -> None:
    device.run("set", "patient", "p1", "name=a\x1b[31mred\u202ex[bold]y[/bold]\nz")
    shown = device.run("get", "patient", "p1").stdout
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "[bold]y[/bold]" in shown


def test_history_tells_who_when_and_why(device: Device) -> None:
    device.run("set", "patient", "p1", "phone=1")
    device.run("set", "patient", "p1", "phone=2")
    past = device.run("history", "patient", "p1", "phone", "--json").json
    assert [(item["value"], item["visible"]) for item in past["values"]] == [
        ("2", True),
        ("1", False),
    ]
    shown = device.run("history", "patient", "p1", "phone", "--lang", "ko")
    assert shown.exit_code == 0
    assert "쓴 사람" in shown.stdout


def test_options_may_come_from_the_environment(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRDTSYNC_REPLICA", str(device.file))
    monkeypatch.setenv("CRDTSYNC_USER", "dr-lee")
    monkeypatch.setenv("CRDTSYNC_LANG", "ko_KR.UTF-8")
    done = crdtsync("set", "patient", "p1", "name=Kim")
    assert done.exit_code == 0
    assert "이 기기에 저장했어요" in done.stdout
    assert "dr-lee" in done.stdout
    monkeypatch.setenv("CRDTSYNC_LANG", "fr")
    assert crdtsync("records", "patient").exit_code == 2


HIDING = """
version = 1
[patient.fields]
name  = { type = "string" }
notes = { type = "string", read = ["doctor"], write = ["doctor"] }
"""


def test_fields_that_a_role_hides_are_told_as_hidden_and_never_as_empty(tmp_path: Path) -> None:
    """Also where the file still holds the value, because a doctor signed in last."""
    file = tmp_path / "tablet.db"

    async def work() -> None:
        rules = Policy.parse(HIDING)
        async with Replica.open(file, space="w", policy=rules, user="lee") as replica:
            await replica.collection("patient").update("p1", name="Kim", notes="frail")
            await replica._open_store().change(lambda found: found.set_roles("kim", ["nurse"]))

    asyncio.run(work())
    nurse, doctor = Device(file, "kim"), Device(file, "lee")
    assert "frail" in doctor.run("get", "patient", "p1", "--user", "lee").stdout
    shown = nurse.run("get", "patient", "p1", "--user", "kim")
    assert "your role may not see this" in shown.stdout
    told = nurse.run("get", "patient", "p1", "--user", "kim", "--json").json
    assert told["fields"] == {"name": "Kim"}
    assert told["hidden"] == ["notes"]
    for command in (["records", "patient"], ["export", "-", "--collection", "patient"]):
        listed = nurse.run(*command, "--user", "kim")
        assert listed.exit_code == 0
        assert "Kim" in listed.stdout
        assert "notes" not in listed.stdout
        assert "frail" not in shown.stdout + listed.stdout
    asked = nurse.run("records", "patient", "--where", "notes=frail", "--user", "kim")
    assert asked.exit_code == 2
    assert "may not read" in asked.stderr
