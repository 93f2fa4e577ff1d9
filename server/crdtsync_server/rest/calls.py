"""One call of an operation: who asks, what for, and the answer as JSON."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from crdtsync.catalogue import Lang
from crdtsync.documents.errors import InvalidOp
from crdtsync.documents.ops import check_identifier
from crdtsync.policy import CollectionPolicy, FieldPolicy
from crdtsync_server.authentication import Identity
from crdtsync_server.http import entered, service_of, signed_in, visibility
from crdtsync_server.problems import Problem
from crdtsync_server.rest.bodies import BatchQuery, NoQuery, Query
from crdtsync_server.rest.looking import Look, look
from crdtsync_server.rest.parsing import language, read_query
from crdtsync_server.rest.shapes import Shape
from crdtsync_server.sight import Sight

if TYPE_CHECKING:
    from crdtsync_server.service import Service

T = TypeVar("T")

JSON = "application/json"


@dataclass(slots=True)
class Call:
    """A request whose sender is known, whose path and parameters are read."""

    request: Request
    service: Service
    identity: Identity
    sight: Sight
    params: Mapping[str, str]
    query: Any
    filters: Mapping[str, str]
    lang: Lang
    space: str = ""
    """The space that the sender may enter; "" for operations outside of spaces."""

    async def look(self, job: Callable[[Look], T], space: str | None = None) -> T:
        """Run a reading job as this person."""
        service = self.service
        name = self.space if space is None else space
        return await look(service.store, service.policy, self.sight, name, job)

    @property
    def rules(self) -> CollectionPolicy:
        """The collection in the path. Raises Problem 404."""
        return self.collection(self.params["collection"])

    def collection(self, name: str) -> CollectionPolicy:
        """A collection that this person may know. Raises Problem 404 naming those there are."""
        found = self.service.policy.collections.get(name)
        if found is None or not self.sight.seen.sees_collection(name):
            known = filter(self.sight.seen.sees_collection, self.service.policy.collections)
            raise Problem(
                404,
                "unknown_collection",
                f"there is no collection {name[:80]!r}; known: {', '.join(known) or 'none'}",
            )
        return found

    def field(self, rules: CollectionPolicy, name: str, status: int = 422) -> FieldPolicy:
        """A field that this person may know. Raises Problem naming those there are: a field
        that is hidden and one that does not exist are refused alike."""
        seen = self.sight.seen
        if seen.may_read_field(rules.name, name):
            return rules.fields[name]
        known = [one for one in rules.fields if seen.may_read_field(rules.name, one)]
        raise Problem(
            status,
            "unknown_field",
            f"{rules.name} has no field {name[:80]!r}; known: {', '.join(known)}",
            field=name[:80],
        )

    @property
    def record(self) -> str:
        """The record id in the path. Raises Problem 422."""
        return record_id(self.params["id"])


def record_id(text: str) -> str:
    """``text`` if a record may have it as its id. Raises Problem 422."""
    try:
        check_identifier(text, "record id")
    except InvalidOp as error:
        raise Problem(422, error.code, str(error)) from error
    return text


Handler = Callable[[Call], Awaitable[Response]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """A request header that an operation takes."""

    name: str
    description: str
    required: bool = False
    schema: Mapping[str, object] = field(default_factory=lambda: {"type": "string"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """What can be asked of one path with one method: behaviour and documentation in one."""

    method: str
    path: str
    name: str
    summary: str
    handler: Handler
    answer: type[Shape]
    query: type[Query] = NoQuery
    body: type[msgspec.Struct] | None = None
    headers: tuple[Header, ...] = ()
    problems: Mapping[int, str] = field(default_factory=dict)
    """What else it answers, by status: besides those that every operation may answer."""
    has_etag: bool = False
    streams: bool = False
    """Whether it answers ``Accept: text/event-stream`` as well."""
    space_in: str | None = "path"
    """Where the space stands: ``path``, ``query``, or None for operations outside of spaces."""
    takes_filters: bool = False


async def serve(operation: Operation, request: Request, params: Mapping[str, str]) -> Response:
    """Check who asks and what for, then do it."""
    if operation.space_in == "path":
        identity = await entered(request, params["space"])
    else:
        identity = await signed_in(request)
    query, filters = read_query(request, operation.query)
    space = params.get("space", "")
    if operation.space_in == "query":
        space = cast(BatchQuery, query).space
        await entered(request, space)
    call = Call(
        request=request,
        service=service_of(request),
        identity=identity,
        sight=Sight(identity.user, visibility(request, identity)),
        params=params,
        query=query,
        filters=filters,
        lang=language(request, query.lang),
        space=space,
    )
    return await operation.handler(call)


def json_response(
    answer: Shape, headers: Mapping[str, str] | None = None, status: int = 200
) -> Response:
    """The answer as JSON."""
    return Response(
        msgspec.json.encode(answer),
        status_code=status,
        headers=dict(headers or {}),
        media_type=JSON,
    )
