"""Batches to a server, again and again until it has answered: their ops count once."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

from crdtsync.cli.failures import NETWORK, Failure
from crdtsync_server.rest.seeding.words import tell

TIMEOUT_S = 60.0
PATIENCE_S = 120.0
"""How long a server that does not answer, or is full, is asked again."""

FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 15.0

PASSING = (429, 502, 503, 504)
"""Statuses of a server, or a proxy before it, that is there again soon."""


class Server:
    """The HTTP interface of a server, for one person."""

    def __init__(
        self,
        url: str,
        token: str,
        lang: str,
        *,
        waits: Callable[[str], None] = lambda reason: None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``waits`` is told why, whenever something is going to be sent again. Raises Failure
        where ``url`` or ``token`` is none."""
        if not (token.isascii() and token.isprintable()):
            raise Failure(tell("bad_token", lang))
        self._connection, self._prefix = _connection_to(url, lang)
        self._url = url
        self._token = token
        self._lang = lang
        self._has_answered = False
        self._waits = waits
        self._sleep = sleep
        self._clock = clock

    def close(self) -> None:
        """Hang up."""
        self._connection.close()

    def get(self, path: str) -> Any:
        """The JSON at a path. Raises Failure."""
        return self._ask("GET", path, None, {})

    def batch(self, space: str, request_id: str, ops: list[dict[str, Any]]) -> list[Any]:
        """What became of each op. Raises Failure."""
        path = f"/v1/batch?space={quote(space, safe='')}&lang={self._lang}"
        body = json.dumps({"ops": ops}).encode()
        headers = {"Idempotency-Key": request_id, "Content-Type": "application/json"}
        deadline = self._clock() + PATIENCE_S
        while True:
            results: list[Any] = self._ask("POST", path, body, headers)["results"]
            pauses = [
                (one["problem"] or {}).get("retry_after_s") or 1
                for one in results
                if one["status"] == "transient"
            ]
            if not pauses or self._clock() > deadline:
                return results
            # Those that were taken get their receipts again.
            self._waits("busy")
            self._sleep(max(pauses))

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Any:
        deadline = self._clock() + PATIENCE_S
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                status, told, retry_after_s = self._once(method, path, body, headers)
            except (OSError, UnicodeError, http.client.HTTPException) as error:
                self._connection.close()
                status, told, retry_after_s = 0, str(error) or type(error).__name__, None
            if status == 200 and isinstance(told, dict):
                self._has_answered = True
                return told
            if status == 0 and not self._has_answered:
                # A wrong address is wrong in two minutes, too.
                words = tell("no_server", self._lang, url=self._url, reason=_reason(told))
                raise Failure(words, NETWORK)
            if status not in (0, *PASSING):
                raise Failure(tell("refused", self._lang, reason=_reason(told)))
            wait_s = retry_after_s if retry_after_s is not None else pause_s
            if self._clock() + wait_s > deadline:
                words = tell("no_answer", self._lang, reason=_reason(told))
                raise Failure(words, NETWORK)
            self._waits(_reason(told))
            self._sleep(wait_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    def _once(
        self, method: str, path: str, body: bytes | None, headers: dict[str, str]
    ) -> tuple[int, Any, float | None]:
        sent = {**headers, "Authorization": f"Bearer {self._token}"}
        self._connection.request(method, f"{self._prefix}{path}", body, sent)
        answer = self._connection.getresponse()
        data = answer.read()
        try:
            told = json.loads(data)
        except ValueError:
            told = f"{answer.status} {answer.reason}"
        retry = answer.headers.get("Retry-After", "")
        return answer.status, told, float(retry) if retry.isascii() and retry.isdigit() else None


def _connection_to(url: str, lang: str) -> tuple[http.client.HTTPConnection, str]:
    """A connection that is not open yet, and the path below which the server is."""
    try:
        parts = urlsplit(url)
        kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
        connection = kinds[parts.scheme](parts.hostname or "", parts.port, timeout=TIMEOUT_S)
        if parts.hostname and parts.path.isascii() and parts.path.isprintable():
            return connection, parts.path.rstrip("/")
    except (ValueError, KeyError, http.client.InvalidURL):
        pass  # no port, no scheme, no host
    raise Failure(tell("bad_server", lang, url=url))


def _reason(told: Any) -> str:
    return str(told.get("detail", told)) if isinstance(told, dict) else str(told)
