"""A ward whose server records, and questions to it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from crdtsync.documents.ops import Op
from crdtsync.policy import Policy
from crdtsync.protocol.messages import EarlierAttempt, Push, PushedOp
from crdtsync_server.service import RunningServer
from tests.server.access.asking import Answered, ask
from tests.server.serving import SPACE, new_id, rows_of, serving

POLICY_TEXT = """
version = 3
[patient]
delete = ["clinician"]
[patient.fields]
name      = { type = "string", merge = "server-latest" }
phone     = { type = "string", merge = "user-latest" }
allergies = { type = "set<string>", merge = "manual", write = ["clinician", "nurse"] }
visits    = { type = "integer", merge = "counter" }
tags      = { type = "set<string>", merge = "set" }
diagnosis = { type = "string", read = ["clinician"], write = ["clinician"] }
[diary]
delete = ["clinician"]
[diary.fields]
text = { type = "string", read = ["clinician"], write = ["clinician"] }
"""
POLICY = Policy.parse(POLICY_TEXT)


class Clock:
    """A server's clock that a test moves; each look at it is a microsecond later."""

    def __init__(self, now_us: int = 1_700_000_000_000_000) -> None:
        self.now = now_us

    def __call__(self) -> int:
        self.now += 1
        return self.now


def observed(folder: Path, **options: Any) -> RunningServer:
    """A development server with the policy above."""
    return serving(folder, policy=POLICY, **options)


def greeting(**changes: Any) -> dict[str, Any]:
    """What a hello under the policy above names."""
    return {"policy_version": POLICY.version, "policy_hash": POLICY.hash, **changes}


def again(op: Op, *, attempts: int, earlier: tuple[EarlierAttempt, ...] = ()) -> Push:
    """A push of an op that was sent before."""
    return Push(new_id(), (PushedOp(op, None, op.time_us, attempts, earlier),))


async def trace(
    server: RunningServer, query: str, *, token: str = "kim", **asked: Any
) -> dict[str, Any]:
    """The answer of ``/v1/trace``, which has to be one."""
    answer = await ask_trace(server, query, token=token, **asked)
    assert answer.status == 200, answer.body
    found: dict[str, Any] = answer.json
    return found


async def ask_trace(
    server: RunningServer, query: str, *, token: str | None = "kim", **asked: Any
) -> Answered:
    """Whatever ``/v1/trace`` answers."""
    words = {"q": query, "space": SPACE, **asked}
    path = "/v1/trace?" + urlencode({k: v for k, v in words.items() if v is not None})
    headers: dict[str, Any] = {} if token is None else {"Authorization": f"Bearer {token}"}
    return await ask(server, path, **headers)


async def recorded(folder: Path, statement: str, *values: object) -> list[tuple[Any, ...]]:
    """Rows, once there are any: some are written a moment later, with another group."""
    async with asyncio.timeout(30):
        while not (rows := rows_of(folder, statement, *values)):  # noqa: ASYNC110 - another process' file
            await asyncio.sleep(0.02)
    return rows


def steps(op: dict[str, Any]) -> list[str]:
    """The names of an op's steps, in order."""
    return [step["what"] for step in op["timeline"]]
