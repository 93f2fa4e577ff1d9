"""Plain HTTP, byte by byte, as browsers, scripts and worse speak it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from crdtsync_server.service import RunningServer


@dataclass(frozen=True)
class Answered:
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, which has to be JSON."""
        return json.loads(self.body)


async def ask(
    server: RunningServer,
    path: str,
    *,
    method: str = "GET",
    body: bytes = b"",
    **headers: Any,
) -> Answered:
    """One request on a connection of its own. ``header_name="value"``."""
    sent = {"Host": f"127.0.0.1:{server.port}", "Connection": "close"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    if body:
        sent["Content-Length"] = str(len(body))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
    return await ask_raw(server, "\r\n".join([*lines, "", ""]).encode() + body)


async def ask_raw(server: RunningServer, request: bytes) -> Answered:
    """Send these bytes, and read until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(request)
        return parse(await reader.read())
    finally:
        writer.close()


def parse(answer: bytes) -> Answered:
    """An answer that came whole."""
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines)
    }
    return Answered(int(first.split()[1]), headers, body)
