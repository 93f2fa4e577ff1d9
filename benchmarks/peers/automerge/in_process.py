"""The merge scenarios in automerge, without bytes: both documents lie in one process."""

from __future__ import annotations

from merge import InProcess, main

if __name__ == "__main__":
    main(InProcess)
