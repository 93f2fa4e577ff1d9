"""The OpenAPI document says what is true: of routes, of problems, and of every answer."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import crdtsync_server.rest
from crdtsync_server.rest.openapi import document, openapi_json
from crdtsync_server.rest.operations import OPERATIONS
from tests.server.rest.fuzzed import run
from tests.server.rest.thin import Thin, problem, thin_ward

PACKAGE = Path(crdtsync_server.rest.__file__).parent


async def test_everybody_can_have_the_document(tmp_path: Path) -> None:
    async with thin_ward(tmp_path) as thin:
        answer = await Thin(thin.server).ask("GET", "/openapi.json", Authorization="")
        assert (answer.status, answer.body) == (200, openapi_json())
        assert answer.json["openapi"] == "3.1.0"
        for path, methods in answer.json["paths"].items():
            filled = re.sub(r"\{\w+\}", "x", path)
            told = problem(await thin.ask("TRACE", filled), 405, "method_not_allowed")
            for method in methods:
                assert method.upper() in told["detail"], path


def test_every_reference_leads_somewhere_and_every_operation_has_a_name() -> None:
    found = json.loads(openapi_json())
    for reference in re.findall(r'"\$ref": "([^"]+)"', openapi_json().decode()):
        there: Any = found
        for part in reference.removeprefix("#/").split("/"):
            there = there[part]
        assert there
    names = [one.name for one in OPERATIONS]
    assert len(set(names)) == len(names) == 14


def problem_codes(source: str) -> Iterator[str]:
    """The codes of the problems that a module raises."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", "")
        place = {"Problem": 1, "refusal_problem": 0}.get(name)
        if place is not None and isinstance(code := node.args[place], ast.Constant):
            yield str(code.value)


def test_every_problem_that_is_raised_is_documented() -> None:
    text = json.dumps(document())
    codes = {
        code
        for module in PACKAGE.glob("*.py")
        for code in problem_codes(module.read_text(encoding="utf-8"))
    }
    assert {"stale_version", "conflict", "diverged", "bad_json"} <= codes
    assert {code for code in codes if code not in text} == set()


async def test_thousands_of_requests_find_no_answer_that_is_not_documented(
    tmp_path: Path,
) -> None:
    """schemathesis: no 5xx, no undocumented status, no answer that does not fit its schema,
    nothing without a token, bad requests refused and good ones not. For a longer run:
    ``python -m tests.server.rest.fuzzed --seconds 300``."""
    code, said = await run(tmp_path, "--seed", "1", "--max-examples", "4")
    assert code == 0, said
    assert "14 passed" in said, said
