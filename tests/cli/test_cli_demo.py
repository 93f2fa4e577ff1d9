"""``demo``: the README's first command."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from crdtsync_server.demo import story
from crdtsync_server.demo.watching import Claim
from crdtsync_server.demo.words import TEXTS
from tests.cli.command_line import COMMAND, crdtsync, environment, process


@pytest.mark.parametrize(
    ("lang", "words"),
    [
        ("en", ["The network is gone", "Waiting to send → Sending", "All 9 claims hold."]),
        ("ko", ["네트워크가 끊겼어요", "전송 대기 → 보내는 중", "9가지를 모두 확인했어요."]),
    ],
)
def test_the_demo_tells_the_story_checks_it_and_leaves_nothing_behind(
    tmp_path: Path, lang: str, words: list[str]
) -> None:
    done = process("demo", "--lang", lang, TMPDIR=str(tmp_path), COLUMNS="120")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert done.stderr == ""
    assert done.stdout.count("✓") == 9
    assert "✗" not in done.stdout
    assert "\x1b" not in done.stdout, "no colour where there is no terminal"
    for text in words:
        assert text in done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("typed", "said", "allergies"),
    [
        (b"nonsense\n2\ny\n", "chose: peanut, penicillin", ["peanut", "penicillin"]),
        (b"q\n", "every value", None),
        (b"", "every value", None),
    ],
)
def test_a_person_may_choose_and_the_files_may_be_kept(
    tmp_path: Path, typed: bytes, said: str, allergies: list[str] | None
) -> None:
    folder = tmp_path / "kept"
    done = process("demo", "--choose", "--keep", folder, given=typed, COLUMNS="120")
    assert done.exit_code == 0, done.stdout + done.stderr
    assert said in done.stdout
    for name in ("tablet.db", "phone.db"):
        record = crdtsync("get", "patient", "p-17", "--replica", folder / name, "--json").json
        shown = record["fields"]["allergies"]
        assert shown == allergies if allergies else len(shown["conflict"]) == 2
    again = process("demo", "--keep", folder, "--lang", "ko")
    assert again.exit_code == 2
    assert "빈 폴더가 아니에요" in again.stderr


def test_ctrl_c_ends_the_demo_and_cleans_up(tmp_path: Path) -> None:
    running = subprocess.Popen(
        [*COMMAND, "demo", "--choose"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(TMPDIR=str(tmp_path), COLUMNS="120"),
        text=True,
    )
    assert running.stdout is not None
    for line in running.stdout:
        if "Which is correct?" in line:
            break
    assert list(tmp_path.iterdir()), "there is something to clean up"
    os.kill(running.pid, signal.SIGINT)
    _, stderr = running.communicate(timeout=20)
    assert running.returncode == 130
    assert "Nothing is lost" in stderr
    assert "Traceback" not in stderr
    assert list(tmp_path.iterdir()) == []


def test_a_claim_that_does_not_hold_is_shown_and_fails_the_demo(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[Claim] = []

    def lie(self: story.Story, key: str, holds: bool, **params: object) -> None:
        told.append(Claim(key, holds))
        self.claims.append(Claim(TEXTS[key].en, holds and key != "claim_alike"))

    monkeypatch.setattr(story.Story, "_claim", lie)
    done = crdtsync("demo")
    assert done.exit_code == 1
    assert "✗ Both devices show the same record" in done.stdout
    assert "NOT hold" in done.stdout
    assert all(claim.holds for claim in told)
