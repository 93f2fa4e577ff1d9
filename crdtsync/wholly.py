"""Endings that have to run to their end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def wholly(ending: Coroutine[Any, Any, None]) -> None:
    """Run to the end even when cancelled, and be cancelled afterwards."""
    task = asyncio.ensure_future(ending)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    task.result()
