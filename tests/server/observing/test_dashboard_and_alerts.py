"""The Grafana dashboard and the alert rules name metrics that the server really has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from crdtsync_server.observing import names
from crdtsync_server.observing.metrics import Metrics, StoreFigures
from crdtsync_server.observing.names import Metric
from crdtsync_server.observing.recorded import Recorded
from tests.server.observing.promql import mistakes, series

DEPLOY = Path(__file__).parents[3] / "server" / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana" / "crdtsync.json").read_text(encoding="utf-8"))
RULES = (DEPLOY / "alerts" / "crdtsync.rules.yml").read_text(encoding="utf-8")
NOT_OURS = {"up"}
"""Made by Prometheus itself."""

ALERTS = re.split(r"(?m)^      - alert: ", RULES)[1:]


def queries() -> Iterator[tuple[str, str]]:
    """(where, expression) of everything that asks Prometheus."""
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", ()):
            yield f"panel {panel['title']}", target["expr"]
    for variable in DASHBOARD["templating"]["list"]:
        if variable["type"] == "query":
            inner = re.fullmatch(r"label_values\((.*), \w+\)", variable["query"])
            assert inner is not None, variable
            yield f"variable {variable['name']}", inner[1]
    for alert in ALERTS:
        (expression,) = re.findall(r"(?m)^        expr: (.+)$", alert)
        yield f"alert {alert.splitlines()[0]}", expression


QUERIES = list(queries())
EVERY = pytest.mark.parametrize("expression", [e for _, e in QUERIES], ids=[w for w, _ in QUERIES])


@pytest.fixture(scope="module")
def page() -> str:
    """What /metrics shows once every kind of thing has happened."""
    metrics = Metrics(skews_us=lambda: [1_000_000, None])
    recorded = Recorded(validate_s=[0.1], apply_s=[0.1], written_us=[1], update_bytes=[1])
    recorded.results["refused", "not_permitted"] += 1
    recorded.retries["cut"] += 1
    recorded.opened["patient.allergies"] += 1
    metrics.count_group(recorded, 1, 0.1)
    metrics.count_close(1000)
    metrics.figures = StoreFigures(1, 1_000_000, 1.0, 1, 1, 1)
    return metrics.render().decode()


@EVERY
def test_every_query_is_whole_and_names_metrics_and_labels_that_there_are(
    expression: str, page: str
) -> None:
    assert mistakes(expression) == []
    found = list(series(expression))
    assert found
    for name, labels in found:
        if name in NOT_OURS:
            continue
        lines = [line for line in page.splitlines() if re.match(rf"{name}(?=[ {{])", line)]
        assert lines, f"{name} is not on /metrics"
        for label in labels - {"job", "instance", "le"}:
            assert any(f'{label}="' in line for line in lines), f"{name} has no label {label}"


def test_every_metric_of_the_server_stands_in_a_panel_or_an_alert() -> None:
    told = {name for _, expression in QUERIES for name, _ in series(expression)}
    told |= {name.removesuffix("_bucket") for name in told}
    assert len(names.ALL) > 15
    assert {metric.name for metric in names.ALL} - told == set()


@pytest.mark.parametrize("metric", names.ALL, ids=lambda metric: str(metric.name))
def test_a_metric_is_named_by_the_conventions_and_has_no_label_of_a_person(
    metric: Metric, page: str
) -> None:
    assert f"# HELP {metric.name} " in page
    kind = re.search(rf"# TYPE {metric.name} (\w+)", page)
    assert kind is not None
    assert metric.name.endswith("_total") == (kind[1] == "counter")
    assert re.search(r"_(total|seconds|bytes|info|open|connections|writable)$", metric.name)
    assert not set(metric.labels) & {
        "user",
        "user_id",
        "request_id",
        "record",
        "record_id",
        "op_id",
    }


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: str(alert).splitlines()[0])
def test_an_alert_says_what_happened_and_what_to_do_in_plain_words(alert: str) -> None:
    (summary,) = re.findall(r'(?m)^          summary: "?(.+?)"?$', alert)
    (description,) = re.findall(r"(?m)^          description: (.+)$", alert)
    assert summary.endswith(".")
    assert len(description.split()) > 12
    assert "crdtsync_" not in summary + description
    assert re.search(r"(?m)^          severity: (page|ticket)$", alert)
    assert re.search(r"(?m)^        for: \d+[mh]$", alert)


def test_the_alerts_that_were_asked_for_are_there() -> None:
    watched = {name for where, e in QUERIES if where.startswith("alert") for name, _ in series(e)}
    assert {
        "crdtsync_client_outbox_oldest_age_seconds",
        "crdtsync_operations_total",
        "crdtsync_conflict_oldest_open_timestamp_seconds",
        "crdtsync_clock_skew_seconds",
        "crdtsync_disk_free_bytes",
        "crdtsync_store_writable",
    } <= watched


@pytest.mark.parametrize(
    "broken",
    ["sum(rate(x[5m])", 'x{a=~"b"', "x[5x]", "sum by (a (x)", "x{a=b}", "", "rate(x)", "x[5m]"],
)
def test_the_check_of_queries_notices_what_it_is_for(broken: str) -> None:
    assert mistakes(broken)


def test_the_panels_are_numbered_as_the_ten_of_the_page() -> None:
    numbers = {panel["title"].split()[0] for panel in DASHBOARD["panels"]}
    assert {str(number) for number in range(1, 11)} <= numbers
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)
