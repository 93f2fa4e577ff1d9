"""Stock Yjs in Node reads what we write, and what it writes of that we read again.

Nothing is installed when tests are collected. The first test that needs it puts
yjs into a cache folder beside no repository; without node, npm or a registry
the tests of this module skip and say so.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from crdtsync.documents.decoder import decode_state, decode_update
from crdtsync.documents.document import RecordDocument
from crdtsync.documents.encoder import encode_ops
from crdtsync.documents.identity import entry_key
from tests.documents.making import Author, patient, register_op
from tests.documents.test_document_convergence import Devices

YJS_VERSION = "13.6.33"
INSTALL_TIMEOUT_S = 90
NODE_TIMEOUT_S = 30

# Reads {"cases": [{"updates": [hex, …], "roots": [name, …]}, …]}; answers with what Yjs holds.
_SCRIPT = """
const Y = require('yjs')
const input = JSON.parse(require('fs').readFileSync(0, 'utf8'))
const hex = bytes => Buffer.from(bytes).toString('hex')
const answers = input.cases.map(({ updates, roots }) => {
  const doc = new Y.Doc()
  for (const update of updates) Y.applyUpdate(doc, Buffer.from(update, 'hex'))
  const maps = {}
  for (const root of roots) maps[root] = doc.getMap(root).toJSON()
  return {
    maps,
    update: hex(Y.encodeStateAsUpdate(doc)),
    state: hex(Y.encodeStateVector(doc)),
    pending: doc.store.pendingStructs !== null || doc.store.pendingDs !== null
  }
})
process.stdout.write(JSON.stringify(answers))
"""


@pytest.fixture(scope="session")
def yjs_folder() -> Path:
    """A folder in which ``require('yjs')`` works."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("node or npm is not installed: what Yjs reads is not compared")
    cache = Path.home() / ".cache" / "crdtsync-tests"
    folder = cache / f"yjs-{YJS_VERSION}"
    if (folder / "node_modules" / "yjs" / "package.json").exists():
        return folder
    # Installed aside and moved into place, because test processes run side by side.
    fresh = cache / f"yjs-{YJS_VERSION}-{os.getpid()}"
    fresh.mkdir(parents=True, exist_ok=True)
    command = [npm, "install", "--prefix", str(fresh), "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(
            [*command, f"yjs@{YJS_VERSION}"],
            capture_output=True,
            text=True,
            timeout=INSTALL_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        shutil.rmtree(fresh, ignore_errors=True)
        pytest.skip(f"yjs could not be installed within {INSTALL_TIMEOUT_S} s")
    if done.returncode:
        shutil.rmtree(fresh, ignore_errors=True)
        pytest.skip(f"yjs could not be installed: {done.stderr.strip()[-300:]}")
    try:
        fresh.rename(folder)
    except OSError:
        # Another process was faster.
        shutil.rmtree(fresh, ignore_errors=True)
    return folder


def in_yjs(folder: Path, cases: list[tuple[list[bytes], list[str]]]) -> list[dict[str, Any]]:
    """What Yjs holds after each list of updates."""
    request = {"cases": [{"updates": [u.hex() for u in us], "roots": rs} for us, rs in cases]}
    done = subprocess.run(
        ["node", "-e", _SCRIPT],
        cwd=folder,
        input=json.dumps(request),
        capture_output=True,
        text=True,
        timeout=NODE_TIMEOUT_S,
        check=True,
    )
    answers: list[dict[str, Any]] = json.loads(done.stdout)
    return answers


def maps_of(document: RecordDocument) -> dict[str, dict[str, str]]:
    """The root maps as Yjs ought to read them."""
    maps: dict[str, dict[str, str]] = {}
    for item in decode_update(document.encode()).items:
        entry = item.entry
        found = maps.setdefault(item.root, {})
        if entry is not None:
            user = json.dumps(entry.user, ensure_ascii=False)
            text = f'[{entry.value},{entry.time_us},{user},"{entry.op_id}"]'
            found[entry_key(entry.id)] = text
    return maps


def histories() -> list[Devices]:
    """Some offline histories with every kind of write."""
    found = []
    values: dict[str, Any] = {
        "name": "김민지 😀",
        "phone": None,
        "allergies": {"땅콩", 'quote"and\\slash'},
        "visits": 3,
        "balance": 2,
        "add": ["a", "b"],
        "remove": {"a"},
        "delete": None,
        "restore": None,
    }
    for seed in range(12):
        chance, devices = random.Random(seed), Devices()
        for _ in range(30):
            at = chance.randrange(3)
            kind = chance.choice(list(values))
            devices.write(at, kind, values[kind])
            if chance.random() < 0.4:
                devices.merge(at, chance.randrange(3), True)
        found.append(devices)
    return found


@pytest.mark.timeout(150)
def test_yjs_reads_whole_documents_and_writes_them_as_we_do(yjs_folder: Path) -> None:
    documents = [document for devices in histories() for document in devices.documents]
    documents = [document for document in documents if document.encode()]
    assert len(documents) > 20
    cases = [([document.encode()], list(maps_of(document))) for document in documents]
    for document, answer in zip(documents, in_yjs(yjs_folder, cases), strict=True):
        assert answer["maps"] == maps_of(document)
        assert not answer["pending"]
        # Yjs sorts by client as we do, so its bytes are ours.
        assert bytes.fromhex(answer["update"]) == document.encode()
        assert decode_state(bytes.fromhex(answer["state"])) == decode_state(document.state())


@pytest.mark.timeout(150)
def test_yjs_merges_single_ops_in_any_order_to_the_same_document(yjs_folder: Path) -> None:
    cases, expected = [], []
    for seed, devices in enumerate(histories()):
        ops = [op for op, _ in devices.ops.values()]
        document = patient()
        document.apply_many(ops)
        for turn in range(3):
            chance = random.Random(100 * seed + turn)
            updates = [encode_ops([op]) for op in [*ops, *chance.sample(ops, len(ops) // 2)]]
            chance.shuffle(updates)
            cases.append((updates, list(maps_of(document))))
            expected.append(document)
    for document, answer in zip(expected, in_yjs(yjs_folder, cases), strict=True):
        assert answer["maps"] == maps_of(document)
        assert bytes.fromhex(answer["update"]) == document.encode()


@pytest.mark.timeout(150)
def test_yjs_heals_with_a_difference_since_its_own_state(yjs_folder: Path) -> None:
    author, document = Author(), patient()
    document.apply(register_op(1, '"1"'))
    first = document.encode()
    (before,) = in_yjs(yjs_folder, [([first], [])])
    document.update({"phone": "2", "name": "Kim"}, **author())
    difference = document.encode(since=bytes.fromhex(before["state"]))
    assert len(difference) < len(document.encode())
    (after,) = in_yjs(yjs_folder, [([first, difference], list(maps_of(document)))])
    assert after["maps"] == maps_of(document)
    assert bytes.fromhex(after["update"]) == document.encode()
    document.compact(as_of=None)
    (compacted,) = in_yjs(yjs_folder, [([document.encode()], ["m/", "r/name"])])
    assert compacted["maps"]["m/"] == {"as_of": '{"as_of":null}'}
    assert bytes.fromhex(compacted["update"]) == document.encode()
