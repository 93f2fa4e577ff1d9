"""Taking back an op whose answer was lost: it waits until the server has said whether it has it."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from crdtsync import NoSuchOperation
from crdtsync_server.acceptance.proxy import Proxy, Sender
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


@pytest.mark.parametrize("reached", [True, False], ids=["the server has it", "the server has not"])
@pytest.mark.parametrize("restart", [False, True], ids=["", "both restarted"])
async def test_a_discard_of_an_op_in_doubt_waits_for_the_servers_word(
    tmp_path: Path, reached: bool, restart: bool
) -> None:
    first, second = op_id(), op_id()
    tablet, ward = device(tmp_path, "tablet"), server(tmp_path)
    async with (
        Proxy() as proxy,
        device(tmp_path, "phone") as phone,
        AsyncExitStack() as at_the_end,
    ):
        await ward.start()
        await tablet.start()
        proxy.upstream_port = ward.port
        patients = tablet.collection("patient")
        await patients.increment("p1", "visits", 1, op_id=first)
        await patients.increment("p1", "visits", 10, op_id=second)

        async def no_network() -> None:
            proxy.online = False

        sender: Sender = "server" if reached else "replica"
        fault = proxy.fault(sender, "answers" if reached else "push", act=no_network)
        tablet.connect(proxy.url)
        await fault.happened.wait()
        await until_status(tablet, lambda status: status.sending == 0)
        assert not await tablet.discard(first)
        if restart:
            await tablet.close()
            await ward.stop()
            ward = server(tmp_path)
            await ward.start()
            proxy.upstream_port = ward.port
            await tablet.start()
            tablet.connect(proxy.url)
        at_the_end.push_async_callback(ward.stop)
        at_the_end.push_async_callback(tablet.close)
        assert [item.cancelling for item in tablet.outbox] == [True, False]
        assert tablet.outbox[1].waits_for == first
        proxy.go_online()
        phone.connect(ward.url)
        await in_step(tablet, phone)
        assert_alike(tablet, phone)
        visits = phone.collection("patient")["p1"]["visits"]
        kinds = [notice["kind"] for notice in tablet.notices()]
        if reached:
            assert (visits, kinds) == (11, ["too_late_to_discard"])
            assert_once(tmp_path, [first, second])
        else:
            assert (visits, kinds) == (10, [])
            assert_once(tmp_path, [second])


@pytest.mark.parametrize("reached", [True, False], ids=["the server has it", "the server has not"])
async def test_an_edit_of_an_op_in_doubt_ends_with_the_edited_value_and_nothing_twice(
    tmp_path: Path, reached: bool
) -> None:
    first, second = op_id(), op_id()
    async with (
        server(tmp_path) as ward,
        Proxy(ward.port) as proxy,
        device(tmp_path, "tablet") as tablet,
        device(tmp_path, "phone") as phone,
    ):
        patients = tablet.collection("patient")
        await patients.update("p1", allergies={"latex"}, op_id=first)
        await patients.update("p2", name="Park", op_id=second)

        async def no_network() -> None:
            proxy.online = False

        fault = proxy.fault(
            "server" if reached else "replica", "answers" if reached else "push", act=no_network
        )
        tablet.connect(proxy.url)
        await fault.happened.wait()
        await until_status(tablet, lambda status: status.sending == 0)
        assert not await tablet.edit(first, {"allergies": {"nuts"}})
        assert [item.op_id for item in tablet.outbox if item.cancelling] == [first]
        proxy.go_online()
        phone.connect(ward.url)
        await in_step(tablet, phone)
        assert_alike(tablet, phone)
        assert phone.collection("patient")["p1"]["allergies"] == {"nuts"}
        with pytest.raises(NoSuchOperation):
            await tablet.retry(first)
        history = await phone.collection("patient").history("p1", "allergies")
        values = [past.value for past in history]
        assert values == ([{"nuts"}, {"latex"}] if reached else [{"nuts"}])
        (edited,) = {past.op_id for past in history} - {first}
        assert_once(tmp_path, [first, second, edited] if reached else [second, edited])


async def test_a_lost_receipt_and_a_restart_of_both_is_no_second_op(tmp_path: Path) -> None:
    written = [op_id() for _ in range(20)]
    async with Proxy() as proxy:
        async with server(tmp_path) as ward, device(tmp_path, "tablet") as tablet:
            proxy.upstream_port = ward.port
            for n, one in enumerate(written):
                await tablet.collection("patient").increment(f"p{n % 3}", "visits", op_id=one)

            async def no_network() -> None:
                proxy.online = False

            fault = proxy.fault("server", "answers", act=no_network)
            tablet.connect(proxy.url)
            await fault.happened.wait()
        proxy.go_online()
        async with (
            server(tmp_path) as ward,
            device(tmp_path, "tablet") as tablet,
            device(tmp_path, "phone") as phone,
        ):
            proxy.upstream_port = ward.port
            # The receipts were lost, so as far as the tablet knows nothing was accepted.
            assert op_ids_of(tablet) == written
            assert {item.state for item in tablet.outbox} == {"pending"}
            tablet.connect(proxy.url)
            phone.connect(proxy.url)
            await in_step(tablet, phone)
            assert_alike(tablet, phone)
            visits = [record["visits"] for record in phone.collection("patient").values()]
            assert sum(visits) == len(written)
            assert_once(tmp_path, written)
