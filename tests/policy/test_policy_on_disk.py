"""Loading a policy from a file that may be missing, unreadable or wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from crdtsync import policy as rules
from crdtsync.policy import PolicyError, PolicyProblem
from crdtsync.policy_file import Policy

GOOD = 'version = 1\n[patient.fields]\nname = { type = "string", label = { ko = "이름" } }\n'


def problem_of(path: Path | str) -> PolicyProblem:
    with pytest.raises(PolicyError) as raised:
        Policy.load(path)
    assert str(path) in str(raised.value)
    (problem,) = raised.value.problems
    return problem


def test_a_file_is_read_as_its_text(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_bytes(GOOD.replace("\n", "\r\n").encode())
    policy = Policy.load(path)
    assert isinstance(policy, rules.Policy)
    assert policy.hash == rules.Policy.parse(GOOD).hash
    assert policy.collection("patient").fields["name"].label_in("ko") == "이름"
    assert Policy.load(str(path)) == policy


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    assert "no such file" in problem_of(tmp_path / "none.toml").what


def test_a_directory_is_told(tmp_path: Path) -> None:
    assert "directory" in problem_of(tmp_path).what


def test_a_path_that_no_file_can_have_is_told() -> None:
    assert "cannot be read" in problem_of("a\x00b").what


def test_bytes_that_are_not_utf_8_are_told_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_bytes(b"version = 1\n# \xff\n")
    problem = problem_of(path)
    assert "not UTF-8" in problem.what
    assert problem.line == 2


def test_a_file_that_is_too_large_is_told_without_reading_it_all(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    with path.open("wb") as file:
        file.truncate(10**12)
    assert "more than 262144 bytes" in problem_of(path).what


def test_mistakes_of_the_file_carry_its_name(tmp_path: Path) -> None:
    path = tmp_path / "policy.toml"
    path.write_text(GOOD.replace("string", "strng"))
    assert '"string"' in problem_of(path).cure
