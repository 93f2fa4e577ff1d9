"""The result for machines. The schema is stable: fields are added, never changed.

``schema`` names it; ``validate`` is what the tests hold it to.
"""

from __future__ import annotations

from typing import Any, Final

from crdtsync_server.acceptance.outcome import Counts, RunResult, ScenarioResult

SCHEMA: Final = "crdtsync-acceptance/1"


def as_json(result: RunResult) -> dict[str, Any]:
    """One JSON document."""
    return {
        "schema": SCHEMA,
        "verdict": "go" if result.go else "no-go",
        "sentence": result.verdict.to_json(),
        "reasons": [reason.to_json() for reason in result.reasons],
        "seed": result.seed,
        "quick": result.quick,
        "server": result.server,
        "spaces": list(result.spaces),
        "started_at": result.started_at,
        "seconds": result.seconds,
        "machine": result.machine,
        "versions": result.versions,
        "counts": {
            "passed": len(result.with_status("passed")),
            "failed": len(result.with_status("failed")),
            "not_run": len(result.with_status("not run")),
            **_counts(result.totals),
        },
        "scenarios": [_scenario(one) for one in result.scenarios],
    }


def _scenario(one: ScenarioResult) -> dict[str, Any]:
    return {
        "name": one.name,
        "title": one.title.to_json(),
        "status": one.status,
        "why_not": one.why_not.to_json() if one.why_not else None,
        "seconds": one.seconds,
        "steps": [step.to_json() for step in one.steps],
        "checks": [
            {
                "key": check.key,
                "ok": check.ok,
                "expected": check.expected.to_json(),
                "saw": check.saw.to_json(),
            }
            for check in one.checks
        ],
        "counts": _counts(one.counts),
        "proof": one.proof,
        "lost_ops": list(one.lost_ops),
        "doubled_ops": list(one.doubled_ops),
        "invented_ops": list(one.invented_ops),
        "logs": one.logs,
    }


def _counts(counts: Counts) -> dict[str, Any]:
    return {
        "written": counts.written,
        "acknowledged": counts.acknowledged,
        "lost": counts.lost,
        "doubled": counts.doubled,
        "conflicts": counts.conflicts,
        "recovery_s": counts.recovery_s,
    }
