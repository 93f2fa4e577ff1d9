"""The one HTML document, which every page begins as."""

from __future__ import annotations

from html import escape
from importlib import resources
from string import Template

from crdtsync.catalogue import LANGS, lang_of
from crdtsync_server.pages.assets import Asset
from crdtsync_server.pages.words import say


def load_shells(*, dev: bool) -> dict[str, Asset]:
    """The document in every language. ``dev``: any name signs in."""
    source = (resources.files(__package__) / "shell.html").read_text("utf-8")
    return {
        lang: Asset.of(
            Template(source)
            .substitute(
                lang=lang,
                dev="yes" if dev else "no",
                title=escape(say("product", lang)),
                skip=escape(say("skip_link", lang)),
                loading=escape(say("loading", lang)),
                needs_script=escape(say("needs_script", lang)),
            )
            .encode(),
            "html",
        )
        for lang in LANGS
    }


def preferred_lang(asked: str | None, accepted: str) -> str:
    """The language of ``?lang=``, else the first of Accept-Language that we speak."""
    if asked:
        return lang_of(asked)
    weighed = []
    for place, part in enumerate(accepted.split(",")[:20]):
        tag, _, rest = part.strip().partition(";")
        try:
            weight = float(rest.strip().removeprefix("q=")) if rest else 1.0
        except ValueError:
            weight = 0.0
        if tag.partition("-")[0].lower() in LANGS and weight > 0:
            weighed.append((-weight, place, tag))
    return lang_of(min(weighed)[2]) if weighed else "en"
