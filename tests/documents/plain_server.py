"""A plain model of the server for one record: what each accepted op removes, and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

MINUTE_US = 60_000_000
Name = tuple[str, str, int]
"""(root, op_id, n)"""


@dataclass
class PlainServer:
    """``kinds`` says how each root merges; the deletion root is ``d/``."""

    kinds: dict[str, str]
    keep: bool = True
    visible: dict[Name, tuple[str, int]] = field(default_factory=dict)
    """name → (value, effective time)"""
    log: list[tuple[str, bool]] = field(default_factory=list)
    """(op_id, is a delete) in the order of acceptance; the seq is the place from 1."""
    graves: set[Name] = field(default_factory=set)

    def accept(
        self,
        op_id: str,
        time: int,
        received: int,
        writes: dict[str, tuple[tuple[str, ...], tuple[tuple[str, int], ...]]],
        delete: tuple[bool, int, tuple[str, ...]] | None,
    ) -> None:
        replaced = {(root, *seen) for root, (_, gone) in writes.items() for seen in gone}
        known = {name for name, _ in self.log}
        newest = max((self.visible[n][1] for n in replaced if n in self.visible), default=-1)
        effective = max(min(time, received + MINUTE_US), newest + 1)
        for name in replaced:
            self.visible.pop(name, None)
            if name[1] not in known:
                self.graves.add(name)
        for root, (values, _) in writes.items():
            new = {
                (root, op_id, n): (value, effective)
                for n, value in enumerate(values)
                if (root, op_id, n) not in self.graves
            }
            self._settle(root, new)
        self._revive(op_id, delete)
        self.log.append((op_id, delete is not None and delete[0]))

    def _settle(self, root: str, new: dict[Name, tuple[str, int]]) -> None:
        rivals = {name: entry for name, entry in self.visible.items() if name[0] == root}
        kind = self.kinds[root]
        if kind == "server-latest" and new:
            for name in rivals:
                del self.visible[name]
        self.visible.update(new)
        if kind == "user-latest":
            rivals.update(new)
            for name in sorted(rivals, key=lambda n: (rivals[n][1], n[1]))[:-1]:
                del self.visible[name]

    def _revive(self, op_id: str, delete: tuple[bool, int, tuple[str, ...]] | None) -> None:
        if not self.keep:
            return
        if delete is not None and delete[0]:
            _, base_seq, base_ops = delete
            for seq, (other, is_delete) in enumerate(self.log, 1):
                if seq > base_seq and other not in base_ops and not is_delete:
                    self.visible.pop(("d/", op_id, 0), None)
            return
        for name, (mark, _) in list(self.visible.items()):
            if (
                name[0] == "d/"
                and name[1] != op_id
                and '"deleted":true' in mark
                and op_id not in mark
            ):
                del self.visible[name]

    def values(self, root: str) -> list[Any]:
        return sorted(value for (r, _, _), (value, _) in self.visible.items() if r == root)
