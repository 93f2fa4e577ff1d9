"""Documents that live without a log, against a plain model, whatever the delivery."""

from __future__ import annotations

import random
from decimal import Decimal
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from crdtsync.documents.conflict import Conflict
from crdtsync.documents.document import RecordDocument
from crdtsync.documents.encoder import encode_document, encode_ops
from crdtsync.documents.errors import RecordDeleted, UnresolvedConflict
from crdtsync.documents.ops import EntryId, Op
from tests.documents.making import PATIENT, QUICK, assert_index_equals_doc, op_id, patient
from tests.documents.plain_record import PlainDevice, PlainOp

DEVICES = 3
ALLERGENS = st.frozensets(st.sampled_from(["nut", "latex", "땅콩"]), max_size=2)
TAG = st.sampled_from(["a", "b", "c"])

writes = st.one_of(
    st.tuples(st.just("name"), st.sampled_from(["Kim", "Lee", "김"])),
    st.tuples(st.just("phone"), st.one_of(st.none(), st.sampled_from(["1", "2"]))),
    st.tuples(st.just("allergies"), st.one_of(st.none(), ALLERGENS)),
    st.tuples(st.just("visits"), st.integers(-3, 3)),
    st.tuples(st.just("balance"), st.decimals(-5, 5, places=2)),
    st.tuples(st.just("add"), st.lists(TAG, min_size=1, max_size=2, unique=True)),
    st.tuples(st.just("remove"), st.sets(TAG, min_size=1)),
    st.tuples(st.just("delete"), st.none()),
    st.tuples(st.just("restore"), st.none()),
)
device = st.integers(0, DEVICES - 1)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), device, writes),
        st.tuples(st.just("open form"), device, st.none()),
        st.tuples(st.just("save form"), device, writes),
        st.tuples(st.just("send"), st.tuples(device, device), st.integers(0, 2**16)),
        st.tuples(st.just("merge"), st.tuples(device, device), st.booleans()),
        st.tuples(st.just("reopen"), device, st.none()),
    ),
    max_size=25,
)


class Devices:
    """Each device twice: as a document, and as the plain model says."""

    def __init__(self) -> None:
        self.documents = [patient() for _ in range(DEVICES)]
        self.plain = [PlainDevice() for _ in range(DEVICES)]
        self.held: list[dict[str, Op]] = [{} for _ in range(DEVICES)]
        self.ops: dict[str, tuple[Op, PlainOp]] = {}
        self.forms: dict[int, tuple[str, set[str]]] = {}
        self.numbers = iter(range(1, 10_000))

    def author(self, at: int) -> dict[str, Any]:
        number = next(self.numbers)
        # Clocks differ between devices, so time is not the order of writing.
        return {"op_id": op_id(number), "user": f"user-{at}", "time_us": number + 7 * at}

    def write(self, at: int, kind: str, value: Any, *, form: bool = False) -> None:
        document, plain = self.documents[at], self.plain[at]
        author = self.author(at)
        version, seen = self.forms.pop(at, (None, None)) if form else (None, None)
        based = {**author, "based_on": version}
        try:
            op = self._write(document, kind, value, author, based)
        except RecordDeleted:
            assert plain.deleted()
            return
        except UnresolvedConflict:
            assert kind == "allergies"
            shown = {v for s, v in plain.visible(kind).items() if seen is None or s[1] in seen}
            assert len(shown) > 1
            return
        twin = self._write_plain(plain, kind, value, author, seen)
        assert (op is None) == (twin is None)
        if op is not None and twin is not None:
            self.ops[op.op_id] = (op, twin)
            self.held[at][op.op_id] = op

    @staticmethod
    def _write(
        document: RecordDocument,
        kind: str,
        value: Any,
        author: dict[str, Any],
        based: dict[str, Any],
    ) -> Op | None:
        if kind in ("visits", "balance"):
            return document.increment({kind: value}, **author)
        if kind == "add":
            return document.add("tags", value, **based)
        if kind == "remove":
            return document.remove("tags", value, **based)
        if kind == "delete":
            return document.delete(**author)
        if kind == "restore":
            return document.restore(**author)
        return document.update({kind: value}, **based)

    @staticmethod
    def _write_plain(
        plain: PlainDevice, kind: str, value: Any, author: dict[str, Any], seen: set[str] | None
    ) -> PlainOp | None:
        if kind in ("visits", "balance"):
            return plain.count(kind, value, author)
        if kind == "add":
            return plain.change_set(value, set(), author, seen)
        if kind == "remove":
            return plain.change_set([], value, author, seen)
        if kind == "delete":
            return plain.delete(author)
        if kind == "restore":
            return plain.restore(author)
        return plain.assign(kind, value, author, seen)

    def send(self, source: int, target: int, seed: int) -> None:
        """Some of the ops, shuffled, some of them twice, one by one or together."""
        chance = random.Random(seed)
        ops = [op for op in self.held[source].values() if chance.random() < 0.7]
        ops += chance.sample(ops, len(ops) // 2)
        chance.shuffle(ops)
        if chance.random() < 0.5:
            for op in ops:
                self.documents[target].apply(op)
        else:
            self.documents[target].apply_many(ops)
        self.held[target].update({op.op_id: op for op in ops})
        self.plain[target].receive(self.ops[op.op_id][1] for op in ops)

    def merge(self, source: int, target: int, whole: bool) -> None:
        giver, taker = self.documents[source], self.documents[target]
        data = giver.encode() if whole else giver.encode(since=taker.state())
        before = taker.encode()
        assert taker.merge(data) == (taker.encode() != before)
        assert not taker.merge(data)
        applied = self.plain[source].applied
        self.held[target].update({name: self.ops[name][0] for name in applied})
        self.plain[target].receive(applied.values())

    def reopen(self, at: int) -> None:
        """Stored and loaded; ops that wait are not in the bytes and come again."""
        waiting = self.documents[at].waiting
        data = self.documents[at].encode()
        self.documents[at] = RecordDocument.open(data, PATIENT, "p1")
        assert self.documents[at].encode() == data
        self.documents[at].apply_many(waiting)

    def check(self, at: int) -> None:
        document, plain = self.documents[at], self.plain[at]
        assert read(document) == plain.read()
        assert {op.op_id for op in document.waiting} == plain.waiting
        assert_index_equals_doc(document)

    def run(self, program: list[Any]) -> None:
        for action, at, argument in program:
            if action == "send":
                self.send(at[0], at[1], argument)
            elif action == "merge":
                self.merge(at[0], at[1], argument)
            elif action == "open form":
                self.forms[at] = (str(self.documents[at].version), self.plain[at].shown_ops())
            elif action == "reopen":
                self.reopen(at)
            else:
                self.write(at, argument[0], argument[1], form=action == "save form")
            self.check(at[1] if action in ("send", "merge") else at)


def read(document: RecordDocument) -> dict[str, Any]:
    """A document in the terms of the plain model."""
    allergies = document["allergies"]
    if isinstance(allergies, Conflict):
        candidates = {candidate.value for candidate in allergies.candidates}
    else:
        written = any(e.field == "r/allergies" and e.visible for e in document.history())
        candidates = {allergies} if written else set()
    plain = {name: document[name] for name in ("name", "phone", "visits", "tags")}
    return {
        **plain,
        "allergies": candidates,
        "balance": Decimal(document["balance"]),
        "deleted": document.deleted,
    }


@QUICK
@given(steps)
def test_every_kind_reads_as_the_plain_model_says_after_every_step(program: list[Any]) -> None:
    Devices().run(program)


@QUICK
@given(steps, st.integers(0, 2**16))
def test_documents_with_the_same_ops_are_equal_byte_for_byte(program: list[Any], seed: int) -> None:
    devices = Devices()
    devices.run(program)
    chance = random.Random(seed)
    everything = [op for op, _ in devices.ops.values()]
    for document in [*devices.documents, patient()]:
        chance.shuffle(everything)
        cut = chance.randrange(len(everything) + 1)
        document.apply_many([*everything[:cut], *everything[: cut // 2]])
        document.apply_many(everything[cut:])
        assert document.waiting == ()
        devices.documents.append(document)
    first = devices.documents[0]
    encoded = {document.encode() for document in devices.documents}
    assert encoded == {encode_ops(everything)}
    gone = [
        (held.field, EntryId(held.op_id, held.n)) for held in first.history() if not held.visible
    ]
    assert encoded == {encode_document(first.to_state().entries(), gone)}
    assert len({document.state() for document in devices.documents}) == 1
    one = read(devices.documents[0])
    assert all(read(document) == one for document in devices.documents)


@QUICK
@given(steps)
def test_no_concurrent_manual_value_is_ever_lost(program: list[Any]) -> None:
    devices = Devices()
    devices.run(program)
    whole = patient()
    whole.apply_many(op for op, _ in devices.ops.values())
    replaced = {s for _, twin in devices.ops.values() for s in twin.replaces}
    written = {
        seen: value
        for _, twin in devices.ops.values()
        for seen, value in twin.adds.items()
        if seen[0] == "allergies"
    }
    shown = read(whole)["allergies"]
    for seen, value in written.items():
        # Every value is shown, or someone who had it on the screen replaced it.
        assert seen in replaced or value in shown


@QUICK
@given(steps)
def test_a_difference_since_a_state_heals_what_shuffled_delivery_left_open(
    program: list[Any],
) -> None:
    devices = Devices()
    devices.run(program)
    first, second = devices.documents[:2]
    to_second = first.encode(since=second.state())
    to_first = second.encode(since=first.state())
    second.merge(to_second)
    first.merge(to_first)
    assert first.encode() == second.encode()
    assert read(first) == read(second)
    if len(first.state()) > 1 and not first.tombstones:
        assert first.encode(since=second.state()) == b""
