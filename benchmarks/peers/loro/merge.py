"""The merge scenarios in loro: one LoroMap with a key a field."""

from __future__ import annotations

import json
import random
import sys

from loro import ExportMode, LoroDoc

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

_random = random.Random(1)


def empty():
    doc = LoroDoc()
    doc.peer_id = _random.getrandbits(32)
    return doc


def loaded(data):
    doc = empty()
    doc.import_(data)
    return doc


def created(record):
    doc = empty()
    fields = doc.get_map("record")
    for name, value in first_values(record).items():
        fields.insert(name, value)
    doc.commit()
    return doc


def values(doc):
    return doc.get_map("record").get_deep_value()


def snapshot(record):
    return created(record).export(ExportMode.Snapshot())


def create(params):
    sizes = []

    def check(record, _, data):
        sizes.append(len(data))
        expect(values(loaded(data)), first_values(record))

    watch = in_batches(params, int, lambda records: [snapshot(n) for n in records], check)
    return watch.figures("docs_per_s", bytes=sum(sizes) / watch.done)


def overwrite(params):
    """The change is exported by the event of local updates."""
    edits, sizes = params["edits"], []

    def prepare(record):
        left, updates = created(record), []
        right = loaded(left.export(ExportMode.Snapshot()))
        kept = left.subscribe_local_update(lambda data: updates.append(data) or True)
        return left, left.get_map("record"), updates, right, kept

    def work(pairs):
        done = []
        for left, fields, updates, right, _ in pairs:
            sent = 0
            for number in range(edits):
                fields.insert(NAMES[number % 10], edited(number))
                left.commit()
                data = updates.pop()
                sent += len(data)
                right.import_(data)
            done.append(sent)
        return done

    def check(record, pair, sent):
        sizes.append(sent)
        expect(values(pair[0]), values_after(record, edits))
        expect(values(pair[3]), values_after(record, edits))

    watch = in_batches(params, prepare, work, check, each=edits)
    return watch.figures("ops_per_s", bytes=sum(sizes) / watch.done)


def two_way(params):
    sizes = []

    def prepare(record):
        left = created(record)
        right = loaded(left.export(ExportMode.Snapshot()))
        for doc, side, names in ((left, "left", LEFT_EDITS), (right, "right", RIGHT_EDITS)):
            for name in names:
                doc.get_map("record").insert(name, f"{side} wrote {name}")
                doc.commit()
        return left, right

    def work(pairs):
        done = []
        for left, right in pairs:
            to_right = left.export(ExportMode.Updates(right.oplog_vv))
            to_left = right.export(ExportMode.Updates(left.oplog_vv))
            right.import_(to_right)
            left.import_(to_left)
            done.append(len(to_right) + len(to_left))
        return done

    def check(record, pair, sent):
        sizes.append(sent)
        merged = values(pair[0])
        expect(merged, values(pair[1]))
        for name, allowed in merged_values(record).items():
            expect(merged[name] in allowed, True)

    watch = in_batches(params, prepare, work, check)
    return watch.figures("docs_per_s", bytes=sum(sizes) / watch.done)


def writers(params):
    """All updates in one import, which is loro's way for many."""
    clients, watch = params["clients"], Watch(params["at_most_s"])
    sizes = 0
    for _ in range(params["records"]):
        updates = []
        for number in range(clients):
            writer = empty()
            writer.get_map("record").insert(NAMES[number % 10], edited(number))
            writer.commit()
            updates.append(writer.export(ExportMode.Updates(empty().oplog_vv)))
        merged = empty()
        with watch:
            merged.import_batch(updates)
        expect(set(values(merged)), set(NAMES[:clients]))
        sizes += sum(map(len, updates))
        watch.done += clients
        if watch.is_late:
            break
    return watch.figures(
        "ops_per_s", ms=watch.wall_s * 1e3 * clients / watch.done, bytes=sizes / watch.done
    )


def load(params):
    def check(record, _, doc):
        expect(values(doc)["f9"], first_values(record)["f9"])

    watch = in_batches(params, snapshot, lambda docs: [loaded(data) for data in docs], check)
    return watch.figures("docs_per_s")


def read(params):
    def check(record, _, found):
        expect(found, first_values(record))

    def prepare(record):
        return loaded(snapshot(record)).get_map("record")

    def work(maps):
        return [fields.get_deep_value() for fields in maps]

    return in_batches(params, prepare, work, check).figures("docs_per_s")


if __name__ == "__main__":
    case = json.loads(sys.argv[1])
    tasks = (create, overwrite, two_way, writers, load, read)
    task = next(one for one in tasks if one.__name__ == case["task"])
    print(json.dumps({"figures": task(case)}))
