"""schemathesis against a real server: requests by the thousand, each answer held to OpenAPI.

``python -m tests.server.rest.fuzzed --seed 1 --seconds 300`` runs it for longer by hand.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from crdtsync_server.access.settings import AccessSettings
from crdtsync_server.rest.openapi import document
from tests.server.access.signing import SECRET, token
from tests.server.rest.thin import Thin, in_conflict, ward
from tests.server.serving import SPACE

RECORDS = ["p1", "p2", "p3", "a/b", "김"]

CONFIG = """
[checks]
use_after_free.enabled = false  # a deleted record can be read, and restored
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "304", "404", "409"]
[checks.negative_data_rejection]
expected-statuses = ["4xx"]
[[operations]]
include-method-regex = "PATCH|DELETE|POST"
# Whether a value fits the policy, or a version is still good, no schema can say.
[operations.checks.positive_data_acceptance]
expected-statuses = ["2xx", "404", "409", "412", "422"]
"""

TEXTS = {"type": "array", "items": {"type": "string"}}
FIELDS: dict[str, Any] = {
    "name": {"type": ["string", "null"]},
    "phone": {"type": ["string", "null"]},
    "allergies": {"type": ["array", "null"], "items": {"type": "string"}},
    "dose": {"type": ["string", "null"]},
    "tags": {"type": ["array", "null"], "items": {"type": "string"}},
    "born": {"type": ["string", "null"], "format": "date"},
    "seen_at": {"type": ["string", "null"], "format": "date-time"},
    "weight": {"type": ["number", "null"]},
    "alive": {"type": ["boolean", "null"]},
    "more": {},
    "stage": {"type": ["integer", "null"], "minimum": 1, "maximum": 4},
    "diagnosis": {"type": ["string", "null"]},
}
STEPS = {"visits": {"type": "integer"}, "balance": {"type": ["number", "string"]}}
ELEMENTS = {"tags": TEXTS}


def narrowed() -> dict[str, Any]:
    """The server's own document, with the names of this ward in it: of names drawn at random
    hardly a request would get past "there is no such collection"."""
    found = document()
    known = {"space": [SPACE], "collection": ["patient"]}
    for methods in found["paths"].values():
        for operation in methods.values():
            operation["parameters"] = [
                _narrowed(one, known) for one in operation["parameters"] if not _is_left_out(one)
            ]
    schemas = found["components"]["schemas"]
    properties = schemas["PatchBody"]["properties"]
    for verb, names in (
        ("fields", FIELDS),
        ("increment", STEPS),
        ("add", ELEMENTS),
        ("remove", ELEMENTS),
    ):
        properties[verb] = {"type": "object", "properties": names, "additionalProperties": False}
    schemas["BatchOp"]["properties"]["collection"] = {
        "anyOf": [{"enum": known["collection"]}, {"type": "string"}]
    }
    schemas["BatchOp"]["properties"]["id"] = {"anyOf": [{"enum": RECORDS}, {"type": "string"}]}
    schemas["ResolveBody"]["properties"]["field"] = {"enum": ["allergies", "dose", "diagnosis"]}
    return found


def _is_left_out(parameter: dict[str, Any]) -> bool:
    """Only an answer of before can give it; or it needs another beside it; or it takes long."""
    return parameter["name"] in ("after", "digest", "record", "wait_s", "Last-Event-ID")


def _narrowed(parameter: dict[str, Any], known: dict[str, list[str]]) -> dict[str, Any]:
    name = parameter["name"]
    if name in known:
        return {**parameter, "schema": {"type": "string", "enum": known[name]}}
    if name == "id":
        return {**parameter, "schema": {"anyOf": [{"enum": RECORDS}, parameter["schema"]]}}
    if name == "If-Match":
        return {**parameter, "schema": {"enum": ['"1-00000000"', '"2-0a1b2c3d"', "*"]}}
    if name == "where.FIELD":
        return {**parameter, "name": "where.name"}
    return parameter


async def run(folder: Path, *options: str) -> tuple[int, str]:
    """Serve the ward and let schemathesis at it: its exit code, and what it says."""
    (folder / "openapi.json").write_text(json.dumps(narrowed()))
    (folder / "schemathesis.toml").write_text(CONFIG)
    access = AccessSettings(jwt_secret=SECRET, requests_per_s_per_client=1e6)
    signed = token(roles=["clinician", "nurse"])
    async with ward(folder / "data", dev=False, access=access) as server:
        thin = Thin(server, signed)
        await in_conflict(thin, "p1")
        await thin.put("p2", {"name": "Ann", "diagnosis": "x"})
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "schemathesis.cli",
            "--config-file",
            str(folder / "schemathesis.toml"),
            "run",
            str(folder / "openapi.json"),
            "--url",
            f"http://127.0.0.1:{server.port}",
            "--header",
            f"Authorization: Bearer {signed}",
            "--no-color",
            "--warnings",
            "off",
            *options,
            cwd=folder,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        assert (await thin.get("/v1/me")).status == 200, "the server is gone"
    assert process.returncode is not None
    return process.returncode, said.decode()


def main() -> None:
    """A longer run, by hand."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", default="1")
    parser.add_argument("--seconds", default="60")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        options = ["--seed", given.seed, "--max-time", given.seconds, "--continue-on-failure"]
        code, said = asyncio.run(run(Path(folder), *options))
    print(said)
    raise SystemExit(code)


if __name__ == "__main__":
    main()
