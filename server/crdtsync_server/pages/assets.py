"""The files of the pages, read once, each with its type, its digest and a packed copy."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

TYPES: Final[Mapping[str, str]] = {
    # Written out, because the machine's own table may call a script text/plain, and a
    # browser that is told not to guess then runs nothing.
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "html": "text/html; charset=utf-8",
    "json": "application/json",
}

CACHING: Final = "no-cache"
"""A browser keeps a copy and asks each time whether it still holds: after an update of
the server nobody runs old pages against a new interface."""

PACKED_FROM_BYTES: Final = 1_000
"""Smaller files fit one packet as they are."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One answer, ready to send."""

    body: bytes
    media_type: str
    etag: str
    packed: bytes | None

    @classmethod
    def of(cls, body: bytes, ending: str) -> Asset:
        """``body`` as a file of this ending."""
        packed = gzip.compress(body, mtime=0) if len(body) >= PACKED_FROM_BYTES else None
        digest = hashlib.sha256(body).hexdigest()[:32]
        return cls(body, TYPES[ending], f'"{digest}"', packed)

    def response(self, request: Request, status: int = 200) -> Response:
        """The answer to ``request``: 304 where the browser's copy still holds."""
        headers = {"Cache-Control": CACHING, "ETag": self.etag, "Vary": "Accept-Encoding"}
        if status == 200 and self.etag in _tags(request.headers.get("if-none-match", "")):
            return Response(status_code=304, headers=headers)
        body = self.body
        if self.packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            body = self.packed
            headers["Content-Encoding"] = "gzip"
        return Response(body, status, headers, self.media_type)


def _tags(header: str) -> set[str]:
    # A proxy that packs answers marks the tag as weak; the content is the same.
    return {tag.strip().removeprefix("W/") for tag in header.split(",")}


def load_assets() -> dict[str, Asset]:
    """Every file below ``static``, by its path there. Other names do not exist."""
    return {
        path: Asset.of(file.read_bytes(), ending)
        for path, file in _files(resources.files(__package__) / "static", "")
        if (ending := path.rpartition(".")[2]) in TYPES
    }


def _files(folder: Traversable, above: str) -> Iterator[tuple[str, Traversable]]:
    for child in folder.iterdir():
        if child.is_dir():
            yield from _files(child, f"{above}{child.name}/")
        else:
            yield f"{above}{child.name}", child
