"""The policy loader: any file is a policy, or a PolicyError that helps, in bounded time."""

from __future__ import annotations

import contextlib
import time
from random import Random

from crdtsync.policy import InvalidValue, Policy, PolicyError
from tests.fuzz.notebook import Notebook
from tests.fuzz.policy_texts import policy_text
from tests.fuzz.target import Found

LOAD_LIMIT_S = 3.0
"""Of processor time for one file of at most 256 KiB: a thousand times the usual."""

MATCH_LIMIT_S = 1.0
"""Of processor time for one text against one pattern: ten milliseconds are promised on
a machine of one's own, and this one is shared."""

EVIL = ("a" * 500, "a" * 499 + "!", "ab" * 250, "0" * 499 + "x", "=" * 400, "가" * 400)


class PolicyTarget:
    """``Policy.parse``, and the patterns of what it takes."""

    name = "policy"
    frames_per_episode = 500
    memory_bytes = 250 * 1_048_576
    frame_limit_s = 15.0

    def episode(self, draw: Random, notebook: Notebook) -> None:
        """See ``Target``."""
        for _ in range(self.frames_per_episode):
            given = policy_text(draw)
            data = given if isinstance(given, bytes) else given.encode(errors="surrogatepass")
            notebook.frame(data)
            text = data.decode(errors="surrogateescape")
            begun_s = time.process_time()
            try:
                policy = Policy.parse(text)
            except PolicyError as error:
                notebook.counts["refused"] += 1
                self._check_words(error)
            else:
                notebook.counts["accepted"] += 1
                self._check(policy)
            took_s = time.process_time() - begun_s
            if took_s > LOAD_LIMIT_S:
                raise Found(f"{len(data)} bytes of policy took {took_s:.1f} s")

    def _check_words(self, error: PolicyError) -> None:
        if not error.problems:
            raise Found("a PolicyError without a problem") from error
        lines = str(error).splitlines()
        if len(lines) < 2 or not all(problem.what and problem.cure for problem in error.problems):
            raise Found(f"a mistake without what and cure: {error}") from error
        str(error).encode(errors="backslashreplace")

    def _check(self, policy: Policy) -> None:
        again = Policy.parse(policy.text)
        if again.hash != policy.hash:
            raise Found("the same text gave two policies")
        for collection in policy.collections.values():
            for field in collection.fields.values():
                if field.pattern is None or field.merge.shape != "r" or field.type.kind != "string":
                    continue
                for evil in EVIL:
                    begun_s = time.process_time()
                    with contextlib.suppress(InvalidValue):
                        field.encode(evil)
                    took_s = time.process_time() - begun_s
                    if took_s > MATCH_LIMIT_S:
                        raise Found(f"the pattern {field.pattern!r} took {took_s:.1f} s")
