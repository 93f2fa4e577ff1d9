"""The OpenAPI document, made of the operations and of the types that they really use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from crdtsync.version import __version__
from crdtsync_server.problems import CONTENT_TYPE
from crdtsync_server.rest.bodies import NAME_FORM
from crdtsync_server.rest.calls import JSON, Operation
from crdtsync_server.rest.following import EVENT_STREAM
from crdtsync_server.rest.operations import ETAG, OPERATIONS
from crdtsync_server.rest.parsing import WHERE
from crdtsync_server.rest.shapes import Change, ProblemDetails

REF = "#/components/schemas/{name}"

ALWAYS: Mapping[int, str] = {
    400: "bad_query, bad_json, bad_cursor, bad_version, idempotency_key_required, "
    "bad_idempotency_key, cut_off: the request itself is wrong.",
    401: "unauthorized: sign in with a token that is good.",
    403: "no_access: the sign-in does not open this space. not_permitted: the policy does not "
    "let your roles write this. foreign_origin: a browser asks for another site.",
    429: "rate_limited, too_many_connections: come back after Retry-After.",
    503: "Nothing was decided; send the same again after Retry-After (restarting, overloaded, "
    "disk_full, disk_fault, sign_in_unavailable).",
}
"""What every operation may answer."""

_RETRY = {429, 503}

DESCRIPTION = """\
The records of crdtsync for programs that keep no replica. What is written here is the same
operation as over WebSocket: it merges by the same policy, field by field, and is answered after
it is on the server's disk.

- Every write needs an `Idempotency-Key`, a UUID v4 that is new for each write and the same when
  it is sent again. A repeat gets the first receipt, however often it comes.
- `ETag` and `If-Match` say what the person had seen. A plain field that was written meanwhile
  gives 412; on a field where a person decides, both values stand until someone chooses.
- A field in conflict has no value in `fields`. Its candidates are in `conflicts`.
- What you may not read is in no answer, under no name.
- Errors are `application/problem+json` with a `code` for programs and the `request_id`, by
  which the server's trace and log are searched.
"""


def openapi_json() -> bytes:
    """The document, encoded."""
    return msgspec.json.format(msgspec.json.encode(document()), indent=1)


def document() -> dict[str, Any]:
    """The document as plain data."""
    answers = {one.answer for one in OPERATIONS}
    bodies = {one.body for one in OPERATIONS if one.body is not None}
    kinds = [
        *sorted(answers | bodies | {Change, ProblemDetails}, key=lambda kind: kind.__name__),
        *dict.fromkeys(one.query for one in OPERATIONS),
    ]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=REF)
    of = dict(zip(kinds, schemas, strict=True))
    queries = {one.query.__name__ for one in OPERATIONS}
    paths: dict[str, Any] = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, of, components)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "crdtsync",
            "version": __version__,
            "description": DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in components.items() if name not in queries},
            "responses": {
                str(status): _problem(status, words, of) for status, words in ALWAYS.items()
            },
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A JWT; with `crdtsync serve --dev` any name.",
                }
            },
        },
    }


def _operation(one: Operation, of: Mapping[Any, Any], components: Mapping[str, Any]) -> Any:
    query = components[one.query.__name__]
    described: dict[str, Any] = {
        "operationId": one.name,
        "summary": one.summary,
        "parameters": [
            *_path_parameters(one.path),
            *_query_parameters(query),
            *([_FILTER] if one.takes_filters else []),
            *_header_parameters(one),
        ],
        "responses": _responses(one, of),
    }
    if one.body is not None:
        described["requestBody"] = {"required": True, "content": {JSON: {"schema": of[one.body]}}}
    return described


_NAMES = {
    "space": "The space.",
    "collection": "The collection, as the policy names it.",
    "id": "The record's id; a slash in it is written %2F.",
}

_FILTER = {
    "name": f"{WHERE}FIELD",
    "in": "query",
    "required": False,
    "description": "Only records whose field FIELD has this value, e.g. `where.ward=3`. Of a set: "
    "that hold the element. A field in conflict matches when one of its candidates does. "
    "May be given for several fields; all of them have to match.",
    "schema": {"type": "string"},
    "x-name-pattern": r"^where\.\w+$",
}


def _path_parameters(path: str) -> list[Any]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": words,
            "schema": {"type": "string", "minLength": 1, "maxLength": 256, "pattern": NAME_FORM},
        }
        for name, words in _NAMES.items()
        if f"{{{name}}}" in path
    ]


def _query_parameters(query: Mapping[str, Any]) -> list[Any]:
    found = []
    for name, schema in query["properties"].items():
        plain = _without_null(schema)
        words = plain.pop("description", "")
        found.append(
            {
                "name": name,
                "in": "query",
                "required": name in query.get("required", ()),
                "description": words,
                "schema": plain,
            }
        )
    return found


def _without_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter that may be left out is no parameter that may be null."""
    plain = {name: value for name, value in schema.items() if value is not None}
    plain = {name: value for name, value in plain.items() if name != "default" or value is not None}
    options = plain.pop("anyOf", None)
    if options is not None:
        (only,) = [one for one in options if one != {"type": "null"}]
        plain |= only
    if "enum" in plain:
        plain["enum"] = [one for one in plain["enum"] if one is not None]
        plain["type"] = "string"
    return plain


def _header_parameters(one: Operation) -> list[Any]:
    return [
        {
            "name": header.name,
            "in": "header",
            "required": header.required,
            "description": header.description,
            "schema": dict(header.schema),
        }
        for header in one.headers
    ]


def _responses(one: Operation, of: Mapping[Any, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {JSON: {"schema": of[one.answer]}}
    if one.streams:
        content[EVENT_STREAM] = {
            "schema": {
                "type": "string",
                "description": "Events `change` with a Change as data and its seq as id; lines "
                "with only an id where entries may not be read; comments while nothing happens; "
                'an event `end` with {"code": …} before the server closes the stream.',
            }
        }
    done: dict[str, Any] = {"description": "Done.", "content": content}
    if one.has_etag:
        done["headers"] = {
            "ETag": {
                "required": True,
                "description": "The record's version.",
                "schema": {"type": "string", "pattern": ETAG},
            }
        }
    found: dict[str, Any] = {"200": done}
    for status in sorted({*ALWAYS, *one.problems}):
        if status in one.problems:
            found[str(status)] = _problem(status, one.problems[status], of)
        elif status != 403 or one.space_in is not None:
            found[str(status)] = {"$ref": f"#/components/responses/{status}"}
    return found


def _problem(status: int, words: str, of: Mapping[Any, Any]) -> dict[str, Any]:
    described: dict[str, Any] = {"description": words}
    if status != 304:
        described["content"] = {CONTENT_TYPE: {"schema": of[ProblemDetails]}}
    if status in _RETRY:
        described["headers"] = {
            "Retry-After": {"description": "Seconds.", "schema": {"type": "integer"}}
        }
    return described
