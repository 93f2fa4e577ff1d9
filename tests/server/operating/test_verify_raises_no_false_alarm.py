"""Random programs of writes, deletes, late replacements and trimming: what the server made of
them is always sound, and one changed value in it never is."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from crdtsync.documents.ops import EntryId, Op
from crdtsync_server.operating.checking.verifying import verify
from tests.server.operating.planted_damage import change_record, replace_value
from tests.server.operating.ward_data import Ward, open_ward
from tests.server.serving import delete, new_id, write

REGISTERS = ("r/name", "r/phone", "r/allergies", "r/note")
RECORDS = 4


class Program:
    """Writes as devices make them that have seen some of what is there, drawn from a seed."""

    def __init__(self, ward: Ward, draw: Random) -> None:
        self._ward = ward
        self._draw = draw
        self._written: list[tuple[str, str, str]] = []
        self._to_come: list[tuple[str, str]] = []

    def run(self, steps: int) -> None:
        """So many steps; ops that are refused are no steps."""
        for _ in range(steps):
            op = self._draw_op()
            with contextlib.suppress(AssertionError):  # refused: too many candidates
                self._ward.push(op)
                self._written.append((op.op_id, op.record, next(iter(op.writes))))
            if self._draw.random() < 0.05:
                self._ward.trim(self._draw.randrange(1, len(self._ward.ops) + 2))

    def _draw_op(self) -> Op:
        draw, record = self._draw, f"p{self._draw.randrange(RECORDS)}"
        if self._to_come and draw.random() < 0.5:
            op_id, where = self._to_come.pop()
            return write({"r/note": '"late"'}, record=where, op_id=op_id)
        match draw.randrange(8):
            case 0:
                return write({"c/visits": str(draw.randrange(1, 5))}, record=record)
            case 1:
                seen = {"s/tags": self._seen(record, "s/tags")}
                return write({"s/tags": ('"a"', '"b"')}, record=record, supersedes=seen)
            case 2:
                return delete(record, seq=draw.randrange(len(self._ward.ops) + 1))
        root = draw.choice(REGISTERS)
        word = draw.choice("abc")
        value = f'["{word}"]' if root == "r/allergies" else f'"{word}"'
        seen = {root: [*self._seen(record, root), *self._unseen(record, root)]}
        time_us = self._ward.now_us + draw.randrange(-(10**10), 10**9)
        return write({root: value}, record=record, supersedes=seen, time_us=time_us)

    def _seen(self, record: str, root: str) -> Sequence[EntryId]:
        return [
            EntryId(op_id, 0)
            for op_id, where, its_root in self._written[-12:]
            if (where, its_root) == (record, root) and self._draw.random() < 0.5
        ]

    def _unseen(self, record: str, root: str) -> Sequence[EntryId]:
        """Something that another device has and the server has not, yet."""
        if root != "r/note" or self._draw.random() < 0.8:
            return []
        self._to_come.append((new_id(), record))
        return [EntryId(self._to_come[-1][0], 0)]


@pytest.mark.parametrize("seed", range(12))
def test_what_the_server_made_of_a_random_program_is_sound(tmp_path: Path, seed: int) -> None:
    draw = Random(seed)
    ward = open_ward(tmp_path)
    with contextlib.closing(ward.connection):
        ward.push(write({"r/name": '"first"'}, record="p0"))
        Program(ward, draw).run(draw.randrange(20, 80))
    path = tmp_path / "crdtsync.db"
    assert verify(path).findings.told == []
    ward = open_ward(tmp_path)
    with contextlib.closing(ward.connection):
        ward.push(write({"r/name": '"last"'}, record="p0"))
        change_record(ward.connection, "p0", replace_value)
    assert set(verify(path).findings.counts) == {"record_differs"}
