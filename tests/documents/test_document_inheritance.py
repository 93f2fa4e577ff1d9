"""When an op is refused or discarded, what was written on top of it takes its place."""

from __future__ import annotations

from crdtsync.documents import writing
from crdtsync.documents.ops import EntryId, Op
from crdtsync.documents.state import RecordState
from tests.documents.devices_with_server import Device, Server, state_reading
from tests.documents.making import PATIENT, op_id


def _server_with(device: Device, kind: str, value: object) -> Server:
    server = Server()
    device.write(kind, value, 1)
    server.accept(device.outbox[0], 5)
    device.pull(server.log, 1)
    return server


def test_a_write_on_top_of_a_discarded_one_supersedes_what_that_had_superseded() -> None:
    device = Device(0)
    server = _server_with(device, "allergies", {"nut"})
    device.write("allergies", {"latex"}, 2)
    device.write("allergies", {"egg"}, 3)
    device.discard(0)
    (left,) = device.outbox
    assert EntryId(op_id(1), 0) in left.writes["r/allergies"].supersedes
    server.accept(left, 6)
    device.pull(server.log, 2)
    assert device.document["allergies"] == {"egg"}


def test_inheritance_passes_through_a_chain_of_discarded_writes() -> None:
    device = Device(0)
    server = _server_with(device, "allergies", {"nut"})
    for number, value in ((2, {"a"}), (3, {"b"}), (4, {"c"})):
        device.write("allergies", value, number)
    device.discard(0)
    device.discard(0)
    server.accept(device.outbox[0], 6)
    device.pull(server.log, 2)
    assert device.document["allergies"] == {"c"}


def test_a_discarded_op_that_arrives_after_all_is_already_superseded() -> None:
    device = Device(0)
    server = _server_with(device, "allergies", {"nut"})
    device.write("allergies", {"latex"}, 2)
    device.write("allergies", {"egg"}, 3)
    gone = device.discard(0)
    server.accept(device.outbox[0], 6)
    server.accept(gone, 7)
    server.check()
    device.pull(server.log, 3)
    assert device.document["allergies"] == {"egg"}
    assert server.log[-1].removed[-1].why == "late"


def test_a_set_inherits_the_adds_of_the_same_element_only() -> None:
    device = Device(0)
    server = _server_with(device, "add", ["a", "b"])
    device.write("add", ["a", "b"], 2)
    device.write("remove", {"a"}, 3)
    device.discard(0)
    (left,) = device.outbox
    superseded = set(left.writes["s/tags"].supersedes)
    assert EntryId(op_id(1), 0) in superseded
    assert EntryId(op_id(1), 1) not in superseded
    server.accept(left, 6)
    device.pull(server.log, 2)
    assert device.document["tags"] == {"b"}


def test_without_inheritance_the_value_would_be_doubled() -> None:
    """The rule has work to do: the same story without it ends in a false conflict."""
    device = Device(0)
    server = _server_with(device, "allergies", {"nut"})
    device.write("allergies", {"latex"}, 2)
    # A form of another program that knows only the pending value.
    shown = device.shown()
    author = writing.Authorship(op_id(3), "user-0", 30)
    seen = [entry.id for entry in shown.visible("r/allergies")]
    op = writing.resolve(shown, PATIENT, "allergies", {"egg"}, seen, author)
    server.accept(op, 6)
    assert len(state_reading(server.state)["allergies"]) == 2
    inherited = writing.inherit(op, device.outbox[0], PATIENT, lambda root, seen: None)
    fresh = Device(1)
    again = _server_with(fresh, "allergies", {"nut"})
    again.accept(inherited, 6)
    assert state_reading(again.state)["allergies"] == frozenset({"egg"})


def test_an_op_that_named_nothing_of_the_discarded_one_stays_as_it_is() -> None:
    device = Device(0)
    device.write("name", "Kim", 1)
    device.write("phone", "1", 2)
    phone = device.outbox[1]
    device.discard(0)
    assert device.outbox == [phone]
    assert isinstance(phone, Op)
    assert isinstance(device.shown(), RecordState)
