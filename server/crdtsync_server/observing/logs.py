"""Structured logs: the same lines for people (console) and for machines (JSON).

Modules log through the standard library. ``event`` gives a line its fields; every other
logger's lines, uvicorn's among them, go the same way as text. ``request_id``, ``user_id``
and what else belongs to a connection or request are bound once (structlog's context
variables) and stand on each line. Tokens and values are never logged.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from typing import Any, TextIO

import structlog

from crdtsync.protocol.messages import Answer, Hello, RefusedOp, Transient
from crdtsync_server.observing.settings import ObservingSettings

HTTP_LOGGER = logging.getLogger("crdtsync.server.http")

QUIET_PATHS = ("/healthz", "/readyz", "/metrics", "/static/")
"""Asked every few seconds by machines, or a dozen times by one page."""

FOREIGN = ("uvicorn", "websockets", "asyncio", "aiosqlite")
"""Loggers of libraries: at DEBUG they would drown ours, and write down frames."""


class event:  # noqa: N801 - reads as what it is: `logger.info(event("connected", user_id=…))`
    """A line of the log with fields. Its text form is for handlers that know no fields."""

    __slots__ = ("fields", "name")

    def __init__(self, name: str, /, **fields: object) -> None:
        self.name = name
        self.fields = fields

    def __str__(self) -> str:
        return " ".join([self.name, *(f"{key}={value!r}" for key, value in self.fields.items())])


def start_logging(settings: ObservingSettings, stream: TextIO | None = None) -> None:
    """Send the logs of this process to ``stream`` (standard error). Replaces earlier handlers."""
    target = sys.stderr if stream is None else stream
    renderer: Any = structlog.processors.JSONRenderer(ensure_ascii=False, default=str)
    if settings.log_format == "console":
        renderer = structlog.dev.ConsoleRenderer(
            colors=target.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    trace = structlog.processors.format_exc_info
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[
                _fields_of_event,
                structlog.contextvars.merge_contextvars,
                structlog.stdlib.add_logger_name,
                structlog.stdlib.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            ],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *([trace] if settings.log_format == "json" else []),
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("crdtsync").setLevel(settings.log_level.upper())
    for name in FOREIGN:
        logging.getLogger(name).setLevel(logging.WARNING)


def _fields_of_event(
    _logger: object, _method: str, found: MutableMapping[str, Any]
) -> Mapping[str, Any]:
    told = found["_record"].msg
    if isinstance(told, event):
        found["event"] = told.name
        for key, value in told.fields.items():
            found.setdefault(key, value)
    return found


def log_connected(logger: logging.Logger, hello: Hello, user: str, head_seq: int) -> None:
    """A device came in."""
    logger.info(
        event(
            "connected",
            user_id=user,
            space=hello.space,
            replica_id=hello.replica_id,
            device=hello.device,
            cursor=hello.cursor.seq,
            head=head_seq,
        )
    )


def log_end(
    logger: logging.Logger, name: str, user: str, replica_id: str, code: int | str, words: str
) -> None:
    """A device was turned away, was told goodbye, or is gone."""
    logger.info(event(name, user_id=user, replica_id=replica_id, code=code, words=words))


def log_answers(
    logger: logging.Logger, request_id: str, user: str, answers: Sequence[Answer]
) -> None:
    """One line per push: at DEBUG if all is well, at INFO if ops were refused or sent back."""
    codes: dict[str, int] = {}
    for answer in answers:
        if isinstance(answer, RefusedOp):
            code = f"refused:{answer.code}"
        elif isinstance(answer, Transient):
            code = f"transient:{answer.reason}"
        else:
            continue
        codes[code] = codes.get(code, 0) + 1
    level = logging.INFO if codes else logging.DEBUG
    if logger.isEnabledFor(level):
        told = event("push", request_id=request_id, user_id=user, ops=len(answers))
        if codes:
            told.fields["not_accepted"] = codes
        logger.log(level, told)


def bind(**fields: object) -> None:
    """These stand on every further line of this task."""
    structlog.contextvars.bind_contextvars(**fields)


class Answered:
    """What is known of an HTTP request when it ends."""

    def __init__(self) -> None:
        self.status: int | None = None


@contextmanager
def request_logged(scope: MutableMapping[str, Any], request_id: str) -> Iterator[Answered]:
    """Bind the request_id while a request is served, and log it with its status at the end.

    The query is left out of the line: it may name people and records.
    """
    answered = Answered()
    started_s = time.perf_counter()
    with structlog.contextvars.bound_contextvars(request_id=request_id):
        try:
            yield answered
        finally:
            path, status = scope["path"], answered.status
            level = logging.DEBUG if path.startswith(QUIET_PATHS) else logging.INFO
            if status is None or status >= 500:
                level = logging.ERROR
            if HTTP_LOGGER.isEnabledFor(level):
                identity = scope.get("state", {}).get("identity")
                fields: dict[str, object] = {"request_id": request_id}
                if identity is not None:
                    fields["user_id"] = identity.user
                fields |= {"method": scope["method"], "path": path[:256], "status": status}
                fields["ms"] = round((time.perf_counter() - started_s) * 1_000, 1)
                HTTP_LOGGER.log(level, event("request", **fields))
