"""When an op is refused or discarded, what was written on top of it takes its place."""

from __future__ import annotations

from crdtsync.documents import writing
from crdtsync.documents.ops import EntryId, FieldWrite, Op
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


def _known(root: str, seen: EntryId) -> str | None:
    return {EntryId(op_id(1), 0): '"a"', EntryId(op_id(1), 1): '"b"'}.get(seen)


def _op(number: int, root: str, *values: str, supersedes: tuple[EntryId, ...] = ()) -> Op:
    write = FieldWrite(values, supersedes)
    return Op(op_id(number), "kim", "patient", "p1", number, {root: write}, op_id(50))


def test_without_its_name_the_op_that_is_gone_is_not_superseded_any_more() -> None:
    """An op that its author edited: the name would point at what never comes."""
    first, second = EntryId(op_id(1), 0), EntryId(op_id(2), 0)
    other = EntryId(op_id(7), 0)
    gone = _op(2, "r/name", '"b"', supersedes=(first,))
    op = _op(3, "r/name", '"c"', supersedes=(second, other))
    with_name = writing.inherit(op, gone, PATIENT, _known)
    assert with_name.writes["r/name"] == FieldWrite(('"c"',), (second, other, first))
    without = writing.inherit(op, gone, PATIENT, _known, keep_name=False)
    assert without.writes["r/name"] == FieldWrite(('"c"',), (other, first))
    assert (without.op_id, without.user, without.time_us) == (op.op_id, "kim", 3)
    assert (without.collection, without.record, without.replaces) == ("patient", "p1", op_id(50))


def test_a_removal_that_names_nothing_else_keeps_the_name_of_what_is_gone() -> None:
    added = EntryId(op_id(2), 0)
    gone = _op(2, "s/tags", '"z"')
    removal = _op(3, "s/tags", supersedes=(added,))
    left = writing.inherit(removal, gone, PATIENT, _known, keep_name=False)
    assert left.writes["s/tags"] == FieldWrite((), (added,))
    adding = _op(3, "s/tags", '"z"', supersedes=(added,))
    left = writing.inherit(adding, gone, PATIENT, _known, keep_name=False)
    assert left.writes["s/tags"] == FieldWrite(('"z"',), ())


def test_a_set_inherits_what_is_known_to_be_the_same_element_whatever_its_spelling() -> None:
    a, b, unknown = EntryId(op_id(1), 0), EntryId(op_id(1), 1), EntryId(op_id(9), 0)
    gone = _op(2, "s/tags", '"a"', '"b"', supersedes=(a, b, unknown))
    op = _op(3, "s/tags", supersedes=(EntryId(op_id(2), 0),))
    for policy in (PATIENT, None):
        inherited = writing.inherit(op, gone, policy, _known)
        assert inherited.writes["s/tags"].supersedes == (EntryId(op_id(2), 0), a)
    beyond = _op(3, "s/tags", supersedes=(EntryId(op_id(2), 7),))
    assert writing.inherit(beyond, gone, PATIENT, _known) == beyond


def test_what_the_op_that_is_gone_wrote_elsewhere_is_not_inherited() -> None:
    gone = _op(2, "r/phone", '"b"', supersedes=(EntryId(op_id(1), 0),))
    op = _op(3, "r/name", '"c"', supersedes=(EntryId(op_id(2), 0),))
    assert writing.inherit(op, gone, PATIENT, _known) == op


def test_an_op_never_inherits_itself() -> None:
    gone = _op(2, "r/name", '"b"', supersedes=(EntryId(op_id(3), 0), EntryId(op_id(1), 0)))
    op = _op(3, "r/name", '"c"', supersedes=(EntryId(op_id(2), 0),))
    inherited = writing.inherit(op, gone, PATIENT, _known)
    assert inherited.writes["r/name"].supersedes == (EntryId(op_id(2), 0), EntryId(op_id(1), 0))
