"""Reading requests: query parameters, headers, bodies. Everything that is wrong is a Problem."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request

from crdtsync.catalogue import LANGS, Lang
from crdtsync.cli.typed_text import read_json
from crdtsync.documents.ops import SAFE_INTEGER, is_op_id
from crdtsync_server.problems import Problem
from crdtsync_server.rest.bodies import Body, Query

Q = TypeVar("Q", bound=Query)
B = TypeVar("B", bound=Body)

WHERE = "where."
"""Query parameters that begin so are filters."""

MAX_PARAMETERS = 64
JSON_TYPE = "application/json"

_SAFE_EXPONENT = len(str(SAFE_INTEGER))

_TAG = re.compile(r'(W/)?"([^"]*)"')


def read_query(request: Request, kind: type[Q]) -> tuple[Q, dict[str, str]]:
    """The parameters as ``kind``, and the filters (``where.FIELD``) besides. Raises Problem 400."""
    given: dict[str, str] = {}
    filters: dict[str, str] = {}
    takes_filters = "conflicts" in kind.__struct_fields__
    items = request.query_params.multi_items()
    if len(items) > MAX_PARAMETERS:
        raise Problem(400, "bad_query", f"more than {MAX_PARAMETERS} parameters")
    for name, value in items:
        into = filters if takes_filters and name.startswith(WHERE) else given
        key = name.removeprefix(WHERE) if into is filters else name
        if key in into:
            raise Problem(400, "bad_query", f"the parameter {name!r} is given twice")
        into[key] = value
    unknown = given.keys() - set(kind.__struct_fields__)
    if unknown:
        known = [*kind.__struct_fields__, *([f"{WHERE}FIELD"] if takes_filters else [])]
        raise Problem(
            400,
            "bad_query",
            f"there is no parameter {min(unknown)!r} here; known: {', '.join(known)}",
        )
    try:
        query = msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as error:
        raise Problem(400, "bad_query", f"bad parameter: {_where(error)}") from error
    # ``strict=False`` takes "null" for nothing, and a parameter that is given says something.
    nothing = next((name for name in given if getattr(query, name) is None), None)
    if nothing is not None:
        raise Problem(400, "bad_query", f"bad parameter: {nothing} has no value")
    return query, filters


def language(request: Request, asked: Lang | None) -> Lang:
    """``?lang=``, else the first known of Accept-Language, else English."""
    if asked is not None:
        return asked
    for part in request.headers.get("accept-language", "").split(","):
        tag = part.partition(";")[0].strip().lower().partition("-")[0]
        if tag in LANGS:
            return tag
    return "en"


async def read_body(request: Request, kind: type[B]) -> tuple[B, int]:
    """The JSON body as ``kind``, and its size in bytes. Raises Problem 400, 413, 415, 422."""
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != JSON_TYPE:
        raise Problem(
            415,
            "unsupported_media_type",
            f"the body has to be {JSON_TYPE}, not {media or 'without a Content-Type'}",
            headers={"Accept": JSON_TYPE},
        )
    data = await _bytes(request)
    try:
        value = read_json(data.decode())
    except RecursionError:
        raise Problem(400, "bad_json", "the body is nested too deeply") from None
    except ValueError as error:
        raise Problem(400, "bad_json", f"the body is not JSON: {error}") from None
    if b"\\u" in data:
        _refuse_half_characters(value)
    try:
        return msgspec.convert(_undecimal(value), kind), len(data)
    except msgspec.ValidationError as error:
        raise Problem(422, "bad_body", f"the body does not fit: {_where(error)}") from error


def _refuse_half_characters(value: Any) -> None:
    """JSON can spell a lone surrogate, which no answer and no database can."""
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        raise Problem(
            422, "bad_text", "the body holds half a character (a lone surrogate); leave it out"
        ) from None


def _undecimal(value: Any) -> Any:
    """A body with its exact decimals in the form that ``convert`` takes, where the type is
    the body's own: 2.0 counts as 2, and a step of a counter goes as text. Values of fields
    keep theirs; their type in the policy decides."""
    if not isinstance(value, dict):
        return value
    made = dict(value)
    if "time_us" in made:
        made["time_us"] = _integral(made["time_us"])
    steps = made.get("increment")
    if isinstance(steps, dict):
        made["increment"] = {
            name: str(step) if isinstance(step, Decimal) else step for name, step in steps.items()
        }
    seen = made.get("seen")
    if isinstance(seen, list):
        made["seen"] = [list(map(_integral, one)) if _is_list(one) else one for one in seen]
    if "resolve" in made:
        made["resolve"] = _undecimal(made["resolve"])
    if isinstance(made.get("ops"), list):
        made["ops"] = list(map(_undecimal, made["ops"]))
    return made


def _integral(value: Any) -> Any:
    # An exponent of ten digits overflows whatever is done with it, so it is looked at first.
    if not isinstance(value, Decimal) or abs(value.adjusted()) > _SAFE_EXPONENT:
        return value
    is_integral = value == value.to_integral_value()
    return int(value) if is_integral and abs(value) <= SAFE_INTEGER else value


def _is_list(value: object) -> bool:
    return isinstance(value, list)


async def _bytes(request: Request) -> bytes:
    """The body; what is too large or too slow is refused before it comes here (access)."""
    try:
        return await request.body()
    except ClientDisconnect:
        raise Problem(400, "cut_off", "the connection ended before the body did") from None


def idempotency_key(request: Request) -> str:
    """The UUID v4 of the Idempotency-Key header. Raises Problem 400."""
    keys = request.headers.getlist("idempotency-key")
    if len(keys) != 1:
        raise Problem(
            400,
            "idempotency_key_required",
            "a write needs one Idempotency-Key header: a new UUID v4 for each write, and the "
            "same one when it is sent again",
        )
    # The header is a quoted string in the draft of the IETF, and bare nearly everywhere.
    key = keys[0].strip().strip('"').lower()
    if not is_op_id(key):
        raise Problem(400, "bad_idempotency_key", "the Idempotency-Key has to be a UUID v4")
    return key


def entity_tags(request: Request, name: str) -> list[str] | None:
    """The versions in If-Match or If-None-Match; ``["*"]`` for any. None without the header.
    Raises Problem 400."""
    text = request.headers.get(name)
    if text is None:
        return None
    if text.strip() == "*":
        return ["*"]
    tags = [found[2] for found in _TAG.finditer(text)]
    rest = _TAG.sub("", text).replace(",", "").strip()
    if not tags or rest:
        raise Problem(
            400, "bad_version", f'{name} takes the ETag of the record, such as "12-0a1b2c3d", or *'
        )
    return tags


def known_versions(request: Request) -> list[str]:
    """The versions in If-None-Match of a GET; what is none there matches nothing."""
    text = request.headers.get("if-none-match", "")
    return ["*"] if text.strip() == "*" else [found[2] for found in _TAG.finditer(text)]


def _where(error: msgspec.ValidationError) -> str:
    """msgspec's words, with the place in front and without its marks."""
    what, _, place = str(error).partition(" - at `")
    path = place.removesuffix("`").removeprefix("$").removeprefix(".")
    what = what.replace("`", "")
    return f"{path}: {what}" if path else what
