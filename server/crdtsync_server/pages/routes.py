"""The routes of the pages: the shell, its files, and the words in both languages."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from crdtsync.catalogue import LANGS
from crdtsync_server.pages.assets import Asset, load_assets
from crdtsync_server.pages.shell import load_shells, preferred_lang
from crdtsync_server.pages.words import all_words

if TYPE_CHECKING:
    from crdtsync_server.service import Service

HOME = "/app/"
ICON = "icon.svg"
VIEWS = frozenset({"", "conflicts", "conflict", "records", "record", "trace", "policy", "device"})
"""What may follow ``/app/``; the router in ``static/router.js`` knows the same."""


def routes(service: Service) -> list[BaseRoute]:
    """What ``app.py`` serves of this package."""
    assets = load_assets()
    shells = load_shells(dev=service.settings.dev)
    words: dict[str, Asset] = {
        lang: Asset.of(msgspec.json.encode(all_words(lang)), "json") for lang in LANGS
    }

    async def page(request: Request) -> Response:
        lang = preferred_lang(
            request.query_params.get("lang"), request.headers.get("accept-language", "")
        )
        status = 200 if request.path_params.get("view", "") in VIEWS else 404
        return shells[lang].response(request, status)

    async def static(request: Request) -> Response:
        return _found(assets, request.path_params["path"]).response(request)

    async def words_of(request: Request) -> Response:
        return _found(words, request.path_params["lang"]).response(request)

    async def icon(request: Request) -> Response:
        return assets[ICON].response(request)

    return [
        Route("/app", index),
        Route(HOME, page),
        Route("/app/static/{path:path}", static),
        Route("/app/words/{lang}.json", words_of),
        Route("/app/{view:path}", page),
        Route("/favicon.ico", icon),
    ]


async def index(request: Request) -> Response:
    """Where a browser that opens ``/`` goes."""
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"{HOME}{query}")


def _found(files: dict[str, Asset], name: str) -> Asset:
    if name not in files:
        raise HTTPException(404)
    return files[name]
