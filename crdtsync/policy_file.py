"""Reading a policy from disk. The rules themselves are in `crdtsync.policy`, which is pure."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from crdtsync import policy as rules
from crdtsync.policy import PolicyError, PolicyProblem
from crdtsync.policy.limits import MAX_POLICY_BYTES


class Policy(rules.Policy):
    """A policy that can be read from a file."""

    __slots__ = ()

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read and parse the policy file at `path`.

        Raises PolicyError, which names the file, for a file that cannot be read as well
        as for one with mistakes.
        """
        source = os.fspath(path)
        try:
            with Path(source).open("rb") as file:
                content = file.read(MAX_POLICY_BYTES + 1)
        except FileNotFoundError:
            raise _unreadable(
                source, "there is no such file", "Check the path, or create the file."
            ) from None
        except IsADirectoryError:
            raise _unreadable(
                source, "this is a directory", "Name the policy file inside of it."
            ) from None
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise _unreadable(
                source,
                f"the file cannot be read: {reason}",
                "Check the path and who may read the file.",
            ) from None
        if len(content) > MAX_POLICY_BYTES:
            raise _unreadable(
                source,
                f"the file has more than {MAX_POLICY_BYTES} bytes",
                "Check that this is the policy; if it is, split or shorten it.",
            )
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise _unreadable(
                source, "the file is not UTF-8", "Save it as UTF-8 again.", line=line
            ) from None
        return cls.parse(text, source=source)


def _unreadable(source: str, what: str, cure: str, line: int | None = None) -> PolicyError:
    return PolicyError(source, [PolicyProblem(where="", what=what, cure=cure, line=line)])
