"""The options that commands share, each spelled once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from crdtsync.catalogue import LANGS
from crdtsync.cli.failures import current_lang


def _language(value: str) -> str:
    """`ko`, `ko_KR.UTF-8` and so on; typer calls this before the command runs."""
    lang = value.replace("_", "-").partition("-")[0].lower()
    if lang not in LANGS:
        raise typer.BadParameter(f"{value!r} is not a language of crdtsync; use en or ko")
    current_lang.set(lang)
    return lang


Lang = Annotated[
    str,
    typer.Option(
        "--lang",
        envvar="CRDTSYNC_LANG",
        metavar="en|ko",
        callback=_language,
        is_eager=True,
        help="Language of what people read: English or Korean.",
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="One JSON document on standard output, for scripts.")
]
ReplicaPath = Annotated[
    Path,
    typer.Option(
        "--replica",
        "-r",
        envvar="CRDTSYNC_REPLICA",
        metavar="FILE",
        help="The replica file of this device.",
    ),
]
User = Annotated[
    str,
    typer.Option(
        "--user",
        "-u",
        envvar="CRDTSYNC_USER",
        metavar="NAME",
        help="Who writes: the author of the change.",
    ),
]
Reader = Annotated[
    str | None,
    typer.Option(
        "--user",
        "-u",
        envvar="CRDTSYNC_USER",
        metavar="NAME",
        help="Who reads; not needed.",
    ),
]
Space = Annotated[
    str | None,
    typer.Option("--space", metavar="NAME", help="The space; needed for a new file only."),
]
PolicyPath = Annotated[
    Path | None,
    typer.Option("--policy", metavar="FILE", help="The policy; needed for a new file only."),
]
CollectionName = Annotated[
    str, typer.Argument(metavar="COLLECTION", help="A collection of the policy, such as patient.")
]
RecordId = Annotated[str, typer.Argument(metavar="ID", help="The record's id.")]
FieldName = Annotated[str, typer.Argument(metavar="FIELD", help="A field of the collection.")]
OpId = Annotated[
    str,
    typer.Argument(
        metavar="OP_ID",
        help="The change's number as `outbox` shows it (a clear beginning will do).",
    ),
]
