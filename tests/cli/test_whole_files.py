"""A file that a command writes is there wholly or not at all."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from crdtsync.whole_file import write_whole
from tests.cli.command_line import crdtsync
from tests.cli.disk_room import files_of_at_most


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("command", [("policy", "init"), ("token", "new-secret")])
def test_a_new_file_that_found_no_room_is_not_there_and_the_next_try_makes_it(
    tmp_path: Path, command: tuple[str, str]
) -> None:
    file = tmp_path / "made"
    with files_of_at_most(10):
        failed = crdtsync(*command, file)
    assert failed.exit_code == 3
    assert str(file) in failed.stderr.replace("\n", "")
    assert names(tmp_path) == []
    assert crdtsync(*command, file).exit_code == 0
    assert names(tmp_path) == ["made"]


def test_a_file_is_replaced_only_by_a_whole_one_and_keeps_its_mode(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    file.write_text("older", encoding="utf-8")
    file.chmod(0o600)

    def breaks_off() -> Iterator[str]:
        yield "half"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(file, breaks_off(), replace=True)
    assert file.read_text(encoding="utf-8") == "older"
    assert names(tmp_path) == ["report.html"]
    write_whole(file, ["new\r\n", "er"], replace=True)
    assert file.read_bytes() == b"new\r\ner"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_link_goes_on_pointing_at_the_file_that_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "really").write_text("older", encoding="utf-8")
    (tmp_path / "link").symlink_to(tmp_path / "really")
    write_whole(tmp_path / "link", ["newer"], replace=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "really").read_text(encoding="utf-8") == "newer"


@pytest.mark.parametrize("links", [True, False], ids=["links", "no links"])
def test_a_name_that_is_taken_meanwhile_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    file = tmp_path / "policy.toml"

    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", no_links)

    def taken_by_another() -> Iterator[str]:
        file.write_text("mine", encoding="utf-8")
        yield "theirs"

    with pytest.raises(FileExistsError) as raised:
        write_whole(file, taken_by_another(), replace=False)
    assert raised.value.filename == str(file)
    assert file.read_text(encoding="utf-8") == "mine"
    assert names(tmp_path) == ["policy.toml"]
    file.unlink()
    write_whole(file, ["whole"], replace=False)
    assert file.read_text(encoding="utf-8") == "whole"


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes among files")
def test_a_pipe_is_written_to_and_stays_a_pipe(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole(pipe, ["all ", "of it"], replace=True)
        assert os.read(reader, 100) == b"all of it"
    finally:
        os.close(reader)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    assert names(tmp_path) == ["pipe"]
