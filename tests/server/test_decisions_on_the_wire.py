"""What the server answers to ops, as a replica sees it."""

from __future__ import annotations

from pathlib import Path

import pytest

from crdtsync.documents.ops import EntryId, Op
from crdtsync.documents.state import Removal
from crdtsync.protocol.messages import (
    Held,
    History,
    HistoryRequest,
    Receipt,
    RefusedOp,
)
from crdtsync_server.authentication import Credentials, Identity
from tests.server.serving import (
    START_US,
    Wire,
    delete,
    device,
    new_id,
    push_of,
    rows_of,
    serving,
    write,
)


class Clock:
    """A wall clock in the test's hand."""

    def __init__(self) -> None:
        self.now_us = START_US

    def __call__(self) -> int:
        return self.now_us


class OneRole:
    """Everyone is who they say, and a porter."""

    async def authenticate(self, credentials: Credentials) -> Identity:
        return Identity(credentials.user or "", frozenset({"porter"}))


async def refusal(wire: Wire, op: Op) -> RefusedOp:
    (answer,) = await wire.push(op)
    assert isinstance(answer, RefusedOp), answer
    return answer


@pytest.mark.parametrize(
    ("op", "code"),
    [
        (write({"r/name": '"Kim"'}, op_id="12345678-1234-1234-8234-123456789012"), "bad_op"),
        (write({"r/name": '"Kim"'}, record=""), "bad_record_id"),
        (write({"r/name": '"Kim"'}, record="a\x00b"), "bad_record_id"),
        (write({}), "bad_op"),
        (write({"name": '"Kim"'}), "wrong_shape"),
        (write({"r/name": ('"a"', '"b"')}), "wrong_shape"),
        (write({"c/name": "1"}), "wrong_shape"),
        (write({"r/nothing": "1"}), "unknown_field"),
        (write({"r/name": '"Kim"'}, collection="nothing"), "unknown_collection"),
        (write({"r/name": '"Kim"'}, user="lee"), "not_the_author"),
        (write({"r/name": "17"}), "wrong_type"),
        (write({"c/visits": "1.5"}), "wrong_type"),
        (write({"r/name": '"Ki\\u006d"'}), "not_canonical"),
        (write({"r/name": "{"}), "not_json"),
        (write({"d/": "{}"}), "bad_delete"),
    ],
)
async def test_an_op_that_cannot_be_is_refused_by_code_and_in_words(
    tmp_path: Path, op: Op, code: str
) -> None:
    async with serving(tmp_path) as server, device(server) as wire:
        refused = await refusal(wire, op)
        assert refused.code == code
        assert len(refused.words) > 20
        await wire.accept(write({"r/name": '"Kim"'}))
    assert rows_of(tmp_path, "SELECT count(*) FROM log") == [(1,)]


async def test_a_role_that_may_not_write_a_field_is_refused(tmp_path: Path) -> None:
    options = {"dev": False, "authenticator": OneRole()}
    async with serving(tmp_path, **options) as server, device(server) as wire:
        assert wire.welcome is not None
        assert wire.welcome.roles == ("porter",)
        refused = await refusal(wire, write({"r/allergies": '["peanut"]'}))
        assert (refused.code, refused.field) == ("not_permitted", "allergies")
        await wire.accept(write({"r/name": '"Kim"'}))


async def test_a_refusal_is_no_receipt_and_a_retry_is_judged_anew(tmp_path: Path) -> None:
    op = write({"r/name": '"Lee"'}, user="lee")
    async with serving(tmp_path) as server, device(server, "kim") as kim:
        assert (await refusal(kim, op)).code == "not_the_author"
        async with device(server, "lee") as lee:
            assert (await lee.accept(op)).seq == 1


async def test_an_op_after_one_that_was_not_accepted_is_held(tmp_path: Path) -> None:
    bad = write({"r/name": "17"})
    good = write({"r/name": '"Kim"'})
    last = write({"r/phone": '"010"'})
    async with serving(tmp_path) as server, device(server) as wire:
        answers = await wire.push(bad, good, last, after=[None, bad.op_id, good.op_id])
        assert isinstance(answers[0], RefusedOp)
        assert answers[1:] == [Held(good.op_id, bad.op_id), Held(last.op_id, good.op_id)]
        # Held is no refusal: with the first one mended they go through, in one push.
        mended = write({"r/name": '"17"'})
        answers = await wire.push(mended, good, last, after=[None, mended.op_id, good.op_id])
        assert [type(answer) for answer in answers] == [Receipt] * 3
        assert [type(a) for a in await wire.push(last, after=["not an id"])] == [Receipt]
        (held,) = await wire.push(write({"r/phone": '"011"'}), after=["not an id"])
        assert isinstance(held, Held)


async def test_superseding_an_entry_of_another_field_or_record_is_refused(tmp_path: Path) -> None:
    name = write({"r/name": '"Kim"'})
    elsewhere = write({"r/name": '"Lee"'}, record="p2")
    async with serving(tmp_path) as server, device(server) as wire:
        await wire.accept(name)
        await wire.accept(elsewhere)
        for seen, root in ((name, "r/phone"), (elsewhere, "r/name")):
            op = write({root: '"x"'}, supersedes={root: [EntryId(seen.op_id, 0)]})
            assert (await refusal(wire, op)).code == "bad_supersedes"
        visible = write({"r/name": '"x"'}, supersedes={"r/name": [EntryId(name.op_id, 0)]})
        await wire.accept(visible)
        gone = write({"r/name": '"y"'}, supersedes={"r/name": [EntryId(name.op_id, 0)]})
        await wire.accept(gone)


async def test_an_op_that_was_superseded_before_it_arrived_is_logged_as_superseded(
    tmp_path: Path,
) -> None:
    late = write({"r/allergies": '["latex"]'}, user="lee")
    choice = write(
        {"r/allergies": '["peanut"]'}, supersedes={"r/allergies": [EntryId(late.op_id, 0)]}
    )
    async with serving(tmp_path) as server, device(server) as kim, device(server, "lee") as lee:
        await kim.accept(choice)
        assert rows_of(tmp_path, "SELECT count(*) FROM graves") == [(1,)]
        # The same entry of another record is not buried by it.
        receipt = await lee.accept(late)
        assert receipt.outcomes == {"r/allergies": "superseded"}
        entry = (await kim.entries_to(2))[-1]
        assert entry.removed == (Removal("r/allergies", late.op_id, 0, "late"),)
        assert await lee.accept(late) == receipt
    assert rows_of(tmp_path, "SELECT count(*) FROM graves") == [(0,)]


async def test_a_grave_holds_for_its_own_record_only(tmp_path: Path) -> None:
    late = write({"r/name": '"Lee"'}, record="p2")
    hostile = write({"r/name": '"x"'}, supersedes={"r/name": [EntryId(late.op_id, 0)]})
    async with serving(tmp_path) as server, device(server) as wire:
        await wire.accept(hostile)
        assert (await wire.accept(late)).outcomes == {"r/name": "applied"}


async def test_a_grave_outlives_a_restart_and_holds_within_a_group(tmp_path: Path) -> None:
    late = write({"r/name": '"Lee"'})
    again = write({"r/phone": '"010"'})
    buries = {"r/name": [EntryId(late.op_id, 0)]}
    async with serving(tmp_path) as server, device(server) as wire:
        await wire.accept(write({"r/name": '"x"'}, supersedes=buries))
        one = write({"r/phone": '"1"'}, supersedes={"r/phone": [EntryId(again.op_id, 0)]})
        answers = await wire.push(one, again)
        assert isinstance(answers[1], Receipt)
        assert answers[1].outcomes == {"r/phone": "superseded"}
    async with serving(tmp_path) as server, device(server) as wire:
        assert (await wire.accept(late)).outcomes == {"r/name": "superseded"}


async def test_the_receive_time_never_runs_backwards(tmp_path: Path) -> None:
    clock = Clock()
    async with serving(tmp_path, now_us=clock) as server, device(server) as wire:
        first = await wire.accept(write({"c/visits": "1"}))
        clock.now_us -= 5_000_000
        second = await wire.accept(write({"c/visits": "1"}))
    async with serving(tmp_path, now_us=clock) as server, device(server) as wire:
        third = await wire.accept(write({"c/visits": "1"}))
        clock.now_us += 10_000_000
        fourth = await wire.accept(write({"c/visits": "1"}))
    assert first.received_us == second.received_us == third.received_us == START_US
    assert fourth.received_us == START_US + 5_000_000


async def test_a_conflict_opens_changes_is_resolved_and_is_opened_again_by_a_late_write(
    tmp_path: Path,
) -> None:
    field = "r/allergies"
    one = write({field: '["peanut"]'}, user="kim")
    two = write({field: '["latex"]'}, user="lee")
    three = write({field: '["milk"]'}, user="lee")
    both = [EntryId(op.op_id, 0) for op in (one, two, three)]
    choice = write({field: '["latex","peanut"]'}, supersedes={field: both})
    late = write({field: '["dust"]'}, user="lee")
    async with serving(tmp_path) as server, device(server) as kim, device(server, "lee") as lee:
        assert (await kim.accept(one)).outcomes == {field: "applied"}
        assert (await lee.accept(two)).outcomes == {field: "conflict"}
        assert (await lee.accept(three)).outcomes == {field: "conflict"}
        assert (await kim.accept(choice)).outcomes == {field: "applied"}
        assert (await lee.accept(late)).outcomes == {field: "conflict"}
    assert rows_of(tmp_path, "SELECT kind, seq, user FROM conflict_events ORDER BY seq") == [
        ("opened", 2, "lee"),
        ("changed", 3, "lee"),
        ("resolved", 4, "kim"),
        ("reopened", 5, "lee"),
    ]
    assert rows_of(tmp_path, "SELECT status, reopened, root FROM conflicts") == [("open", 1, field)]


async def test_equal_values_agree_a_conflict_away(tmp_path: Path) -> None:
    field = "r/allergies"
    one = write({field: '["peanut"]'}, user="kim")
    two = write({field: '["latex"]'}, user="lee")
    joins = write({field: '["peanut"]'}, user="lee", supersedes={field: [EntryId(two.op_id, 0)]})
    async with serving(tmp_path) as server, device(server) as kim, device(server, "lee") as lee:
        await kim.accept(one)
        await lee.accept(two)
        await lee.accept(joins)
    assert rows_of(tmp_path, "SELECT status FROM conflicts") == [("agreed",)]


async def test_an_edit_outside_the_base_of_a_delete_brings_the_record_back(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, device(server) as kim, device(server, "lee") as lee:
        seen = await kim.accept(write({"r/name": '"Kim"'}))
        assert (await kim.accept(delete(seq=seen.seq))).outcomes == {"d/": "applied"}
        await lee.accept(write({"r/phone": '"010"'}, user="lee"))
        entries = await kim.entries_to(3)
        assert [entry.revived for entry in entries] == [False, False, True]
        # A delete whose base is older than an edit is taken back at once.
        assert (await kim.accept(delete(seq=seen.seq))).outcomes == {"d/": "superseded"}
        # Within one group the edit counts as well.
        other = write({"r/name": '"Park"'}, record="p9")
        answers = await kim.push(other, delete("p9", seq=0, ops=()))
        assert isinstance(answers[1], Receipt)
        assert answers[1].outcomes == {"d/": "superseded"}
        covered = await kim.push(write({"r/note": '"x"'}, record="p8"))
        assert isinstance(covered[0], Receipt)
        answers = await kim.push(delete("p8", seq=covered[0].seq))
        assert isinstance(answers[0], Receipt)
        assert answers[0].outcomes == {"d/": "applied"}


async def test_history_is_paged_newest_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crdtsync_server.storage.reading.HISTORY_PAGE_ENTRIES", 3)
    async with serving(tmp_path) as server, device(server) as wire:
        for n in range(7):
            await wire.accept(write({"r/name": f'"{n}"'}))
            await wire.accept(write({"r/name": f'"{n}"'}, record="p2"))
        pages: list[History] = []
        before = 0
        while not pages or pages[-1].more:
            await wire.send(HistoryRequest(1, "patient", "p1", before))
            pages.append(await wire.receive_a(History))
            before = pages[-1].entries[-1].seq
    assert [[entry.seq for entry in page.entries] for page in pages] == [
        [13, 11, 9],
        [7, 5, 3],
        [1],
    ]
    assert all(page.complete for page in pages)


async def test_history_from_a_seq_of_another_record_begins_right_below_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, device(server) as wire:
        for record in ("p1", "p2", "p1", "p2"):
            await wire.accept(write({"r/name": '"x"'}, record=record))
        for before, seqs in ((0, [3, 1]), (4, [3, 1]), (2, [1]), (2**52, [3, 1])):
            await wire.send(HistoryRequest(1, "patient", "p1", before))
            page = await wire.receive_a(History)
            assert [entry.seq for entry in page.entries] == seqs
        await wire.send(HistoryRequest(2, "patient", "nobody"))
        assert await wire.receive_a(History) == History(2, (), True, False)


async def test_a_record_does_not_grow_without_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crdtsync_server.storage.sizes.MAX_RECORD_BYTES", 3_000)
    big = '"' + "x" * 900 + '"'
    async with serving(tmp_path) as server, device(server) as wire:
        first = write({"r/name": big})
        await wire.accept(first)
        await wire.accept(write({"r/phone": big}))
        assert (await refusal(wire, write({"r/note": big}))).code == "too_large"
        # What makes it smaller is always taken.
        seen = {"r/name": [EntryId(first.op_id, 0)]}
        await wire.accept(write({"r/name": '"x"'}, supersedes=seen))
        await wire.accept(write({"r/note": big}))


async def test_every_attempt_is_traceable_from_the_log(tmp_path: Path) -> None:
    """Invariant 11: the request, the replica, the attempts and the writer's time are kept."""
    push = push_of(write({"r/name": '"Kim"'}))
    replica_id = new_id()
    async with serving(tmp_path) as server, device(server, replica_id=replica_id) as wire:
        await wire.push_frame(push)
    found = rows_of(
        tmp_path,
        "SELECT lower(hex(request_id)), replicas.replica_id, attempts, created_us, replicas.device "
        "FROM log JOIN replicas ON replicas.id = log.replica",
    )
    request_id = push.request_id.replace("-", "")
    assert found == [(request_id, replica_id, 1, START_US, "a test")]


async def test_numbers_that_sqlite_cannot_hold_do_not_harm_the_group(tmp_path: Path) -> None:
    op = write({"r/name": '"Kim"'})
    huge = push_of(op)
    odd = type(huge.ops[0])(op, None, 2**64 - 1, -(2**63))
    async with serving(tmp_path) as server, device(server) as wire:
        (answer,) = await wire.push_frame(type(huge)(huge.request_id, (odd,)))
        assert isinstance(answer, Receipt)
    assert rows_of(tmp_path, "SELECT attempts, created_us FROM log") == [(0, 2**53 - 1)]
