"""What people wrote, kept outside of everything that is under test.

The book is told of an op when it is made, and of what its author was told. So it
knows which ops must be somewhere, which may be, and which must be nowhere.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from typing import Literal

from crdtsync.documents.ops import EntryId, Op


class Broken(AssertionError):
    """An invariant does not hold."""

    def __init__(self, invariant: int, words: str) -> None:
        super().__init__(f"invariant {invariant}: {words}")
        self.invariant = invariant


Standing = Literal["unanswered", "written", "taken back", "never made", "gone with a disk"]
"""unanswered: the write has not returned (or failed), so the op may be there or not.
written: it returned, so the op must be in an outbox or in the log for ever.
never made: the program was killed while it wrote, and afterwards no disk had it.
taken back: its author edited or discarded it; it may have been accepted before.
gone with a disk: the only copy was on a disk that was replaced by an older one."""


@dataclass
class Note:
    """One op."""

    op: Op
    device: str
    standing: Standing = "unanswered"
    homes: set[str] = field(default_factory=set)
    """Devices whose files hold it as their own."""
    seen: dict[str, frozenset[EntryId]] = field(default_factory=dict)
    """Of a choice or a form: the entries that stood on the screen, by root."""
    former: tuple[Op, ...] = ()
    """Other ops of this op_id: those that came to nothing, and repeats in an old copy of a file."""


class Book:
    """Every op that was ever made."""

    def __init__(self) -> None:
        self.notes: dict[str, Note] = {}
        self.edit_of: dict[str, list[str]] = {}
        """Ops that took an op's place."""
        self.beaten: dict[str, set[tuple[str, EntryId]]] = {}
        """What an op beat when the server settled, by the winner's op_id."""
        self.accepted: dict[str, list[Mapping[str, tuple[str, ...]]]] = {}
        """What ops said when they came into the server's log, one that it has lost since
        included. An edit that came too late says there what was left to say: of a counter, the
        difference."""

    def made(self, op: Op, device: str) -> None:
        """An op was made on a device, in a transaction that may still fail."""
        note = self.notes.get(op.op_id)
        if note is None or note.standing != "written":
            # An op_id that was discarded, was lost with a disk, or never came to be, may
            # be used once more.
            self.notes.pop(op.op_id, None)
            former = () if note is None else (*note.former, note.op)
            self.notes[op.op_id] = Note(op, device, homes={device}, former=former)
            if op.replaces is not None:
                self.edit_of.setdefault(op.replaces, []).append(op.op_id)
        else:
            # An old copy of the device's file knows nothing of it, and a repeat writes it
            # there anew: it counts if the server, too, has lost the first one.
            note.former = (*note.former, op)

    def unanswered(self, device: str) -> list[Note]:
        """Ops of a device whose writes have not returned."""
        return [
            note
            for note in self.notes.values()
            if note.standing == "unanswered" and note.device == device
        ]

    def written(self) -> list[Note]:
        """Ops that must be somewhere."""
        return [note for note in self.notes.values() if note.standing == "written"]

    def may_be_nothing(self, note: Note) -> bool:
        """Whether an op is an edit that came too late and says what the first one had said.

        A device learns that the server has the first one at a moment of its own, even
        before the call that made the edit returns; then nothing is left to write.
        """
        return any(
            _says_the_same(note.op, said) for said in self.accepted.get(note.op.replaces or "", ())
        )

    def may_replace(self, op: Op, root: str) -> set[EntryId]:
        """Every entry of a field that an op may replace, by what its author had seen.

        That is what it named when it was made, and by inheritance what those had
        replaced or beaten in turn; of edited ops the one in the other's place.
        """
        made = self.notes[op.op_id].op
        allowed: set[EntryId] = set()
        todo = [*self._seen_by(op.op_id, root)]
        if made.replaces is not None:
            todo.extend(self._seen_by(made.replaces, root))
            todo.extend(EntryId(made.replaces, n) for n in range(10))
        while todo:
            seen = todo.pop()
            if seen in allowed:
                continue
            allowed.add(seen)
            todo.extend(self._seen_by(seen.op_id, root))
            todo.extend(one for at, one in self.beaten.get(seen.op_id, ()) if at == root)
            todo.extend(EntryId(edit, seen.n) for edit in self.edit_of.get(seen.op_id, ()))
            note = self.notes.get(seen.op_id)
            if note is not None and note.op.replaces is not None:
                todo.append(EntryId(note.op.replaces, seen.n))
        return allowed

    def replaces_more_than_seen(self, note: Note) -> set[EntryId]:
        """Entries that a fresh op replaces although its author did not have them on the screen.

        What another author wrote on this device and has not sent yet may be named as
        well, with what that had replaced.
        """
        more: set[EntryId] = set()
        for root, seen in note.seen.items():
            write = note.op.writes.get(root)
            if write is None:
                continue
            allowed = set(seen)
            for one in seen:
                allowed |= self._ancestors(one, root)
            more |= set(write.supersedes) - allowed
        return more

    def replaced_through(self, op: Op, root: str, accepted: Container[str]) -> set[EntryId]:
        """What an op replaces by its author's will: what it names, and through ops that
        were refused or taken back what those had named."""
        found: set[EntryId] = set()
        todo = list(self._seen_by(op.op_id, root))
        while todo:
            one = todo.pop()
            # Written once more after it was discarded, it comes after what had replaced it.
            if one not in found and one.op_id != op.op_id:
                found.add(one)
                note = self.notes.get(one.op_id)
                if one.op_id not in accepted and note is not None and not note.former:
                    todo.extend(self._seen_by(one.op_id, root))
        return found

    def _ancestors(self, entry: EntryId, root: str) -> set[EntryId]:
        found: set[EntryId] = set()
        todo = [entry]
        while todo:
            one = todo.pop()
            if one not in found:
                found.add(one)
                todo.extend(self._seen_by(one.op_id, root))
                # In the log that a server has lost, it may have beaten others.
                todo.extend(beat for at, beat in self.beaten.get(one.op_id, ()) if at == root)
        return found

    def _seen_by(self, op_id: str, root: str) -> tuple[EntryId, ...]:
        note = self.notes.get(op_id)
        ops = () if note is None else (note.op, *note.former)
        return tuple(seen for op in ops if root in op.writes for seen in op.writes[root].supersedes)


def _says_the_same(edit: Op, said: Mapping[str, tuple[str, ...]]) -> bool:
    return all(said.get(root) == write.values for root, write in edit.writes.items())
