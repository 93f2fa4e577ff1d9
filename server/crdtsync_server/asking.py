"""What commands that ask a server about itself have in common: a running one, or its data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

ServerUrl = Annotated[
    str | None,
    typer.Option(
        "--server", metavar="URL", help="Ask a running server: https://host or http://host:port."
    ),
]
SignInToken = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="CRDTSYNC_TOKEN",
        metavar="TOKEN",
        help="The sign-in for --server; better given by the environment variable.",
    ),
]
DataFolder = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="DIR",
        help="Read a server's data folder, beside the server or without one.",
    ),
]
