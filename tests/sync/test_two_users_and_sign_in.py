"""Ops go out under their author's sign-in only, and wait for it as long as it takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from crdtsync import Conflict, SignedOut, SyncState
from tests.sync.sign_in import Roles
from tests.sync.ward import (
    assert_alike,
    assert_once,
    device,
    in_step,
    op_id,
    op_ids_of,
    server,
    until_status,
)


async def test_the_ops_of_another_user_wait_for_that_users_sign_in(tmp_path: Path) -> None:
    kim, lee = [op_id() for _ in range(3)], [op_id() for _ in range(3)]
    async with server(tmp_path) as ward:
        async with device(tmp_path, "shared", user="kim") as shared:
            patients = shared.collection("patient")
            await patients.update("p1", name="Kim's", allergies={"latex"}, op_id=kim[0])
            await patients.increment("p1", "visits", 1, op_id=kim[1])
            await patients.update("p2", name="Kim's too", op_id=kim[2])
        async with device(tmp_path, "shared", user="lee") as shared:
            patients = shared.collection("patient")
            assert patients["p1"]["name"] == "Kim's"
            await patients.update("p1", name="Lee's", allergies={"nuts"}, op_id=lee[0])
            await patients.increment("p1", "visits", 10, op_id=lee[1])
            await patients.update("p3", name="Lee's too", op_id=lee[2])
            shared.connect(ward.url)
            with pytest.raises(SignedOut, match="3 changes"):
                await shared.synced(timeout=20)
            status = shared.status
            assert (status.signed_out_ops, status.waiting) == (3, 3)
            assert op_ids_of(shared) == kim
            assert_once(tmp_path, lee)
        async with (
            device(tmp_path, "shared", user="kim") as shared,
            device(tmp_path, "phone") as phone,
        ):
            shared.connect(ward.url)
            phone.connect(ward.url)
            await in_step(shared, phone)
            assert_alike(shared, phone)
            record = phone.collection("patient")["p1"]
            # Lee saw Kim's values and replaced them; that they arrive later changes nothing.
            assert (record["name"], record["visits"]) == ("Lee's", 11)
            assert not isinstance(record["allergies"], Conflict)
            assert record["allergies"] == {"nuts"}
            assert {"p1", "p2", "p3"} == set(phone.collection("patient"))
            assert_once(tmp_path, [*kim, *lee])
            why = [past.left_because for past in await record.history("allergies")]
            assert why == ["late", None]


async def test_without_a_sign_in_everything_waits_and_says_so(tmp_path: Path) -> None:
    doors = Roles(phone=[])
    written = [op_id() for _ in range(4)]
    async with (
        server(tmp_path, authenticator=doors) as ward,
        device(tmp_path, "tablet") as tablet,
        device(tmp_path, "phone") as phone,
    ):
        for one in written:
            await tablet.collection("patient").increment("p1", "visits", op_id=one)
        tablet.connect(ward.url)
        phone.connect(ward.url)
        with pytest.raises(SignedOut):
            await tablet.synced(timeout=20)
        status = tablet.status
        assert status.state is SyncState.SIGNED_OUT
        assert status.waiting == 4
        assert "4" in status.message()
        assert "4" in status.message("ko")
        assert op_ids_of(tablet) == written
        doors.roles["tablet"] = frozenset()
        tablet.connect(ward.url)  # signed in again
        await in_step(tablet, phone)
        assert_alike(tablet, phone)
        assert phone.collection("patient")["p1"]["visits"] == 4
        assert_once(tmp_path, written)


async def test_a_sign_in_that_cannot_be_checked_is_tried_again_by_itself(tmp_path: Path) -> None:
    class Broken(Roles):
        attempts = 0

        async def authenticate(self, credentials):  # type: ignore[no-untyped-def]
            self.attempts += 1
            if self.attempts == 1:
                raise RuntimeError("the directory does not answer")
            return await super().authenticate(credentials)

    doors = Broken(tablet=[])
    written = op_id()
    async with (
        server(tmp_path, authenticator=doors) as ward,
        device(tmp_path, "tablet") as tablet,
    ):
        await tablet.collection("patient").increment("p1", "visits", op_id=written)
        tablet.connect(ward.url)
        status = await until_status(tablet, lambda status: status.next_retry is not None)
        assert status.problem == "sign-in cannot be checked now"
        assert status.state is not SyncState.SIGNED_OUT
        tablet.connect(ward.url)  # the person asks for it at once
        await tablet.synced(timeout=20)
        assert doors.attempts == 2
        assert_once(tmp_path, [written])
