"""Stock Yjs in a Node process that stays: what it reads and writes of our updates."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

YJS_FOLDERS = Path.home() / ".cache" / "crdtsync-tests"
"""Where tests/documents/test_document_yjs.py installs it."""

# One case a line: {"updates": […], "roots": […], "writes": [[client, root, key, text], …]}.
_SCRIPT = """
const Y = require('yjs')
const b64 = bytes => Buffer.from(bytes).toString('base64')
require('readline').createInterface({ input: process.stdin }).on('line', line => {
  const { updates, roots, writes } = JSON.parse(line)
  const doc = new Y.Doc()
  for (const update of updates) Y.applyUpdate(doc, Buffer.from(update, 'base64'))
  const maps = {}
  for (const root of roots) maps[root] = doc.getMap(root).toJSON()
  const native = writes.map(([client, root, key, text]) => {
    const one = new Y.Doc()
    one.clientID = client
    one.getMap(root).set(key, text)
    return b64(Y.encodeStateAsUpdate(one))
  })
  process.stdout.write(JSON.stringify({
    maps, native, update: b64(Y.encodeStateAsUpdate(doc)),
    pending: doc.store.pendingStructs !== null || doc.store.pendingDs !== null
  }) + '\\n')
})
"""


def yjs_folder() -> Path | None:
    """A folder in which ``require('yjs')`` works, if the tests have made one."""
    if shutil.which("node") is None or not YJS_FOLDERS.exists():
        return None
    found = [one for one in YJS_FOLDERS.iterdir() if (one / "node_modules" / "yjs").is_dir()]
    return max(found, default=None)


class Yjs:
    """Answers one case after the other."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            ["node", "-e", _SCRIPT],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )

    def ask(
        self, updates: list[bytes], roots: list[str], writes: list[tuple[int, str, str, str]]
    ) -> dict[str, Any]:
        """What Yjs holds after these updates, and what it writes by itself for these entries."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        case = {
            "updates": [base64.b64encode(update).decode() for update in updates],
            "roots": roots,
            "writes": writes,
        }
        self._process.stdin.write(json.dumps(case) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
