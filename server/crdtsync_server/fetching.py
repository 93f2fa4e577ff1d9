"""Asking a running server over HTTP from the command line, and what is said when it fails."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from typing import Final

import msgspec

from crdtsync.catalogue.wording import Words, fill
from crdtsync.cli.failures import BAD_INPUT, NETWORK, Failure

MAX_ANSWER_BYTES = 64 * 1_048_576
"""A page of 100 ops with long ways is 1 MB, a thorough report less."""

OF_THE_ASKER = (401, 403, 422)
"""Statuses that the same question would meet again: its options are at fault."""

TEXTS: Final[Mapping[str, Words]] = {
    "bad_server": Words(
        en="{url} is not the address of a server; write it like https://sync.example.org or "
        "http://127.0.0.1:8000",
        ko="서버 주소가 아니에요: {url}. https://sync.example.org 또는 "
        "http://127.0.0.1:8000 처럼 써 주세요",
    ),
    "unreachable": Words(
        en="the server at {url} cannot be reached: {why}. Check the address and the network",
        ko="서버에 연결할 수 없어요: {url} ({why}). 주소와 네트워크를 확인해 주세요",
    ),
    "server_said": Words(
        en="the server at {url} does not answer this ({status}): {why}",
        ko="서버에서 답하지 않았어요: {url} ({status}). 이유: {why}",
    ),
    "bad_token": Words(
        en="the token has characters that no HTTP header may hold; copy it anew, as one line",
        ko="토큰에 쓸 수 없는 글자가 있어요. 한 줄로 다시 복사해 주세요",
    ),
}


def fetch(
    server: str,
    path: str,
    query: Mapping[str, str],
    *,
    token: str | None,
    limit_s: float,
    lang: str,
) -> bytes:
    """The body of the answer to ``GET path``. Raises Failure in words.

    ``server`` may be the address that replicas connect to; ``limit_s`` is how long the server
    may be silent.
    """
    address = f"{_http_url(server, lang)}{path}?{urllib.parse.urlencode(query)}"
    request = urllib.request.Request(address, headers={"Accept": "application/json"})
    if token:
        if not (token.isascii() and token.isprintable()):
            raise Failure(_say("bad_token", lang), BAD_INPUT)
        request.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(request, timeout=limit_s) as response:
            return bytes(response.read(MAX_ANSWER_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            why = _detail(error.read(65_536)) or str(error.reason)
        words = _say("server_said", lang, url=server, status=error.code, why=why)
        raise Failure(words, BAD_INPUT if error.code in OF_THE_ASKER else NETWORK) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        cause = getattr(error, "reason", None) or error
        raise Failure(_say("unreachable", lang, url=server, why=cause), NETWORK) from error


def _http_url(url: str, lang: str) -> str:
    """Where HTTP is spoken: the address that replicas connect to will do as well."""
    try:
        parts = urllib.parse.urlsplit(url)
        scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
        good = scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        good = good and not parts.query and not parts.fragment and parts.username is None
    except ValueError:
        good = False
    if not good:
        raise Failure(_say("bad_server", lang, url=url), BAD_INPUT)
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}"


def _detail(body: bytes) -> str:
    """What a problem says in words."""
    try:
        found = msgspec.json.decode(body)
    except msgspec.DecodeError:
        return ""
    return str(found.get("detail", "")) if isinstance(found, dict) else ""


def _say(key: str, lang: str, **params: object) -> str:
    return fill(TEXTS[key].in_lang(lang), params)
