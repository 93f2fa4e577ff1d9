"""What every HTTP route needs: who asks, whether they may be here, and what they may read."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from starlette.datastructures import Headers
from starlette.requests import Request

from crdtsync.documents.errors import InvalidOp
from crdtsync.documents.ops import check_identifier
from crdtsync.policy import Visibility
from crdtsync_server.access.middleware import too_many_requests
from crdtsync_server.authentication import Credentials, Identity, NotAuthenticated
from crdtsync_server.problems import Problem

if TYPE_CHECKING:
    from crdtsync_server.service import Service

BEARER = "bearer"
SIGN_IN_RETRY_S = 5


def service_of(request: Request) -> Service:
    """The service behind the application."""
    return cast("Service", request.app.state.service)


def request_id_of(request: Request) -> str:
    """The UUID v4 of this request: in its log lines, its trace, and its answer's header."""
    return cast(str, request.state.request_id)


async def signed_in(request: Request) -> Identity:
    """Who asks, by the ``Authorization: Bearer`` header. Raises Problem 401, or 503."""
    known = getattr(request.state, "identity", None)
    if known is not None:
        return cast(Identity, known)
    token = bearer_token(request.headers)
    if token is None:
        raise _unauthorized("sign in: send a token as Authorization: Bearer …")
    service = service_of(request)
    try:
        identity = await service.authenticator.authenticate(Credentials(token))
    except NotAuthenticated as error:
        raise _unauthorized(str(error)) from error
    except Exception as error:
        raise Problem(
            503,
            "sign_in_unavailable",
            "sign-in cannot be checked now",
            headers={"Retry-After": str(SIGN_IN_RETRY_S)},
        ) from error
    try:
        check_identifier(identity.user, "user")
    except InvalidOp as error:
        raise _unauthorized(str(error)) from error
    wait_ms = service.access.quotas.request(f"user {identity.user}", service.now_us())
    if wait_ms:
        raise too_many_requests(wait_ms)
    request.state.identity = identity
    return identity


def bearer_token(headers: Headers) -> str | None:
    """The token of an ``Authorization: Bearer`` header, if there is one."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    return token.strip() or None if scheme.lower() == BEARER else None


async def entered(request: Request, space: str) -> Identity:
    """Who asks, if they may enter ``space``. Raises Problem 401, 403, or 422 for no name."""
    identity = await signed_in(request)
    try:
        check_identifier(space, "space")
    except InvalidOp as error:
        raise Problem(422, "bad_space", str(error)) from error
    if not identity.may_enter(space):
        # The same words whether the space exists or not.
        raise Problem(403, "no_access", f"your sign-in does not open the space {space!r}")
    return identity


def visibility(request: Request, identity: Identity) -> Visibility:
    """What they may read under the server's policy."""
    return service_of(request).policy.visibility(identity.roles)


def _unauthorized(words: str) -> Problem:
    return Problem(401, "unauthorized", words, headers={"WWW-Authenticate": "Bearer"})
