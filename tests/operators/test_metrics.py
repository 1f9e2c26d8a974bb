"""The provider's metrics, as they come out of Airflow's own StatsD client in this process."""

from __future__ import annotations

import asyncio
import inspect
import re
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from sei_provider import metrics
from sei_provider.api.errors import SeiTurnError
from sei_provider.api.rate_limit import FileLimit
from sei_provider.api.request import ExportRequest, Scope
from sei_provider.hooks.sei import SeiHook
from sei_provider.lake import Slice, read_table, stage
from sei_provider.lake.storage.store import lake_path
from sei_provider.operators._base import SeiExportError
from sei_provider.operators._state import BatchState
from sei_provider.operators._turns import Turns
from sei_provider.sandbox.control import SandboxControl
from sei_provider.testing import connect
from sei_provider.triggers.export import SeiExportTrigger
from tests.operators.conftest import Task, publish
from tests.operators.test_report import report as legacy_report
from tests.printed_page import PrintedPage
from tests.statsd import StatsdServer
from tests.tasks import TaskState
from tests.triggers.exports import made

SPRINT = "sprint_team_monthly"
PAGE = PrintedPage("metrics.md", "sei_provider.metrics")


def _initialize(process: str) -> None:
    """Set Airflow's interface up as its processes do when they start; on 3.1 it does so itself when it is imported."""
    stats: Any = metrics._stats(process)
    home = stats.__module__.partition("._shared")[0]
    if stats.__module__ == "airflow.stats":
        stats.instance = None
        del type(stats).factory
        type(stats).__init__(stats)
        return
    utils = import_module(f"{home}.observability.metrics.stats_utils")
    if inspect.signature(utils.get_stats_factory).parameters:  # 3.2
        stats.initialize(factory=utils.get_stats_factory(stats))
    else:
        stats.initialize(factory=utils.get_stats_factory(), export_legacy_names=False)


@pytest.fixture
def statsd(monkeypatch: pytest.MonkeyPatch) -> Iterator[StatsdServer]:
    with StatsdServer() as server:
        with monkeypatch.context() as patch:
            for name, value in server.environment.items():
                patch.setenv(name, value)
            for process in metrics._STATS:
                _initialize(process)
            yield server
        for process in metrics._STATS:
            _initialize(process)


def test_a_night_is_counted_from_the_first_request_to_the_rows_in_the_lake(
    sandbox: SandboxControl, lake: Path, statsd: StatsdServer
) -> None:
    staged = Task(lake, state=None).run()
    publish(lake, staged, ["11", "12", "13", "99"])
    assert statsd.counts(conn_id="sei_default", process="worker") == {"sei.requests": len(sandbox.requests())}
    assert statsd.counts(report="sprint") == {"sei.exports.created": 3, "sei.exports.staged": 3}
    shown = statsd.counts(table=SPRINT)
    assert +shown == {"sei.rows.published": 6}
    assert shown.keys() >= {"sei.rows.quarantined", "sei.figures.restated", "sei.scopes.missing"}
    assert +statsd.counts(table="unknown") == {"sei.scopes.missing": 1}
    times = statsd.times("sei.export_to_lake", table=SPRINT)
    assert len(times) == 3
    assert all(0 <= found < 600_000 for found in times)


def test_exports_are_counted_by_what_became_of_each(sandbox: SandboxControl, lake: Path, statsd: StatsdServer) -> None:
    sandbox.fault("fail", team="12")
    sandbox.fault("never", team="13")
    sandbox.fault("html", team="14")
    task = Task(lake, state=TaskState(), scopes=["11", "12", "13", "14"], timeout=1)
    with pytest.raises(SeiExportError):
        task.run()
    outcomes = {"staged": 1, "failed": 1, "running": 1, "unusable": 1}
    assert statsd.counts(report="sprint") == {f"sei.exports.{name}": number for name, number in outcomes.items()} | {
        "sei.exports.created": 4
    }
    with pytest.raises(SeiExportError):
        task.run()
    assert statsd.counts(report="sprint")["sei.exports.resumed"] == 2, (
        "the one that runs, and the one with a login page"
    )
    Task(lake / "another", state=None, scopes=["11"]).run()
    assert statsd.counts(report="sprint")["sei.exports.reused"] == 1


def test_a_legacy_report_is_counted_as_an_export(sandbox: SandboxControl, lake: Path, statsd: StatsdServer) -> None:
    sandbox.fault("fail", team="12")
    with pytest.raises(SeiExportError):
        legacy_report(lake, scopes=["11", "12"])
    assert statsd.counts(report="team_report") == {"sei.exports.staged": 1, "sei.exports.failed": 1}


def test_each_429_is_counted_and_so_is_each_request_that_is_sent_again(
    sandbox: SandboxControl, lake: Path, statsd: StatsdServer
) -> None:
    sandbox.fault("429", call="create", times=2)
    Task(lake, state=None, scopes=["11"]).run()
    assert statsd.counts(conn_id="sei_default") == {"sei.requests": len(sandbox.requests()), "sei.rate_limited": 2}


def test_each_wait_for_the_keys_limit_is_timed_in_worker_and_triggerer(
    sandbox: SandboxControl, statsd: StatsdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (export_id,) = made(sandbox, "11")
    monkeypatch.setattr(FileLimit, "try_acquire", partial(next, waits := iter([0.2, 0.1, 0.0, 0.3, 0.0])))
    with SeiHook().get_conn() as client:
        client.get_export("sprint", export_id)

    async def in_triggerer() -> None:
        async with SeiHook().aget_conn() as client:
            await client.get_export("sprint", export_id)

    asyncio.run(in_triggerer())
    assert list(waits) == []
    assert statsd.times("sei.rate_limit_wait", conn_id="sei_default", process="worker") == [200, 100]
    assert statsd.times("sei.rate_limit_wait", conn_id="sei_default", process="triggerer") == [300]


def test_a_deferral_until_the_limit_has_turns_is_timed(statsd: StatsdServer) -> None:
    client: Any = SimpleNamespace(turn_patience=0.0, seconds_until=lambda _turns: 45.0)
    request = ExportRequest(report="sprint", scope=Scope(team_id="11"), start=date(2026, 1, 1), end=date(2026, 1, 31))

    def refused(_: ExportRequest) -> None:
        msg = "no turn"
        raise SeiTurnError(msg, wait=45.0)

    assert list(Turns(client, BatchState(), may_defer=True).map(refused, [request], unfinished=1)) == []
    assert statsd.times("sei.rate_limit_deferral", report="sprint") == [45_000]


def test_the_triggers_requests_are_counted(sandbox: SandboxControl, statsd: StatsdServer) -> None:
    trigger = SeiExportTrigger(
        report="sprint",
        export_ids=made(sandbox, "11", "12"),
        deadline=time.time() + 20,
        polling={"interval": 0.1},
        sei_conn_id="sei_default",
    )

    async def run() -> list[Any]:
        return [event async for event in trigger.run()]

    asyncio.run(run())
    polled = [request for request in sandbox.requests() if "Async" in request["user_agent"]]
    assert statsd.counts(process="triggerer") == {"sei.requests": len(polled)}
    assert polled


def test_rows_in_quarantine_and_restated_figures_are_counted(lake: Path, tmp_path: Path, statsd: StatsdServer) -> None:
    def night(number: int, rows: list[str]) -> None:
        file, made_at = tmp_path / "export.csv", datetime(2026, 3, number, tzinfo=UTC)
        file.write_text("\n".join(["Team,Team_Hierarchy,Start_Date,SPRINT_COMMIT", *rows]))
        slice_ = Slice(
            table=SPRINT, report="sprint", scope="team:11", start=date(2026, 1, 1), end=date(2026, 2, 28),
            granularity="monthly", metrics=frozenset({"SPRINT_COMMIT"}), definition={},
        )  # fmt: skip
        manifest = stage(
            file, folder=lake_path(str(lake / "_staging" / str(number))), slice=slice_, request=f"{number}",
            export_id=f"exp_{number}", created_at=made_at, run_id=f"{number}", exported_at=made_at,
            on_bad_value="quarantine",
        )  # fmt: skip
        publish(lake, [manifest], ["11"])

    night(1, ["A,Eng/A,2026-01-01,1", "A,Eng/A,2026-02-01,2", "B,Eng/B,2026-02-01,three"])
    assert +statsd.counts() == {"sei.rows.published": 2, "sei.rows.quarantined": 1}
    night(2, ["A,Eng/A,2026-01-01,1", "A,Eng/A,2026-02-01,4"])
    assert +statsd.counts() == {"sei.rows.published": 4, "sei.rows.quarantined": 1, "sei.figures.restated": 1}


def test_no_key_scope_team_or_person_is_in_a_metric(
    sandbox: SandboxControl, lake: Path, statsd: StatsdServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, sandbox.base_url, password="sesame-open-wide")
    with pytest.raises(AirflowFailException):
        Task(lake, state=None, scopes=["11", {"orgTreeName": "ann@example.com"}]).run()
    connect(monkeypatch, sandbox.base_url)
    staged = Task(lake, state=None, report="productivity", level="developer", scopes=["11"]).run()
    publish(lake, staged, ["11", {"orgTreeName": "ann@example.com"}])
    assert statsd.counts()["sei.rows.published"]
    for word in ("sesame", "@", "team", "exp_", *read_table(lake, staged[0]["table"])["team"].to_pylist()):
        assert word not in re.sub("table=[a-z_]+", "", statsd.text), word


def test_without_a_backend_nothing_is_sent_and_nothing_fails(sandbox: SandboxControl, lake: Path) -> None:
    publish(lake, Task(lake, state=None).run(), ["11", "12", "13"])


def test_a_metric_that_is_not_in_the_table_cannot_be_sent() -> None:
    with pytest.raises(KeyError):
        metrics.count("sei.exports.of_team_11")
    with pytest.raises(ValueError, match="is a counter with the tags report; got a counter with scope"):
        metrics.count("sei.exports.staged", scope="team:11")
    with pytest.raises(ValueError, match="got a timer"):
        metrics.timing("sei.exports.staged", 1.0, report="sprint")


def test_the_page_lists_the_metrics_as_they_are() -> None:
    assert PAGE.read() == PAGE.with_part(metrics.table())


def test_every_metric_is_sent_somewhere_by_this_name() -> None:
    sources = "".join(file.read_text() for file in Path(metrics.__file__).parent.rglob("*.py"))
    for name in metrics.METRICS:
        last = name.removeprefix("sei.").removeprefix("exports.")
        assert re.search(rf'"(sei\.)?(exports\.)?{re.escape(last)}"', sources.replace(f'"{name}": Metric', "")), name
