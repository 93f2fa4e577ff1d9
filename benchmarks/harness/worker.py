"""One measurement in a process of its own: ``python -m benchmarks.harness.worker TARGET PARAMS``.

``TARGET`` is ``package.module:function``; the function is given the parameters of a case
and returns its figures (a coroutine function is run to its end). They are printed as the
last line of the output.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import sys

from benchmarks.harness.disk import peak_bytes


def main() -> None:
    """Measure and print."""
    target, params = sys.argv[1:3]
    module, _, name = target.partition(":")
    function = getattr(importlib.import_module(module), name)
    found = function(json.loads(params))
    if inspect.iscoroutine(found):
        found = asyncio.run(found)
    peak = peak_bytes()
    if peak is not None:
        found = {"peak_memory_bytes": peak, **found}
    print(json.dumps({"figures": found}), flush=True)


if __name__ == "__main__":
    main()
