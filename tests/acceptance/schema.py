"""The shape of the result for machines. It is stable: a change here is a new schema."""

from __future__ import annotations

from typing import Any

NUMBER = (int, float)
TEXTS = {"en": str, "ko": str}
COUNTS = {
    "written": int,
    "acknowledged": int,
    "lost": int,
    "doubled": int,
    "conflicts": int,
    "recovery_s": (int, float, type(None)),
}
SCENARIO = {
    "name": str,
    "title": TEXTS,
    "status": str,
    "why_not": (dict, type(None)),
    "seconds": NUMBER,
    "steps": [TEXTS],
    "checks": [{"key": str, "ok": bool, "expected": TEXTS, "saw": TEXTS}],
    "counts": COUNTS,
    "proof": (str, type(None)),
    "lost_ops": [str],
    "doubled_ops": [str],
    "invented_ops": [str],
    "logs": (str, type(None)),
}
RESULT = {
    "schema": str,
    "verdict": str,
    "sentence": TEXTS,
    "reasons": [TEXTS],
    "seed": int,
    "quick": bool,
    "server": (str, type(None)),
    "spaces": [str],
    "started_at": str,
    "seconds": NUMBER,
    "machine": {
        "system": str,
        "release": str,
        "architecture": str,
        "processors": int,
    },
    "versions": dict.fromkeys(
        ("crdtsync", "protocol", "python", "sqlite", "pycrdt", "websockets"), str
    ),
    "counts": {"passed": int, "failed": int, "not_run": int, **COUNTS},
    "scenarios": [SCENARIO],
}


def assert_schema(result: dict[str, Any]) -> None:
    """Exactly these fields, of these types."""
    assert result["schema"] == "crdtsync-acceptance/1"
    _assert_shape(result, RESULT, "result")
    assert result["verdict"] in ("go", "no-go")
    assert {one["status"] for one in result["scenarios"]} <= {"passed", "failed", "not run"}


def _assert_shape(value: Any, shape: Any, where: str) -> None:
    if isinstance(shape, dict):
        assert isinstance(value, dict), where
        assert value.keys() == shape.keys(), where
        for name, inner in shape.items():
            _assert_shape(value[name], inner, f"{where}.{name}")
    elif isinstance(shape, list):
        assert isinstance(value, list), where
        for number, item in enumerate(value):
            _assert_shape(item, shape[0], f"{where}[{number}]")
    else:
        assert isinstance(value, shape), f"{where} is {value!r}"
