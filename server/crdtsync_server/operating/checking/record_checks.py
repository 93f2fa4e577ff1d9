"""Records: each is what its log entries give, its document agrees, its conflicts are known."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import msgspec

from crdtsync.documents.document import RecordDocument
from crdtsync.documents.errors import DocumentError
from crdtsync.documents.folding import add_deltas, fold_counters
from crdtsync.documents.ops import EntryId
from crdtsync.documents.reading import is_open
from crdtsync.documents.state import LogEntry, RecordState
from crdtsync_server.operating.checking.book import Book, Space, readable_entry
from crdtsync_server.operating.checking.findings import Progress, step
from crdtsync_server.storage.keys import position

HELD_BYTES = 16 * 1_048_576
"""Of one record's log entries that are held between walking back and replaying; of a longer
history the rows are read a second time."""

_CANDIDATES = msgspec.msgpack.Decoder(tuple[EntryId, ...])

_COUNTER = "c/"


def check_records(book: Book, progress: Progress) -> None:
    """Every record, by the order of its row, against the chain of its log entries."""
    (total,) = book.connection.execute("SELECT count(*) FROM records").fetchone()
    with step("records", total, progress) as reached:
        reached.every = 200
        for row in book.connection.execute(
            "SELECT space, collection, record, position, state FROM records ORDER BY id"
        ):
            _check_record(book, *row)
            reached.count()
    for space in book.spaces.values():
        if space.linked != space.rows:
            book.findings.add(
                "entry_unlinked",
                space.name,
                f"{space.rows} log rows, but the records lead to {space.linked} of them",
            )


def _check_record(
    book: Book, space_id: int, collection: str, record: str, place: int, data: bytes
) -> None:
    space = book.spaces.get(space_id)
    where = f"{space.name if space else f'space {space_id}'} {collection}/{record}"
    if space is None:
        book.findings.add("record_differs", where, "its space does not exist")
        return
    newest_seq = place - position(space.id, 0)
    walk = _walk(book, space, where, collection, record, newest_seq)
    try:
        state = RecordState.decode(collection, record, data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        book.findings.add("unreadable_record", where, f"it cannot be decoded: {error}")
        return
    if state.seq != newest_seq:
        book.findings.add(
            "wrong_position", where, f"it stands as of seq {state.seq}, its row says {newest_seq}"
        )
    replayed = _replay(book, space, state, walk)
    wrong = _differences(state, replayed, walk, space.log_start)
    for words in wrong:
        book.findings.add("record_differs", where, words)
    if not wrong:
        _check_document(book, where, state)
    _check_conflicts(book, space, where, state)


# ── the chain of a record's entries ─────────────────────────────────────────


@dataclass(slots=True)
class _Walk:
    """A record's log entries, found from its newest by ``prev_seq``."""

    seqs: list[int] = field(default_factory=list)
    """Of entries with their detail, newest first."""
    held: dict[int, bytes] = field(default_factory=dict)
    trimmed: dict[int, str] = field(default_factory=dict)
    """Seq to op_id of entries whose detail is gone."""
    is_whole: bool = True


def _walk(
    book: Book, space: Space, where: str, collection: str, record: str, newest_seq: int
) -> _Walk:
    walk = _Walk()
    seq, size_bytes = newest_seq, 0
    while seq > 0:
        data = book.raw_entry(space.id, seq)
        entry = None if data is None else readable_entry(data)
        if data is None or entry is None:
            book.findings.add("broken_link", where, f"seq {seq} of its chain cannot be read")
            walk.is_whole = False
            break
        if (entry.collection, entry.record) != (collection, record) or entry.prev_seq >= seq:
            book.findings.add(
                "broken_link",
                where,
                f"its chain leads to seq {seq}, which is of {entry.collection}/{entry.record} "
                f"and names {entry.prev_seq} as the one before",
            )
            walk.is_whole = False
            break
        space.linked += 1
        if seq >= space.log_start:
            walk.seqs.append(seq)
            if size_bytes < HELD_BYTES:
                walk.held[seq] = data
                size_bytes += len(data)
        else:
            walk.trimmed[seq] = entry.op_id
        seq = entry.prev_seq
    return walk


def _entries(book: Book, space: Space, walk: _Walk) -> Iterator[LogEntry]:
    """The entries with their detail, oldest first."""
    for seq in reversed(walk.seqs):
        data = walk.held.get(seq) or book.raw_entry(space.id, seq)
        entry = None if data is None else readable_entry(data)
        if entry is not None:
            yield entry


@dataclass(slots=True)
class _Replayed:
    """What the entries with detail give on their own."""

    state: RecordState
    removed: set[tuple[str, EntryId]] = field(default_factory=set)


def _replay(book: Book, space: Space, stored: RecordState, walk: _Walk) -> _Replayed:
    replayed = _Replayed(RecordState(stored.collection, stored.record))
    for entry in _entries(book, space, walk):
        replayed.state.apply_entry(entry)
        if walk.trimmed:
            replayed.removed.update(
                (gone.root, EntryId(gone.op_id, gone.n)) for gone in entry.removed
            )
        # As the server does it: otherwise a counter's deltas would pile up here.
        fold_counters(replayed.state)
    return replayed


def _differences(
    stored: RecordState, replayed: _Replayed, walk: _Walk, log_start: int
) -> list[str]:
    """How a record departs from its log, in words; none where it is as it must be."""
    if not walk.is_whole:
        return []  # told already, and everything else would only follow from it
    state = replayed.state
    wrong = []
    if walk.seqs:
        standing = (stored.seq, stored.updated_us, stored.updated_by)
        if standing != (state.seq, state.updated_us, state.updated_by):
            wrong.append("who wrote it last, and when, is not what its last entry says")
    for root in sorted(stored.fields.keys() | state.fields.keys()):
        if root.startswith(_COUNTER):
            wrong += _counter_differs(stored, state, root, bool(walk.trimmed))
        else:
            wrong += _field_differs(stored, replayed, root, walk, log_start)
    return wrong


def _counter_differs(
    stored: RecordState, replayed: RecordState, root: str, trimmed: bool
) -> list[str]:
    try:
        said = add_deltas([entry.value for entry in stored.visible(root)])
    except (ValueError, ArithmeticError):
        return [f"{root}: what it holds are no numbers"]
    due = add_deltas([entry.value for entry in replayed.visible(root)])
    # Of trimmed increments only the sum is left, so there is nothing to hold it against.
    if trimmed or said == due:
        return []
    return [f"{root}: it counts {said}, and its entries add up to {due}"]


def _field_differs(
    stored: RecordState, replayed: _Replayed, root: str, walk: _Walk, log_start: int
) -> list[str]:
    there = stored.fields.get(root, {})
    due = replayed.state.fields.get(root, {})
    wrong = []
    for key, entry in there.items():
        if entry.seq >= log_start or not walk.trimmed:
            if due.get(key) != entry:
                wrong.append(f"{root}: it shows a value of {key.op_id} that its log does not give")
        elif (root, key) in replayed.removed:
            wrong.append(f"{root}: it shows a value of {key.op_id} that its log took away")
        elif walk.trimmed.get(entry.seq) != key.op_id:
            wrong.append(f"{root}: it shows a value of {key.op_id}, which is not in its log")
    missing = due.keys() - there.keys()
    return [*wrong, *(f"{root}: the value of {key.op_id} is missing" for key in sorted(missing))]


# ── documents ───────────────────────────────────────────────────────────────


def _check_document(book: Book, where: str, state: RecordState) -> None:
    """The record as a CRDT document, through its bytes and back, is the same record."""
    policy = book.policies[0].collections.get(state.collection) if book.policies else None
    if policy is None or not state.seq:
        return
    try:
        data = RecordDocument.from_state(state, policy).encode()
        document = RecordDocument.open(data, policy, state.record)
    except (DocumentError, ValueError, ArithmeticError) as error:
        book.findings.add("document_differs", where, f"no document can be made of it: {error}")
        return
    if _of_document(document.to_state()) != _of_document(state):
        book.findings.add("document_differs", where, "its document holds something else")


def _of_document(state: RecordState) -> dict[str, object]:
    """What a document and a record at rest both know: not the server's own times and seqs."""
    found: dict[str, object] = {}
    for root, entries in state.fields.items():
        if root.startswith(_COUNTER):
            found[root] = add_deltas([entry.value for entry in entries.values()])
        elif entries:
            found[root] = {key: (e.value, e.time_us, e.user) for key, e in entries.items()}
    return found


# ── conflicts ───────────────────────────────────────────────────────────────


def _check_conflicts(book: Book, space: Space, where: str, state: RecordState) -> None:
    rows = book.connection.execute(
        "SELECT root, candidates FROM conflicts "
        "WHERE space = ? AND collection = ? AND record = ? AND status = 'open'",
        (space.id, state.collection, state.record),
    ).fetchall()
    known = {root for root, _ in rows}
    if len(known) != len(rows):
        book.findings.add("conflict_wrong", where, "one field has two open conflicts")
    for root, candidates in rows:
        _check_open_conflict(book, where, state, root, candidates)
    for root in sorted(state.fields.keys() - known):
        if len(state.fields[root]) > 1 and _open_under(book, state, root, all):
            book.findings.add(
                "conflict_missing",
                where,
                f"{root} holds several values, and no open conflict is written down",
            )


def _check_open_conflict(
    book: Book, where: str, state: RecordState, root: str, candidates: bytes
) -> None:
    there = set(state.fields.get(root, ()))
    try:
        said = set(_CANDIDATES.decode(candidates))
    except msgspec.MsgspecError:
        book.findings.add("conflict_wrong", where, f"{root}: its candidates cannot be decoded")
        return
    if said != there or not _open_under(book, state, root, any):
        book.findings.add(
            "conflict_wrong",
            where,
            f"{root}: an open conflict names {len(said)} candidates, the record shows {len(there)}",
        )


def _open_under(
    book: Book, state: RecordState, root: str, quantifier: Callable[[Iterable[bool]], bool]
) -> bool:
    """Whether a field is in conflict under all, or any, of the policies it was written under.

    A field may have become ``manual`` while equal values stood in it, so one policy's word
    is not enough for saying that something is wrong.
    """
    fields = [
        known
        for policy in book.policies
        if (collection := policy.collections.get(state.collection)) is not None
        and (known := collection.by_root.get(root)) is not None
    ]
    entries = state.fields.get(root, {}).values()
    return bool(fields) and quantifier(is_open(one, entries) for one in fields)
