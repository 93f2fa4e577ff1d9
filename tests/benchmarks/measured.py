"""Contenders whose figures are known before they are measured."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping


def counted(params: Mapping[str, float]) -> dict[str, float]:
    return {"per_s": params["n"], "pid": os.getpid()}


async def counted_twice(params: Mapping[str, float]) -> dict[str, float]:
    return {"per_s": params["n"] * 2, "pid": os.getpid()}


def broken(params: Mapping[str, float]) -> dict[str, float]:
    raise OSError("the disk is made of cheese")


def endless(params: Mapping[str, float]) -> dict[str, float]:
    threading.Event().wait()
    return {}
