"""What a broken or hostile client may send: a clear error each, and the server lives."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from crdtsync.documents.ops import EntryId, FieldWrite
from crdtsync.protocol import close_codes
from crdtsync.protocol.codec import decode_server, encode
from crdtsync.protocol.messages import (
    Goodbye,
    Hello,
    Landmark,
    Paging,
    Receipt,
    Refused,
    RefusedOp,
    SnapshotRequest,
)
from tests.server.serving import (
    POLICY,
    Wire,
    device,
    hello_of,
    new_id,
    push_of,
    rows_of,
    serving,
    write,
)

CORPUS = Path(__file__).parents[3] / "shared" / "data" / "hostile-updates.json"


def hostile_updates() -> list[bytes]:
    if not CORPUS.exists():
        pytest.skip(f"the corpus of hostile updates is not at {CORPUS}")
    return [bytes.fromhex(one["hex"]) for one in json.loads(CORPUS.read_text())]


async def goodbye_to(url: str, frame: bytes | str, *, greeted: bool) -> Goodbye:
    """Send one frame, and be sent away with a protocol error."""
    async with await Wire.open(url) as wire:
        if greeted:
            welcome = await wire.greet(hello_of())
            await wire.page_all(welcome.paging)
        await wire.socket.send(frame)
        goodbye = await wire.goodbye()
        assert goodbye.code == close_codes.PROTOCOL_ERROR
        assert len(goodbye.words) > 20
        return goodbye


def deep(levels: int) -> bytes:
    return b"\x91" * levels + b"\xc0"


GARBAGE: list[bytes | str] = [
    b"",
    b"\x00",
    b"\xc1",
    b"garbage",
    b"\xff" * 1_000,
    deep(100_000),
    msgspec.msgpack.encode(["nothing", 1]),
    msgspec.msgpack.encode(["push"]),
    msgspec.msgpack.encode(["push", new_id(), 5]),
    msgspec.msgpack.encode(["push", new_id(), [[1]]]),
    msgspec.msgpack.encode({"push": 1}),
    msgspec.msgpack.encode(["head?", "one"]),
    msgspec.msgpack.encode(["head?", 2**63]) + b"x",
    # A list that claims four billion elements, and a string with broken UTF-8.
    b"\x92\xa9receipts?\xdd\xff\xff\xff\xff",
    b"\x92\xa5hello\xa4\xff\xfe\xed\xa0",
    b"\x93\xa9receipts?\x01\x91\xa3\xed\xa0\x80",
    "text",
    "",
    json.dumps(["head?", 1]),
]


@pytest.mark.parametrize("greeted", [False, True], ids=["before hello", "live"])
@pytest.mark.parametrize("frame", GARBAGE, ids=range(len(GARBAGE)))
async def test_a_frame_that_is_no_message_is_a_protocol_error(
    tmp_path: Path, frame: bytes | str, greeted: bool
) -> None:
    async with serving(tmp_path) as server, device(server, "lee") as other:
        goodbye = await goodbye_to(server.url, frame, greeted=greeted)
        if isinstance(frame, str):
            assert "text frame" in goodbye.words
        await other.accept(write({"r/name": '"Kim"'}, user="lee"))


async def test_random_bytes_and_mutilated_frames_never_harm_the_server(tmp_path: Path) -> None:
    dice = random.Random(20)
    frames = [encode(hello_of()), encode(push_of(write({"r/name": '"Kim"'})))]
    async with serving(tmp_path) as server, device(server, "lee") as other:
        for _ in range(150):
            frame = bytearray(dice.choice(frames))
            for _ in range(dice.randint(1, 8)):
                frame[dice.randrange(len(frame))] = dice.randrange(256)
            async with await Wire.open(server.url) as wire:
                await wire.socket.send(bytes(frame[: dice.randint(1, len(frame))]))
                # Whatever it made of it, it says something in words or welcomes.
                await wire.receive()
        await other.accept(write({"r/name": '"Kim"'}, user="lee"))


async def test_a_frame_over_the_limit_ends_the_connection(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, device(server, "lee") as other:
        async with device(server) as wire:
            await wire.socket.send(b"x" * (1_048_576 + 1))
            assert await wire.closed() == close_codes.TOO_BIG
        await other.accept(write({"r/name": '"Kim"'}, user="lee"))


async def test_the_largest_frame_is_read(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, device(server) as wire:
        ops = [write({"r/note": '"' + "x" * 60_000 + '"'}, record=f"p{n}") for n in range(17)]
        push = push_of(*ops)
        assert 1_000_000 < len(encode(push)) < 1_048_576
        answers = await wire.push_frame(push)
        assert {type(answer) for answer in answers} == {Receipt}


async def test_a_protocol_of_the_future_is_refused_in_words(tmp_path: Path) -> None:
    hello = hello_of(protocol=2)
    extended = [*msgspec.msgpack.decode(encode(hello)), {"new": "field"}]
    async with serving(tmp_path) as server:
        async with await Wire.open(server.url) as wire:
            await wire.socket.send(msgspec.msgpack.encode(extended))
            refused = decode_server(await wire.socket.recv())
            assert isinstance(refused, Refused)
            assert (refused.code, refused.retry) == ("protocol_version", False)
            assert await wire.closed() == close_codes.REFUSED
        # A newer peer that still speaks version 1 may know more fields.
        extended[1] = 1
        async with await Wire.open(server.url) as wire:
            await wire.socket.send(msgspec.msgpack.encode(extended))
            await wire.receive()


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"policy_hash": "x"}, "policy_mismatch"),
        ({"policy_version": 9}, "policy_ahead"),
        ({"space": "\u2028"}, "bad_hello"),
        ({"landmarks": (Landmark(1, b""),) * 40}, "bad_hello"),
    ],
)
async def test_a_hello_that_does_not_fit_is_refused_and_closed(
    tmp_path: Path, changes: dict[str, Any], code: str
) -> None:
    async with serving(tmp_path) as server, await Wire.open(server.url) as wire:
        assert (await wire.refused(hello_of(**changes))).code == code


async def test_another_subprotocol_is_turned_away_by_http(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        for subprotocols in (None, ["crdtsync.v2"]):
            with pytest.raises(InvalidStatus) as refusal:
                await connect(server.url, subprotocols=subprotocols)  # type: ignore[arg-type]
            assert refusal.value.response.status_code == 400
            assert b"crdtsync.v1" in refusal.value.response.body


async def test_another_path_is_not_found(tmp_path: Path) -> None:
    async with serving(tmp_path) as server:
        with pytest.raises(InvalidStatus) as refusal:
            await connect(server.url + "/elsewhere", subprotocols=["crdtsync.v1"])  # type: ignore[list-item]
        assert refusal.value.response.status_code in (403, 404)


async def test_hostile_updates_as_frames_are_protocol_errors(tmp_path: Path) -> None:
    """Invariant 8: no byte of a client reaches a decoder of pycrdt."""
    updates = hostile_updates()
    assert len(updates) == 66
    async with serving(tmp_path) as server, device(server, "lee") as other:
        for update in updates:
            await goodbye_to(server.url, update, greeted=True)
        await other.accept(write({"r/name": '"Kim"'}, user="lee"))


async def test_hostile_updates_in_every_string_and_digest_are_refused_or_kept_as_text(
    tmp_path: Path,
) -> None:
    async with serving(tmp_path) as server, device(server) as wire:
        for update in hostile_updates():
            text = update.decode("latin-1")
            quoted = json.dumps(text, ensure_ascii=False)
            for op in (
                write({"r/name": text}),
                write({"r/allergies": f"[{quoted}]"}),
                write({"c/visits": text}),
                write({"d/": text}),
                write({text: '"x"'}),
                write({"r/name": '"x"'}, record=text),
                write({"r/name": '"x"'}, collection=text),
                write({"r/name": '"x"'}, user=text),
                write({"r/name": '"x"'}, op_id=text),
                write({"r/name": '"x"'}, supersedes={"r/name": [EntryId(text, 0)]}),
            ):
                (answer,) = await wire.push(op)
                if isinstance(answer, Receipt):
                    kept = op.writes.get("r/allergies", FieldWrite(("[]",)))
                    assert text in (op.record, *json.loads(kept.values[0]))
                else:
                    assert isinstance(answer, RefusedOp)
                    assert answer.words
            (held,) = await wire.push(write({"r/name": '"x"'}), after=[text])
            assert held.op_id
            digest = Landmark(1, update[:16])
            async with await Wire.open(server.url) as other:
                welcome = await other.greet(hello_of("lee", cursor=digest, device=text[:256]))
                assert welcome.diverged == 0
        await wire.accept(write({"r/name": '"still here"'}))


async def test_nonsense_in_paging_ends_the_connection(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, device(server) as kim:
        await kim.accept(write({"r/name": '"Kim"'}))
        for paging in (Paging(1, 5, 0), Paging(-5, 0, 0), Paging(1, 1, 1), Paging(2**62, 2**62, 0)):
            async with await Wire.open(server.url) as wire:
                await wire.greet(hello_of("lee"))
                await wire.send(SnapshotRequest(1, paging))
                assert (await wire.goodbye()).code == close_codes.PROTOCOL_ERROR
    assert rows_of(tmp_path, "SELECT count(*) FROM log") == [(1,)]


async def test_a_peer_that_leaves_in_the_middle_harms_nobody(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, device(server, "lee") as other:
        for cut in ("connected", "greeted", "pushed"):
            wire = await Wire.open(server.url)
            if cut != "connected":
                await wire.send(hello_of())
            if cut == "pushed":
                await wire.receive()
                await wire.send(push_of(write({"r/name": '"Kim"'})))
            wire.socket.transport.abort()
        await other.accept(write({"r/name": '"Lee"'}, user="lee"))


def test_the_policy_of_these_tests_is_the_one_in_the_hello() -> None:
    hello = hello_of()
    assert isinstance(hello, Hello)
    assert (hello.policy_version, hello.policy_hash) == (POLICY.version, POLICY.hash)
