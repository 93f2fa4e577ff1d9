"""``policy init | check | show``."""

from __future__ import annotations

from pathlib import Path

import pytest

from crdtsync import Policy
from tests.cli.command_line import POLICY, crdtsync, write_policy


def test_init_writes_a_policy_that_has_no_mistakes_and_is_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "policy.toml"
    assert crdtsync("policy", "init", file).exit_code == 0
    policy = Policy.load(file)
    assert list(policy.collection("patient").fields) == ["name", "phone", "allergies", "visits"]
    file.write_text("mine", encoding="utf-8")
    again = crdtsync("policy", "init", file)
    assert again.exit_code == 2
    assert "exists already" in again.stderr
    assert file.read_text(encoding="utf-8") == "mine"


def test_init_names_a_folder_that_is_missing(tmp_path: Path) -> None:
    done = crdtsync("policy", "init", tmp_path / "nowhere" / "policy.toml")
    assert done.exit_code == 3
    assert "nowhere" in done.stderr


def test_check_names_every_mistake_with_its_place_and_cure(tmp_path: Path) -> None:
    file = write_policy(
        tmp_path,
        'version = 1\n[patient.fields]\na = { type = "strin" }\nb = { type = "string", '
        'merge = "counter" }\n',
    )
    done = crdtsync("policy", "check", file)
    assert done.exit_code == 2
    assert "patient.fields.a" in done.stderr
    assert "patient.fields.b" in done.stderr
    found = crdtsync("policy", "check", file, "--json")
    assert found.exit_code == 2
    assert [mistake["line"] for mistake in found.json["mistakes"]] == [3, 4]


def test_check_of_a_good_file_says_version_and_hash(tmp_path: Path) -> None:
    file = write_policy(tmp_path)
    done = crdtsync("policy", "check", file)
    assert done.exit_code == 0
    assert Policy.load(file).hash in done.stdout
    assert crdtsync("policy", "check", file, "--json").json["mistakes"] == []


def test_check_of_two_files_says_what_is_refused_and_how_to_migrate(tmp_path: Path) -> None:
    old = write_policy(tmp_path)
    text = POLICY.replace("version = 1", "version = 2")
    safe = write_policy(tmp_path, text.replace('"user-latest"', '"manual"'), "safe.toml")
    refused = write_policy(
        tmp_path, text.replace('type = "integer", merge = "counter"', 'type = "string"'), "bad.toml"
    )
    assert crdtsync("policy", "check", old, safe).exit_code == 0
    done = crdtsync("policy", "check", old, refused)
    assert done.exit_code == 1
    assert "→" in done.stdout
    document = crdtsync("policy", "check", old, refused, "--json").json
    assert not document["ok"]
    assert any(change["how_to_migrate"] for change in document["changes"])


@pytest.mark.parametrize(
    ("lang", "expected"),
    [
        ("en", ["How records are merged", "Each change counts once", "Waiting to send", "Sign"]),
        ("ko", ["기록을 합치는 규칙", "변경은 한 번만 반영돼요", "전송 대기", "서명"]),
    ],
)
def test_show_is_a_page_to_sign(tmp_path: Path, lang: str, expected: list[str]) -> None:
    file = write_policy(tmp_path)
    done = crdtsync("policy", "show", file, "--lang", lang)
    assert done.exit_code == 0
    for words in [*expected, Policy.load(file).hash, "_____"]:
        assert words in done.stdout
    document = crdtsync("policy", "show", file, "--lang", lang, "--json").json
    assert document["hash"] == Policy.load(file).hash
    assert len(document["collections"][0]["fields"]) == 11


def test_a_file_that_is_missing_is_told_and_not_a_traceback(tmp_path: Path) -> None:
    done = crdtsync("policy", "show", tmp_path / "none.toml", "--lang", "ko")
    assert done.exit_code == 2
    assert "none.toml" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, ("파일이 없어요", "경로를 확인하거나", "자세히: there is no such file")),
        ("version = \n", ("잘못된 곳이 1개 있어요", "1번째 줄", "고친 뒤 다시 확인해 주세요")),
        (
            'version = 1\n[patient.fields]\na = { type = "strin" }\nb = { type = "dat" }\n',
            ("잘못된 곳이 2개 있어요", "3번째 줄, patient.fields.a", "4번째 줄, patient.fields.b"),
        ),
        ("#" * 2_000_000, ("정책 파일로 읽을 수 없어요", "자세히: the file has more than")),
    ],
    ids=["no file", "no TOML", "mistakes", "too large"],
)
def test_mistakes_are_told_in_korean_with_their_places_and_the_cure(
    tmp_path: Path, text: str | None, words: tuple[str, ...]
) -> None:
    file = tmp_path / "policy.toml" if text is None else write_policy(tmp_path, text)
    done = crdtsync("policy", "check", file, "--lang", "ko")
    assert done.exit_code == 2
    assert str(file) in done.stderr
    for part in words:
        assert part in done.stderr
