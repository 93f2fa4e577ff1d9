"""What a command says on a full disk: which file, and the cure, in both languages."""

from __future__ import annotations

import errno

import pytest

from crdtsync import DiskFull
from crdtsync.catalogue import message
from crdtsync.cli.failures import words_for

FULL = [
    (OSError(errno.ENOSPC, "No space left on device", "a.csv"), "no space left for a.csv"),
    (OSError(errno.ENOSPC, "No space left on device"), "This device is out of space."),
    (DiskFull("no space left for a.db; nothing was changed"), "no space left for a.db"),
]


@pytest.mark.parametrize(("error", "detail"), FULL)
def test_a_full_disk_is_told_in_words_that_are_whole(error: Exception, detail: str) -> None:
    assert words_for(error, "en").startswith(detail)
    assert "left for ;" not in words_for(error, "en")


@pytest.mark.parametrize(("error", "detail"), FULL)
def test_in_korean_it_is_the_cause_that_is_told(error: Exception, detail: str) -> None:
    first, second = words_for(error, "ko").splitlines()
    assert first == message("storage_full", "ko")
    assert detail in second
