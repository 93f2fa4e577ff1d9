"""The merge scenarios in automerge: keys of the root map.

The Python package takes no single changes: two documents exchange bytes by its sync
protocol (several messages a change), or merge within one process (``in_process.py``).
"""

from __future__ import annotations

import json
import sys

from automerge.core import ROOT, Document, Message, ScalarType, SyncState, random_actor_id

from benchmarks.merge.shape import (
    LEFT_EDITS,
    NAMES,
    RIGHT_EDITS,
    edited,
    first_values,
    merged_values,
    values_after,
)
from benchmarks.merge.timing import Watch, expect, in_batches


def put(doc, name, value):
    with doc.transaction() as transaction:
        transaction.put(ROOT, name, ScalarType.Str, value)


def created(record):
    doc = Document()
    with doc.transaction() as transaction:
        for name, value in first_values(record).items():
            transaction.put(ROOT, name, ScalarType.Str, value)
    return doc


def loaded(data):
    doc = Document.load(data)
    doc.set_actor(random_actor_id())
    return doc


def values(doc):
    return {name: doc.get(ROOT, name)[0][1] for name in doc.keys(ROOT)}


class ByMessages:
    """Two documents that tell each other what the other lacks, as bytes."""

    def __init__(self, left, right):
        self.sides = ((left, SyncState()), (right, SyncState()))

    def exchange(self):
        """Until neither has anything to say; returns the bytes that went over."""
        sent = 0
        spoke = True
        while spoke:
            spoke = False
            for (here, ours), (there, theirs) in (self.sides, self.sides[::-1]):
                message = here.generate_sync_message(ours)
                if message is not None:
                    spoke = True
                    data = message.encode()
                    sent += len(data)
                    there.receive_sync_message(theirs, Message.decode(data))
        return sent


class InProcess:
    """Two documents in one process; no bytes are made."""

    def __init__(self, left, right):
        self.left, self.right = left, right

    def exchange(self):
        self.right.merge(self.left)
        self.left.merge(self.right)
        return 0


def create(params, link):
    sizes = []

    def check(record, _, data):
        sizes.append(len(data))
        expect(values(Document.load(data)), first_values(record))

    watch = in_batches(params, int, lambda records: [created(n).save() for n in records], check)
    return watch.figures("docs_per_s", bytes=sum(sizes) / watch.done)


def overwrite(params, link):
    edits, sizes = params["edits"], []

    def prepare(record):
        left = created(record)
        right = loaded(left.save())
        between = link(left, right)
        between.exchange()
        return left, right, between

    def work(pairs):
        done = []
        for left, right, between in pairs:
            sent = []
            for number in range(edits):
                put(left, NAMES[number % 10], edited(number))
                if link is InProcess:
                    right.merge(left)
                else:
                    sent.append(between.exchange())
            done.append(sum(sent))
        return done

    def check(record, pair, sent):
        sizes.append(sent)
        expect(values(pair[0]), values_after(record, edits))
        expect(values(pair[1]), values_after(record, edits))

    watch = in_batches(params, prepare, work, check, each=edits)
    return with_bytes(watch.figures("ops_per_s"), sum(sizes) / watch.done)


def two_way(params, link):
    sizes = []

    def prepare(record):
        left = created(record)
        right = loaded(left.save())
        between = link(left, right)
        between.exchange()
        for doc, side, names in ((left, "left", LEFT_EDITS), (right, "right", RIGHT_EDITS)):
            for name in names:
                put(doc, name, f"{side} wrote {name}")
        return left, right, between

    def check(record, pair, sent):
        sizes.append(sent)
        merged = values(pair[0])
        expect(merged, values(pair[1]))
        for name, allowed in merged_values(record).items():
            expect(merged[name] in allowed, True)

    def work(pairs):
        return [between.exchange() for _, _, between in pairs]

    watch = in_batches(params, prepare, work, check)
    return with_bytes(watch.figures("docs_per_s"), sum(sizes) / watch.done)


def writers(params, link):
    """Documents of one process: the package has no other way to merge many."""
    clients, watch = params["clients"], Watch(params["at_most_s"])
    for _ in range(params["records"]):
        docs = []
        for number in range(clients):
            writer = Document()
            put(writer, NAMES[number % 10], edited(number))
            docs.append(writer)
        merged = Document()
        with watch:
            for writer in docs:
                merged.merge(writer)
        expect(set(merged.keys(ROOT)), set(NAMES[:clients]))
        watch.done += clients
        if watch.is_late:
            break
    return watch.figures("ops_per_s", ms=watch.wall_s * 1e3 * clients / watch.done)


def load(params, link):
    def check(record, _, doc):
        expect(values(doc)["f9"], first_values(record)["f9"])

    def work(documents):
        return [Document.load(data) for data in documents]

    watch = in_batches(params, lambda record: created(record).save(), work, check)
    return watch.figures("docs_per_s")


def read(params, link):
    def check(record, _, found):
        expect(found, first_values(record))

    watch = in_batches(params, created, lambda docs: list(map(values, docs)), check)
    return watch.figures("docs_per_s")


def with_bytes(figures, size_bytes):
    return {**figures, "bytes": size_bytes} if size_bytes else figures


def main(link):
    case = json.loads(sys.argv[1])
    tasks = (create, overwrite, two_way, writers, load, read)
    task = next(one for one in tasks if one.__name__ == case["task"])
    print(json.dumps({"figures": task(case, link)}))


if __name__ == "__main__":
    main(ByMessages)
