"""The codec alone: whatever the bytes, a message or a ProtocolError."""

from __future__ import annotations

from random import Random

import msgspec

from crdtsync.protocol import codec
from crdtsync.protocol.errors import ProtocolError
from tests.fuzz.bad_frames import packed, spoil_bytes, spoil_tree
from tests.fuzz.client_frames import Sender, frame, hello_frame
from tests.fuzz.known import Known
from tests.fuzz.notebook import Notebook
from tests.fuzz.rules import EPOCH_US
from tests.fuzz.server_frames import Teller
from tests.fuzz.target import Found

SPOILED_OFTEN = 12
"""How many broken copies of one good frame are made: making good ones costs more."""


class CodecTarget:
    """``decode_client`` and ``decode_server``."""

    name = "codec"
    frames_per_episode = 2_000
    memory_bytes = 150 * 1_048_576
    frame_limit_s = 5.0

    def episode(self, draw: Random, notebook: Notebook) -> None:
        """See ``Target``."""
        known, left = Known(), self.frames_per_episode
        teller = Teller(draw)
        while left > 0:
            for data in self._frames(draw, known, teller)[:left]:
                left -= 1
                self._feed(data, notebook)

    def _frames(self, draw: Random, known: Known, teller: Teller) -> list[bytes]:
        if draw.random() < 0.5:
            sender = Sender.drawn(draw, known)
            make = hello_frame if draw.random() < 0.2 else frame
            good, _ = make(draw, known, sender, EPOCH_US)
        else:
            good = packed(teller.message())
        found = [good]
        try:
            tree = msgspec.msgpack.decode(good)
        except (ValueError, RecursionError, msgspec.DecodeError):
            tree = None
        for _ in range(SPOILED_OFTEN):
            if isinstance(tree, list) and draw.random() < 0.6:
                found.append(spoil_tree(draw, msgspec.msgpack.decode(good)))
            else:
                found.append(spoil_bytes(draw, good))
        return found

    def _feed(self, data: bytes, notebook: Notebook) -> None:
        notebook.frame(data)
        for decode in (codec.decode_client, codec.decode_server):
            try:
                message = decode(data)
            except ProtocolError as error:
                if not str(error):
                    raise Found("a ProtocolError says nothing") from error
                notebook.counts["refused"] += 1
                continue
            notebook.counts["accepted"] += 1
            again = codec.encode(message)
            if decode(again) != message:
                raise Found(f"a message that was read is written as another one: {message!r}")
