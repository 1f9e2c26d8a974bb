"""Metrics of the provider, sent by Airflow's own interface: to StatsD, Datadog or OpenTelemetry, as `[metrics]` says.

Without one of these they go nowhere. Names are those of `METRICS`, and nothing of a scope, a team or a person is in
them or in their tags.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

_STATS = {
    "worker": ("airflow.sdk.observability.stats", "airflow.stats"),
    "triggerer": ("airflow.observability.stats", "airflow.stats"),
}
"""By process, the module of the interface that Airflow has set up there: from 3.2 on, and on 3.1."""


class Metric(NamedTuple):
    """One metric: what it counts or times, and the tags that it has where the backend takes tags."""

    kind: Literal["counter", "timer"]
    tags: tuple[str, ...]
    meaning: str


METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "sei.requests": Metric("counter", ("conn_id", "process"), "Requests sent to SEI, those that were repeated too"),
        "sei.rate_limited": Metric("counter", ("conn_id", "process"), "Answers 429: SEI refused a request of the key"),
        "sei.rate_limit_wait": Metric(
            "timer", ("conn_id", "process"), "One wait for the key's requests per minute, during which nothing was sent"
        ),
        "sei.rate_limit_deferral": Metric(
            "timer", ("report",), "One deferral of a task until the limit has turns for it; no worker is held meanwhile"
        ),
        "sei.exports.created": Metric("counter", ("report",), "Exports that SEI made for us"),
        "sei.exports.reused": Metric("counter", ("report",), "Exports that SEI had made before and gave back"),
        "sei.exports.resumed": Metric("counter", ("report",), "Exports of an earlier try that a later one took up"),
        "sei.exports.staged": Metric("counter", ("report",), "Exports, and legacy reports, whose rows were staged"),
        "sei.exports.failed": Metric(
            "counter", ("report",), "Exports that ended without a file, and legacy reports without an answer"
        ),
        "sei.exports.unusable": Metric(
            "counter", ("report",), "Exports and legacy reports whose file was not staged, or was split into periods"
        ),
        "sei.exports.running": Metric("counter", ("report",), "Exports that still ran when a try stopped waiting"),
        "sei.exports.lost": Metric("counter", ("report",), "Exports of which SEI told no status any more"),
        "sei.rows.published": Metric("counter", ("table",), "Rows of the slices that were published"),
        "sei.rows.quarantined": Metric("counter", ("table",), "Rows of these slices that went to quarantine"),
        "sei.figures.restated": Metric("counter", ("table",), "Figures of months that were over, and have changed"),
        "sei.scopes.missing": Metric("counter", ("table",), "Scopes that were asked for and were not published"),
        "sei.export_to_lake": Metric(
            "timer", ("table",), "From the time at which SEI made an export to that at which its rows were published"
        ),
    }
)
"""All metrics by name, without the prefix that Airflow puts before each (`airflow.` unless it is configured)."""


def count(name: str, number: int = 1, *, process: Literal["worker", "triggerer"] = "worker", **tags: str) -> None:
    """Add to a counter. `number` may be 0, which shows that there is nothing to count."""
    _stats(process).incr(name, number, tags=_checked(name, "counter", tags | _process_tag(name, process)))


def timing(name: str, seconds: float, *, process: Literal["worker", "triggerer"] = "worker", **tags: str) -> None:
    """Add one time to a timer, which Airflow sends in milliseconds."""
    _stats(process).timing(name, seconds * 1000, tags=_checked(name, "timer", tags | _process_tag(name, process)))


def observer(conn_id: str, process: Literal["worker", "triggerer"]) -> Callable[[str, float], None]:
    """Return what a client calls for each request, each 429 and each wait (see `api.base_client.Observer`)."""

    def observe(event: str, amount: float) -> None:
        name = f"sei.{event}"
        if METRICS[name].kind == "timer":
            timing(name, amount, process=process, conn_id=conn_id)
        else:
            count(name, round(amount), process=process, conn_id=conn_id)

    return observe


def table() -> str:
    """Return all metrics as a table of Markdown, for the documentation."""
    rows = [
        f"| `{name}` | {metric.kind} | {', '.join(f'`{tag}`' for tag in metric.tags)} | {metric.meaning} |"
        for name, metric in METRICS.items()
    ]
    return "\n".join(["| name | kind | tags | meaning |", "|---|---|---|---|", *rows])


def _process_tag(name: str, process: str) -> dict[str, str]:
    return {"process": process} if "process" in METRICS[name].tags else {}


def _checked(name: str, kind: str, tags: dict[str, str]) -> dict[str, str]:
    metric = METRICS[name]
    if metric.kind != kind or set(tags) != set(metric.tags):
        msg = f"{name} is a {metric.kind} with the tags {', '.join(metric.tags)}; got a {kind} with {', '.join(tags)}"
        raise ValueError(msg)
    return tags


@cache
def _stats(process: str) -> Any:
    """Return Airflow's interface in this process; its modules differ by version and by process."""
    newest, oldest = _STATS[process]
    try:
        return import_module(newest).Stats
    except ModuleNotFoundError:
        return import_module(oldest).Stats
