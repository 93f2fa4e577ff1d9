"""Every target by name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

from tests.fuzz.target import Target

_WHERE = {
    "codec": "codec_target:CodecTarget",
    "server": "server_target:ServerTarget",
    "replica": "replica_target:ReplicaTarget",
    "documents": "document_target:DocumentTarget",
    "encoder": "encoder_target:EncoderTarget",
    "policy": "policy_target:PolicyTarget",
    "import": "import_target:ImportTarget",
}
NAMES = tuple(_WHERE)

SHARES = {
    "server": 0.35,
    "codec": 0.28,
    "replica": 0.15,
    "documents": 0.22,
}
"""Of the frames of a run. What follows is fed besides, in numbers of its own."""

BESIDES = {"encoder": 1.0, "policy": 0.03, "import": 0.003}
"""Random ops, policy texts and import files for each frame."""


def target_named(name: str) -> Target:
    """Imported only where it is needed: a child holds one target."""
    module, _, made = _WHERE[name].partition(":")
    make: Callable[[], Target] = getattr(import_module(f"tests.fuzz.{module}"), made)
    return make()
