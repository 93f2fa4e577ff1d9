"""A field that a user may not read never reaches their device, whatever way it could take."""

from __future__ import annotations

from pathlib import Path

import pytest

from crdtsync import NotPermitted, Policy, Replica
from crdtsync_server.storage import reading
from crdtsync_server.storage.retention import trim_log
from tests.sync.sign_in import Roles
from tests.sync.test_away_longer_than_the_log import Network
from tests.sync.ward import (
    SPACE,
    Around,
    ServerLog,
    assert_alike,
    in_step,
    op_id,
    op_ids_of,
    server,
    until_status,
)

SECRET = "Huntington-XYZZY"
"""Looked for in the bytes of a device's file."""

RULES = """
version = {version}
[patient.fields]
name  = {{ type = "string" }}
tags  = {{ type = "set<string>", merge = "set" }}
notes = {{ type = "string", merge = "manual", {notes} }}
[diagnosis]
read = ["doctor"]
write = ["doctor"]
[diagnosis.fields]
code = {{ type = "string" }}
"""
DOCTORS_ONLY = 'read = ["doctor"], write = ["doctor"]'


def rules(version: int = 1, notes: str = DOCTORS_ONLY) -> Policy:
    return Policy.parse(RULES.format(version=version, notes=notes))


def device(
    folder: Path, name: str, user: str | None = None, policy: Policy | None = None
) -> Replica:
    return Replica.open(
        folder / f"{name}.db",
        space=SPACE,
        policy=policy or rules(),
        user=user or name,
        device=name,
        surroundings=Around(),
    )


def doors() -> Roles:
    return Roles(lee=["doctor"], park=["doctor"], kim=["nurse"], choi=["nurse"])


async def write_secrets(doctor: Replica, number: int = 1) -> None:
    patients = doctor.collection("patient")
    for n in range(number):
        await patients.update(f"p{n}", name=f"Patient {n}", notes=f"{SECRET} {n}")
    await patients.update("hidden", notes=SECRET)
    await patients.add("emptied", "tags", "gone")
    await patients.remove("emptied", "tags", "gone")
    await doctor.collection("diagnosis").update("d1", code=SECRET)


def file_holds(folder: Path, name: str, text: str = SECRET) -> bool:
    """Whether any byte of the device's files says so, its write-ahead log included."""
    return any(text.encode() in path.read_bytes() for path in folder.glob(f"{name}.db*"))


async def test_a_hidden_field_never_leaves_the_server_live_paged_or_as_history(
    tmp_path: Path,
) -> None:
    async with (
        server(tmp_path, rules=rules(), authenticator=doors()) as ward,
        device(tmp_path, "lee") as lee,
        device(tmp_path, "kim") as kim,
    ):
        kim.connect(ward.url)
        await in_step(kim)  # live before anything is written
        lee.connect(ward.url)
        await write_secrets(lee, 3)
        await in_step(lee, kim)
        async with device(tmp_path, "choi") as choi:
            choi.connect(ward.url)  # comes later: by snapshots
            await in_step(choi)
            assert_alike(kim, choi)
            for nurse in (kim, choi):
                patients = nurse.collection("patient")
                assert sorted(patients) == ["p0", "p1", "p2"]
                assert dict(patients["p1"]) == {"name": "Patient 1", "tags": frozenset()}
                assert patients["p1"].hidden == {"notes"}
                with pytest.raises(NotPermitted, match="may not read 'notes'"):
                    patients["p1"]["notes"]
                with pytest.raises(NotPermitted):
                    await patients.history("p1", "notes")
                with pytest.raises(NotPermitted):
                    await patients.where({"notes": SECRET})
                with pytest.raises(NotPermitted):
                    await patients.where(order_by="notes")
                assert len(nurse.collection("diagnosis")) == 0
                names = await patients.history("p1", "name")
                assert [past.value for past in names] == ["Patient 1"]
                assert names.complete
        assert lee.collection("patient")["p1"]["notes"] == f"{SECRET} 1"
    assert file_holds(tmp_path, "lee")
    for name in ("kim", "choi"):
        assert file_holds(tmp_path, name, "Patient 1")
        assert not file_holds(tmp_path, name)


async def test_a_role_that_is_withdrawn_takes_the_field_out_of_the_device(tmp_path: Path) -> None:
    people = doors()
    async with (
        server(tmp_path, rules=rules(), authenticator=people) as ward,
        device(tmp_path, "lee") as lee,
    ):
        async with device(tmp_path, "park") as park:
            for replica in (lee, park):
                replica.connect(ward.url)
            await write_secrets(lee, 5)
            await in_step(lee, park)
            assert park.collection("patient")["p3"]["notes"] == f"{SECRET} 3"
            await park.disconnect()
            people.roles["park"] = frozenset({"nurse"})
            waiting = op_id()
            await park.collection("patient").update("p0", notes="mine", op_id=waiting)
            park.connect(ward.url)
            status = await until_status(park, lambda status: status.needs_person)
            assert status.needs_person == 1  # what they had written waits for a person
            assert op_ids_of(park) == [waiting]
            await park.discard(waiting)
            await in_step(park)
            assert sorted(park.collection("patient")) == [f"p{n}" for n in range(5)]
            assert park.collection("patient")["p3"].hidden == {"notes"}
            assert park.notices() == []
            # At once, while the program runs: not only when it ends.
            assert not file_holds(tmp_path, "park")
            assert file_holds(tmp_path, "park", "Patient 3")
        # Granted again, everything is there again.
        people.roles["park"] = frozenset({"doctor"})
        async with device(tmp_path, "park") as park:
            park.connect(ward.url)
            await in_step(lee, park)
            assert_alike(lee, park)
            assert park.collection("diagnosis")["d1"]["code"] == SECRET
    ServerLog(tmp_path).assert_sound()


async def test_a_policy_that_hides_a_field_takes_it_out_of_every_device(tmp_path: Path) -> None:
    async with device(tmp_path, "kim") as kim, device(tmp_path, "lee") as lee:
        open_rules = rules(1, 'write = ["doctor"]')
        async with (
            device(tmp_path, "first", "lee", open_rules) as first,
            server(tmp_path, rules=open_rules, authenticator=doors()) as ward,
        ):
            first.connect(ward.url)
            await write_secrets(first, 3)
            await in_step(first)
        async with (
            device(tmp_path, "tablet", "choi", open_rules) as tablet,
        ):
            async with server(tmp_path, rules=open_rules, authenticator=doors()) as ward:
                tablet.connect(ward.url)
                await in_step(tablet)
                assert tablet.collection("patient")["p1"]["notes"] == f"{SECRET} 1"
                await tablet.disconnect()
            async with server(tmp_path, rules=rules(2), authenticator=doors()) as ward:
                tablet.connect(ward.url)
                await in_step(tablet)
                assert tablet.collection("patient")["p1"].hidden == {"notes"}
                assert tablet.collection("patient")["p1"]["name"] == "Patient 1"
                assert tablet.collection("patient").get("hidden") is None
        assert not file_holds(tmp_path, "tablet")
        assert kim.outbox == lee.outbox == []


async def test_a_nurse_deletes_a_record_whose_last_write_she_could_not_see(tmp_path: Path) -> None:
    """… and a hidden write that comes at the same time brings it back (keep)."""
    async with (
        server(tmp_path, rules=rules(), authenticator=doors()) as ward,
        device(tmp_path, "lee") as lee,
        device(tmp_path, "kim") as kim,
    ):
        for replica in (lee, kim):
            replica.connect(ward.url)
        for record in ("old", "new"):
            await lee.collection("patient").update(record, name="Kim")
            await lee.collection("patient").update(record, notes=SECRET)
        await in_step(lee, kim)
        read = kim.collection("patient")["new"]
        await kim.collection("patient").delete("old")
        await in_step(lee, kim)
        assert "old" not in lee.collection("patient")
        await kim.disconnect()
        await lee.collection("patient").update("new", notes="more")
        await in_step(lee)
        await kim.collection("patient").delete("new", based_on=read)
        kim.connect(ward.url)
        await in_step(lee, kim)
        assert "new" in lee.collection("patient")
        assert "new" in kim.collection("patient")
        assert [notice["kind"] for notice in kim.notices()] == ["brought_back"]


async def test_two_people_with_other_roles_share_a_device(tmp_path: Path) -> None:
    async with server(tmp_path, rules=rules(), authenticator=doors()) as ward:
        async with device(tmp_path, "desk", "park") as desk:
            desk.connect(ward.url)
            await write_secrets(desk, 2)
            await in_step(desk)
        async with device(tmp_path, "tablet", "lee") as tablet:
            tablet.connect(ward.url)
            await in_step(tablet)
            assert tablet.collection("patient")["p1"]["notes"] == f"{SECRET} 1"
        assert file_holds(tmp_path, "tablet")
        async with device(tmp_path, "tablet", "kim") as tablet:
            tablet.connect(ward.url)
            await in_step(tablet)
            assert tablet.collection("patient")["p1"].hidden == {"notes"}
            await tablet.collection("patient").update("p1", name="New")
            await in_step(tablet)
        assert not file_holds(tmp_path, "tablet")
        async with device(tmp_path, "tablet", "lee") as tablet:
            # Without a network she sees what the device has, and is not told that it is empty.
            assert tablet.collection("patient")["p1"]["name"] == "New"
            tablet.connect(ward.url)
            await in_step(tablet)
            assert tablet.collection("patient")["p1"]["notes"] == f"{SECRET} 1"


async def test_a_new_field_that_only_the_second_user_of_a_device_may_read_reaches_it(
    tmp_path: Path,
) -> None:
    """Both saw the same under the rules of before, so nothing was paged when they changed places:
    still it is the second one's roles that the device goes by."""
    people = Roles(lee=["doctor"], kim=["nurse"], choi=["clerk"])
    theirs = 'type = "string", write = ["doctor"], read = ["doctor", "clerk"]'
    room = f"{DOCTORS_ONLY} }}\nroom = {{ {theirs}"
    async with device(tmp_path, "lee") as lee:
        async with server(tmp_path, rules=rules(), authenticator=people) as ward:
            lee.connect(ward.url)
            await write_secrets(lee)
            for user in ("kim", "choi"):
                async with device(tmp_path, "tablet", user) as tablet:
                    tablet.connect(ward.url)
                    await in_step(lee, tablet)
            await lee.disconnect()
        async with (
            server(tmp_path, rules=rules(2, room), authenticator=people) as ward,
            device(tmp_path, "tablet", "choi") as tablet,
        ):
            for replica in (lee, tablet):
                replica.connect(ward.url)
            await in_step(lee, tablet)
            await lee.collection("patient").update("p0", room="12")
            await in_step(lee, tablet)
            assert tablet.collection("patient")["p0"]["room"] == "12"


async def test_a_form_that_was_open_when_a_role_was_granted_has_not_seen_what_was_hidden(
    tmp_path: Path,
) -> None:
    """Its version names a place in the log above that of the hidden value (invariant 6)."""
    people = doors()
    async with (
        server(tmp_path, rules=rules(), authenticator=people) as ward,
        device(tmp_path, "lee") as lee,
        device(tmp_path, "kim") as kim,
    ):
        for replica in (lee, kim):
            replica.connect(ward.url)
        await lee.collection("patient").update("p0", notes=SECRET)
        await lee.collection("patient").update("p0", name="Kim")
        await in_step(lee, kim)
        form = kim.collection("patient")["p0"]
        await kim.disconnect()
        people.roles["kim"] = frozenset({"doctor"})
        kim.connect(ward.url)
        await in_step(kim)
        await kim.collection("patient").update("p0", based_on=form.version, notes="none")
        await in_step(lee, kim)
        (conflict,) = lee.conflicts()
        assert sorted(one.value for one in conflict.candidates) == [SECRET, "none"]
        await kim.collection("patient").update("p0", based_on=form, name="Kim Minji")
        await in_step(lee, kim)
        assert lee.collection("patient")["p0"]["name"] == "Kim Minji"
        assert_alike(lee, kim)


async def empty_two(doctor: Replica) -> None:
    """Of two records all that a nurse could see of them goes; one is written to once more."""
    patients = doctor.collection("patient")
    for record in ("emptied", "noted"):
        await patients.remove(record, "tags", "gone")
    await patients.update("noted", notes=SECRET)
    await patients.update("secret", notes=SECRET)


async def write_two(doctor: Replica) -> None:
    """Two records of which a nurse sees the elements of a set."""
    for record in ("emptied", "noted"):
        await doctor.collection("patient").add(record, "tags", "gone")
    await doctor.collection("patient").update("other", name="Kim")


async def test_what_was_emptied_while_a_device_was_away_longer_than_the_log_goes_there_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PAGE_ROWS", 1)
    async with (
        server(tmp_path, rules=rules(), authenticator=doors()) as ward,
        device(tmp_path, "lee") as lee,
        device(tmp_path, "kim") as kim,
        device(tmp_path, "choi") as choi,
    ):
        for replica in (lee, kim, choi):
            replica.connect(ward.url)
        await write_two(lee)
        await in_step(lee, kim, choi)
        assert sorted(kim.collection("patient")) == ["emptied", "noted", "other"]
        await kim.disconnect()
        await empty_two(lee)
        await in_step(lee, choi)
        store, head = ward.service.store, ServerLog(tmp_path).seq
        await store.write(lambda connection: trim_log(connection, store.sql, SPACE, head))
        kim.connect(ward.url)
        await in_step(kim)
        assert sorted(kim.collection("patient")) == ["other"]
        assert_alike(kim, choi)
        # What she never could see is not told of, not even by its name.
        assert not file_holds(tmp_path, "kim", "secret")


async def test_what_was_emptied_before_a_role_changed_is_not_told_as_lost_by_a_restored_server(
    tmp_path: Path,
) -> None:
    people = Roles(lee=["doctor"], kim=["doctor"])
    async with (
        server(tmp_path, rules=rules(), authenticator=people) as ward,
        device(tmp_path, "lee") as lee,
        device(tmp_path, "kim") as kim,
    ):
        for replica in (lee, kim):
            replica.connect(ward.url)
        await write_two(lee)
        await in_step(lee, kim)
        await kim.disconnect()
        await empty_two(lee)
        await in_step(lee)
        people.roles["kim"] = frozenset({"nurse"})
        kim.connect(ward.url)
        await in_step(kim)
        assert sorted(kim.collection("patient")) == ["other"]
        assert kim.notices() == []


async def test_what_was_emptied_while_it_was_paged_goes_from_the_device_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PAGE_ROWS", 1)
    network = Network()
    async with (
        server(tmp_path, rules=rules(), authenticator=doors()) as ward,
        device(tmp_path, "lee") as lee,
        device(tmp_path, "choi") as choi,
        Replica.open(
            tmp_path / "kim.db", space=SPACE, policy=rules(), user="kim", dial=network.dial
        ) as kim,
    ):
        for replica in (lee, choi):
            replica.connect(ward.url)
        await write_two(lee)
        await in_step(lee, choi)

        async def at_page() -> None:
            if network.arrived.count("SnapshotPage") == 3:  # both have been paged
                await empty_two(lee)
                await in_step(lee)

        network.at_page = at_page
        kim.connect(ward.url)
        await in_step(kim, choi)
        assert sorted(kim.collection("patient")) == ["other"]
        assert_alike(kim, choi)


async def test_a_page_of_hidden_records_is_empty_and_paging_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "PAGE_ROWS", 2)
    async with (
        server(tmp_path, rules=rules(), authenticator=doors()) as ward,
        device(tmp_path, "lee") as lee,
        device(tmp_path, "kim") as kim,
    ):
        lee.connect(ward.url)
        await lee.collection("patient").update("first", name="Kim")
        for n in range(7):
            await lee.collection("diagnosis").update(f"d{n}", code=SECRET)
        await lee.collection("patient").update("last", name="Lee")
        await in_step(lee)
        kim.connect(ward.url)
        await in_step(kim)
        assert sorted(kim.collection("patient")) == ["first", "last"]
