"""Every word of the pages, and those of the catalogue that they share with devices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from crdtsync.catalogue import REASON_CODES, reason
from crdtsync.catalogue.messages import MESSAGES
from crdtsync.catalogue.wording import Words
from crdtsync_server.pages.texts.choosing import CHOOSING
from crdtsync_server.pages.texts.frame import FRAME
from crdtsync_server.pages.texts.looking import LOOKING
from crdtsync_server.pages.texts.overview import OVERVIEW

SHARED: Final = (
    "another_value_arrived",
    "clock_wrong",
    "keep_all",
    "another_value",
    "details",
    "state_pending",
    "state_failed",
)
"""Messages of ``crdtsync.catalogue``: people read the same words on a device and here."""

OWN: Final[Mapping[str, Words]] = {**FRAME, **CHOOSING, **OVERVIEW, **LOOKING}

REASON: Final = "reason_"
"""What the keys of reasons begin with."""

UNKNOWN_REASON: Final = Words(
    en='a reason that this page does not know ("{code}")', ko="이 페이지에서 모르는 이유 ({code})"
)

TEXTS: Final[Mapping[str, Words]] = {
    **{key: MESSAGES[key] for key in SHARED},
    **OWN,
    f"{REASON}unknown": UNKNOWN_REASON,
}


def say(key: str, lang: str) -> str:
    """The text ``key`` as it stands, without parameters."""
    return TEXTS[key].in_lang(lang)


def all_words(lang: str) -> dict[str, str]:
    """Every text for ``static/words.js``, by key. Reasons are those that need no parameters:
    what the server says of a certain case comes with it."""
    reasons = {f"{REASON}{code}": reason(code, lang) for code in sorted(REASON_CODES)}
    return {**reasons, **{key: words.in_lang(lang) for key, words in TEXTS.items()}}
