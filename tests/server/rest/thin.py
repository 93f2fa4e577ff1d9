"""A thin client over plain HTTP, and the ward that it works on."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from crdtsync.policy import Policy
from crdtsync_server.service import RunningServer
from crdtsync_server.storage.retention import trim_log
from tests.server.access.asking import Answered, ask
from tests.server.serving import SPACE, new_id, serving

POLICY_TEXT = """
version = 3
[patient]
label = { en = "Patient", ko = "환자" }
delete = ["clinician", "nurse"]
[patient.fields]
name      = { type = "string", label = { en = "Name", ko = "이름" } }
phone     = { type = "string", merge = "user-latest" }
allergies = { type = "set<string>", merge = "manual", write = ["clinician", "nurse"] }
dose      = { type = "decimal", merge = "manual" }
visits    = { type = "integer", merge = "counter" }
balance   = { type = "decimal", merge = "counter" }
tags      = { type = "set<string>", merge = "set" }
born      = { type = "date" }
seen_at   = { type = "datetime" }
weight    = { type = "number" }
alive     = { type = "boolean" }
notes     = { type = "list<string>" }
more      = { type = "json" }
stage     = { type = "integer", min = 1, max = 4 }
diagnosis = { type = "string", merge = "manual", read = ["clinician"], write = ["clinician"] }

[diary]
delete = ["clinician"]
[diary.fields]
text = { type = "string", read = ["clinician"], write = ["clinician"] }

[task.fields]
title = { type = "string", required = true }
"""
POLICY = Policy.parse(POLICY_TEXT)

CLINICIAN = "kim:clinician,nurse"
NURSE = "lee:nurse"
VISITOR = "moon:"


def ward(folder: Path, **options: Any) -> RunningServer:
    """A development server with the policy above."""
    return serving(folder, policy=POLICY, **options)


def path_of(record: str, collection: str = "patient", space: str = SPACE) -> str:
    return f"/v1/spaces/{quote(space, safe='')}/{collection}/{quote(record, safe='')}"


@dataclass(frozen=True)
class Thin:
    """Somebody who asks. ``token`` is the development server's spelling."""

    server: RunningServer
    token: str = CLINICIAN

    @property
    def user(self) -> str:
        return self.token.partition(":")[0]

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Answered:
        """Any request; ``body`` goes as JSON."""
        data = b"" if body is None else json.dumps(body).encode()
        if body is not None:
            headers.setdefault("Content_Type", "application/json")
        headers.setdefault("Authorization", f"Bearer {self.token}")
        return await ask(self.server, path, method=method, body=data, **headers)

    async def get(self, path: str, **headers: str) -> Answered:
        return await self.ask("GET", path, **headers)

    async def read(self, path: str) -> Any:
        """The JSON of a GET that works."""
        answer = await self.get(path)
        assert answer.status == 200, answer.json
        return answer.json

    async def record(self, record: str, collection: str = "patient") -> Any:
        return await self.read(path_of(record, collection))

    async def write(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = None,
        if_match: str | None = None,
        **headers: str,
    ) -> Answered:
        """Any write; without a key it gets a new one."""
        headers["Idempotency_Key"] = key or new_id()
        if if_match is not None:
            headers["If_Match"] = f'"{if_match}"'
        return await self.ask(method, path, body, **headers)

    async def patch(
        self, record: str, body: Mapping[str, Any], collection: str = "patient", **more: Any
    ) -> Answered:
        return await self.write("PATCH", path_of(record, collection), body, **more)

    async def put(self, record: str, fields: Mapping[str, Any], **more: Any) -> Any:
        """Write fields; the answer of a write that works."""
        answer = await self.patch(record, {"fields": fields}, **more)
        assert answer.status == 200, answer.json
        return answer.json

    async def delete(self, record: str, **more: Any) -> Answered:
        return await self.write("DELETE", path_of(record), **more)

    async def restore(self, record: str, **more: Any) -> Answered:
        return await self.write("POST", f"{path_of(record)}/restore", **more)

    async def resolve(
        self, record: str, field: str, value: Any, seen: list[Any], **more: Any
    ) -> Answered:
        body = {"field": field, "value": value, "seen": seen}
        return await self.write("POST", f"{path_of(record)}/resolve", body, **more)

    async def batch(self, ops: list[dict[str, Any]], space: str = SPACE, **more: Any) -> Answered:
        return await self.write("POST", f"/v1/batch?space={quote(space)}", {"ops": ops}, **more)


@asynccontextmanager
async def thin_ward(folder: Path, token: str = CLINICIAN, **options: Any) -> AsyncIterator[Thin]:
    """A server, and somebody who asks it."""
    async with ward(folder, **options) as server:
        yield Thin(server, token)


def problem(answer: Answered, status: int, code: str) -> Any:
    """The problem that the answer is."""
    assert (answer.status, answer.json.get("code")) == (status, code), answer.json
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["request_id"] == answer.headers.get(
        "x-request-id", answer.json["request_id"]
    )
    return answer.json


def seen_of(candidates: list[Any]) -> list[Any]:
    """Everything that a person saw who looked at these candidates."""
    return [name for candidate in candidates for name in candidate["entries"]]


async def in_conflict(thin: Thin, record: str = "p1") -> list[Any]:
    """Two values for the allergies of a record: its candidates."""
    before = await thin.put(record, {"allergies": ["nuts"]})
    stale = before["record"]["version"]
    await thin.put(record, {"allergies": ["nuts", "latex"]})
    await thin.put(record, {"allergies": ["penicillin"]}, if_match=stale)
    found = await thin.record(record)
    assert "allergies" not in found["fields"]
    return list(found["conflicts"]["allergies"])


async def trim(thin: Thin) -> None:
    """The server's retention cuts the whole log."""
    store = thin.server.service.store
    await store.write(lambda connection: trim_log(connection, store.sql, SPACE, 1 << 30))


class Events:
    """A stream of server-sent events, as it comes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self.head = b""
        self._text = b""
        self.has_ended = False

    async def __aenter__(self) -> Events:
        self.head = await self._reader.readuntil(b"\r\n\r\n")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    @property
    def status(self) -> int:
        return int(self.head.split()[1])

    async def next(self) -> dict[str, str]:
        """The next event with something in it; {} at the end."""
        while True:
            while b"\n\n" not in self._text:
                if not await self._more():
                    return {}
            block, _, self._text = self._text.partition(b"\n\n")
            lines = block.decode().split("\n")
            fields = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
            fields.pop("retry", None)
            if fields:
                return fields

    async def _more(self) -> bool:
        size = int(await self._reader.readline(), 16)
        self._text += (await self._reader.readexactly(size + 2))[:-2]
        self.has_ended = size == 0
        return size > 0


async def events(thin: Thin, query: str = "", **headers: str) -> Events:
    """Open a stream of the space's changes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", thin.server.port)
    sent = {
        "Host": "127.0.0.1",
        "Accept": "text/event-stream",
        "Authorization": f"Bearer {thin.token}",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"GET /v1/changes?space={SPACE}{query} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in sent.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    return Events(reader, writer)
