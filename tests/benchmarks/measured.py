"""Contenders whose figures are known before they are measured."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from typing import Any


def counted(params: Mapping[str, float]) -> dict[str, float]:
    return {"per_s": params["n"], "pid": os.getpid()}


async def counted_twice(params: Mapping[str, float]) -> dict[str, float]:
    return {"per_s": params["n"] * 2, "pid": os.getpid()}


def driven(params: Mapping[str, Any]) -> dict[str, float]:
    return {"per_s": params["n"] * params["times"], "words": len(params["server_command"])}


def broken(params: Mapping[str, float]) -> dict[str, float]:
    raise OSError("the disk is made of cheese")


def endless(params: Mapping[str, float]) -> dict[str, float]:
    threading.Event().wait()
    return {}
