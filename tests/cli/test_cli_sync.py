"""``sync``, with a server that runs as ``crdtsync serve``."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command_line import (
    COMMAND,
    POLICY,
    Device,
    crdtsync,
    environment,
    new_device,
    write_policy,
)


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """The address of a server that runs as a process of its own."""
    yield from served(write_policy(tmp_path, POLICY), tmp_path / "server", "--dev")


def served(policy: Path, data: Path, *access: str) -> Iterator[str]:
    """The address of a server, which ends with the iteration."""
    running = subprocess.Popen(
        [*COMMAND, "serve", "--policy", str(policy), "--data", str(data),
         "--port", "0", *access],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment(),
        text=True,
    )  # fmt: skip
    assert running.stdout is not None
    try:
        for line in running.stdout:
            if "listening on" in line:
                yield line.split("listening on ")[1].split(",")[0]
                break
    finally:
        running.terminate()
        running.wait(timeout=20)
        running.stdout.close()


def closed_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_two_devices_exchange_what_they_wrote(tmp_path: Path, url: str) -> None:
    tablet, phone = new_device(tmp_path), new_device(tmp_path, "phone", "dr-lee")
    tablet.run("set", "patient", "p1", "name=Kim", "visits+=1")
    tablet.run("set", "patient", "p1", "name=Kim")
    sent = tablet.run("sync", url, "--json")
    assert sent.exit_code == 0, sent.stderr
    assert (sent.json["state"], sent.json["waiting"], sent.json["in_step"]) == ("synced", 0, True)
    got = phone.run("sync", url, "--lang", "ko")
    assert got.exit_code == 0
    assert "서버에 모두 저장했어요" in got.stdout
    assert phone.run("get", "patient", "p1", "--json").json["fields"]["name"] == "Kim"
    assert tablet.run("status").exit_code == 0
    assert tablet.run("outbox").exit_code == 0


def test_conflicts_are_told_and_are_no_failure_of_sync(tmp_path: Path, url: str) -> None:
    tablet, phone = new_device(tmp_path), new_device(tmp_path, "phone", "dr-lee")
    tablet.run("set", "patient", "p1", "allergies=peanut")
    phone.run("set", "patient", "p1", "allergies=latex")
    tablet.run("sync", url)
    done = phone.run("sync", url)
    assert done.exit_code == 0
    assert "Someone has to choose" in done.stdout
    assert phone.run("conflicts").exit_code == 1


def test_a_new_device_gets_everything(tmp_path: Path, url: str) -> None:
    tablet = new_device(tmp_path)
    file = tmp_path / "many.csv"
    file.write_text("id,name\n" + "".join(f"p{n},n{n}\n" for n in range(600)), encoding="utf-8")
    tablet.run("import", file, "-c", "patient")
    assert tablet.run("sync", url).exit_code == 0
    fresh = Device(tmp_path / "fresh.db", "dr-park")
    policy = write_policy(tmp_path, POLICY)
    done = fresh.run("sync", url, "--space", "ward-3", "--policy", policy, "--json")
    assert done.exit_code == 0
    assert len(fresh.run("records", "patient", "--json").json) == 600
    again = fresh.run("import", file, "-c", "patient", "--json")
    assert (again.json["unchanged"], again.json["waiting"]) == (600, 0)


@pytest.mark.parametrize("lang", ["en", "ko"])
def test_a_server_that_cannot_be_reached_is_exit_code_4_and_loses_nothing(
    tmp_path: Path, lang: str
) -> None:
    device = new_device(tmp_path)
    device.run("set", "patient", "p1", "name=Kim")
    address = f"ws://127.0.0.1:{closed_port()}"
    done = device.run("sync", address, "--timeout", "0.3", "--lang", lang, "--json")
    assert done.exit_code == 4
    assert done.stdout == ""
    assert address in done.stderr
    assert ("그대로 있어요" if lang == "ko" else "Nothing is lost: 1 change waits") in done.stderr
    assert device.count() == 1


def test_a_wrong_address_and_wrong_options_are_usage_errors(tmp_path: Path) -> None:
    device = new_device(tmp_path)
    assert device.run("sync", "http://127.0.0.1:1").exit_code == 2
    both = device.run("sync", "ws://127.0.0.1:1", "--watch", "--json")
    assert both.exit_code == 2
    assert "--watch" in both.stderr


def test_watch_goes_on_until_ctrl_c_and_loses_nothing(tmp_path: Path, url: str) -> None:
    device = new_device(tmp_path)
    device.run("set", "patient", "p1", "name=Kim")
    running = subprocess.Popen(
        [*COMMAND, "sync", url, "--watch", "--replica", str(device.file), "--user", device.user],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        text=True,
    )
    assert running.stdout is not None
    for line in running.stdout:
        if "All changes saved" in line:
            break
    other = device.run("set", "patient", "p2", "name=Lee")
    assert other.exit_code == 3, "one file has one holder"
    assert device.run("get", "patient", "p1", "--json").json["sync_state"] == "synced"
    os.kill(running.pid, signal.SIGINT)
    _, stderr = running.communicate(timeout=20)
    assert running.returncode == 130
    assert "Nothing is lost" in stderr
    assert "Traceback" not in stderr
    assert device.run("set", "patient", "p2", "name=Lee").exit_code == 0


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("en", "1 change by dr-lee waits on this device. Sign in as dr-lee to send it."),
        ("ko", "dr-lee 님이 쓴 변경 1건이 이 기기에 남아 있어요. 그 사용자로 로그인하면"),
    ],
)
def test_changes_of_another_user_are_told_with_their_name_and_the_cure(
    tmp_path: Path, url: str, lang: str, words: str
) -> None:
    kim = new_device(tmp_path)
    Device(kim.file, "dr-lee").run("set", "patient", "p1", "name=Kim")
    done = kim.run("sync", url, "--lang", lang)
    assert done.exit_code == 1
    assert words in done.stderr


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("en", "Sync has stopped: your sign-in does not open the space 'ward-3'"),
        ("ko", "동기화가 멈췄어요. 이유: 이 로그인으로는 이 공간에 들어갈 수 없어요"),
    ],
)
def test_why_sync_stopped_is_told_in_the_language_of_the_reader(
    tmp_path: Path, lang: str, words: str
) -> None:
    device = new_device(tmp_path)
    secret = tmp_path / "secret"
    assert crdtsync("token", "new-secret", secret).exit_code == 0
    made = crdtsync(
        "token", "--user", device.user, "--spaces", "ward-4", "--secret-file", secret
    )  # fmt: skip
    policy = write_policy(tmp_path, POLICY)
    access = ("--jwt-secret-file", str(secret))
    for url in served(policy, tmp_path / "server", *access):
        done = device.run("sync", url, "--token", made.stdout.strip(), "--lang", lang)
        assert done.exit_code == 1
        assert words in done.stderr
        assert "outbox" not in done.stderr
