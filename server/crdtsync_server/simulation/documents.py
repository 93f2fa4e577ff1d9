"""Documents that are carried by hand: built from the log, compacted, sent around, merged."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from crdtsync.documents.document import RecordDocument
from crdtsync.documents.errors import CompactedDocument
from crdtsync.documents.state import LogEntry
from crdtsync.policy import CollectionPolicy
from crdtsync_server.simulation.book import Broken


def check_documents(
    record_id: str, entries: Sequence[LogEntry], policy: CollectionPolicy, random: Random
) -> None:
    """However a record's document came about, it reads as the log means (invariant 5).

    One copy got every entry; one was compacted on the way, several times; one is an
    older copy that somebody kept and merges into the newest: that must raise, or
    change nothing.
    """
    plain = RecordDocument(policy, record_id)
    often = RecordDocument(policy, record_id)
    old = RecordDocument(policy, record_id)
    stops_at = random.randrange(1, len(entries) + 1)
    for n, entry in enumerate(entries, start=1):
        plain.apply_entry(entry)
        often.apply_entry(entry)
        if random.random() < 0.4:
            often.compact(as_of=entry.seq)
            if random.random() < 0.5:
                often = RecordDocument.open(often.encode(), policy, record_id)
        if n <= stops_at:
            old.apply_entry(entry)
    meant = _standing(plain)
    if _standing(often) != meant:
        raise Broken(5, f"{record_id}: a document that was compacted on the way reads otherwise")
    if random.random() < 0.5:
        old.compact(as_of=entries[stops_at - 1].seq)
    newest = RecordDocument.from_state(plain.to_state(), policy)
    for one, other in ((newest, old), (often, old)):
        try:
            one.merge(other.encode())
        except CompactedDocument:
            continue
        if _standing(one) != meant:
            raise Broken(5, f"{record_id}: an older copy brought back what was gone")


def _standing(document: RecordDocument) -> dict[str, object]:
    values: dict[str, object] = {}
    for name in document:
        value = document[name]
        candidates = getattr(value, "candidates", None)
        values[name] = value if candidates is None else {one.value for one in candidates}
    return values
