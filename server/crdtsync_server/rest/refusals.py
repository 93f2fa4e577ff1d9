"""From a refusal, as the library and ingest give it, to the problem that a thin client gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crdtsync.catalogue import Lang
from crdtsync.policy import InvalidValue
from crdtsync.protocol.messages import RefusedOp
from crdtsync_server.problems import Problem
from crdtsync_server.rest.words import words_of

STATUSES: Mapping[str, int] = {
    "unknown_collection": 404,
    "unknown_record": 404,
    "record_deleted": 409,
    "not_deleted": 409,
    "not_permitted": 403,
    "not_the_author": 403,
    "op_id_reused": 409,
    "id_collision": 409,
    "too_many_candidates": 409,
    "space_full": 409,
    "record_exists": 412,
    "stale_version": 412,
}
"""By code; every other refusal is 422: the request can be read, and cannot be done."""


def value_problem(error: InvalidValue, lang: Lang) -> Problem:
    """A value that does not fit its field."""
    return Problem(
        422,
        error.code,
        str(error),
        field=error.field,
        words=words_of(error.code, lang, **error.params),
        params=error.params,
    )


def refusal_problem(
    code: str,
    detail: str,
    lang: Lang,
    field: str | None = None,
    params: Mapping[str, str] | None = None,
    **extra: Any,
) -> Problem:
    """A refusal by its code."""
    return Problem(
        STATUSES.get(code, 422),
        code,
        detail,
        field=field,
        words=words_of(code, lang, **(params or {})),
        **extra,
    )


def refused(answer: RefusedOp, lang: Lang) -> Problem:
    """An op that ingest did not accept."""
    return refusal_problem(answer.code, answer.words, lang, answer.field, answer.params)
