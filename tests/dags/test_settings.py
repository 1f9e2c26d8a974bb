"""Settings of the example DAGs: their Variables, their time zone, and the days that their runs ask for."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import ModuleType, SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG

from sei_provider.hooks.dag_zone import dag_zone
from sei_provider.operators._arguments import parsed_options

AIRFLOW_VARIABLES = {"sei_issue_statuses": '["To Do", "Done"]'}
BERLIN = ZoneInfo("Europe/Berlin")


def days(dag: DAG, task_id: str, run_after: datetime, **fields: Any) -> tuple[str, str]:
    """Return `start` and `end` of a task as a run renders them: `{"data_interval_end": …}`, or none by hand."""
    run = SimpleNamespace(run_after=run_after, **fields)
    variables = SimpleNamespace(value={})
    given = dag.get_task(task_id).partial_kwargs  # type: ignore[union-attr]
    environment = dag.get_template_env()
    rendered = [
        environment.from_string(given[name]).render(dag=dag, dag_run=run, var=variables) for name in ("start", "end")
    ]
    return rendered[0], rendered[1]


@pytest.fixture
def dag_in(load: Callable[[str], ModuleType]) -> Callable[[str, str], DAG]:
    """Loads an example DAG as it is after its zone was changed, as the comment beside it says."""

    def make(zone: str, name: str) -> DAG:
        common = load("sei_common")
        common.ZONE, common.START = zone, datetime(2026, 1, 1, tzinfo=ZoneInfo(zone))
        return load(name).dag

    return make


JANUARY = ("2026-01-01", "2026-01-31")
TASKS = {"sei_history": "export_sprint", "sei_legacy_reports": "ask_team_report"}


@pytest.mark.parametrize(
    ("zone", "name", "interval_end", "expected"),
    [
        ("UTC", "sei_history", datetime(2026, 2, 1, 4, tzinfo=UTC), JANUARY),
        ("Europe/Berlin", "sei_history", datetime(2026, 2, 1, 4, tzinfo=BERLIN), JANUARY),
        ("Pacific/Kiritimati", "sei_history", datetime(2026, 1, 31, 14, tzinfo=UTC), JANUARY),
        ("UTC", "sei_legacy_reports", datetime(2026, 3, 16, 5, tzinfo=UTC), ("2026-03-09", "2026-03-15")),
        # Monday in Berlin after clocks went forward, and after they went back; Sunday in UTC.
        (
            "Europe/Berlin",
            "sei_legacy_reports",
            datetime(2026, 3, 29, 22, 30, tzinfo=UTC),
            ("2026-03-23", "2026-03-29"),
        ),
        ("Europe/Berlin", "sei_legacy_reports", datetime(2025, 10, 26, 23, tzinfo=UTC), ("2025-10-20", "2025-10-26")),
    ],
)
def test_a_scheduled_run_and_one_by_hand_take_the_period_before_by_the_dags_own_zone(
    dag_in: Callable[[str, str], DAG],
    zone: str,
    name: str,
    interval_end: datetime,
    expected: tuple[str, str],
) -> None:
    dag, task_id = dag_in(zone, name), TASKS[name]
    assert str(dag_zone(dag)) == zone
    end = interval_end.astimezone(UTC)  # as Airflow gives it
    assert days(dag, task_id, end, data_interval_end=end) == expected
    # By hand, or by an asset: no logical date, so no interval; some time in the period that follows.
    for later in (timedelta(0), timedelta(days=2)):
        assert days(dag, task_id, end + later, data_interval_end=None) == expected
        assert days(dag, task_id, end + later) == expected


@pytest.mark.parametrize(
    ("zone", "run_after", "expected"),
    [
        ("UTC", datetime(2026, 3, 18, 2, 30, tzinfo=UTC), ("2026-02-01", "2026-03-17")),
        ("UTC", datetime(2026, 3, 1, 2, 30, tzinfo=UTC), ("2026-01-01", "2026-02-28")),
        ("Europe/Berlin", datetime(2026, 3, 1, 0, 30, tzinfo=BERLIN), ("2026-01-01", "2026-02-28")),
        ("Europe/Berlin", datetime(2026, 3, 30, 0, 30, tzinfo=BERLIN), ("2026-02-01", "2026-03-29")),
        ("America/Los_Angeles", datetime(2026, 3, 2, 2, 30, tzinfo=UTC), ("2026-01-01", "2026-02-28")),
    ],
)
def test_a_night_goes_from_the_month_before_to_yesterday_by_the_dags_own_zone(
    dag_in: Callable[[str, str], DAG], zone: str, run_after: datetime, expected: tuple[str, str]
) -> None:
    assert days(dag_in(zone, "sei_nightly"), "export_sprint", run_after.astimezone(UTC)) == expected


def test_a_variable_tells_how_many_months_a_night_looks_back(load: Callable[[str], ModuleType]) -> None:
    nightly, run = load("sei_nightly"), datetime(2026, 1, 18, 2, 30, tzinfo=UTC)
    looked_back = [nightly.month_before(run, nightly.dag, months) for months in (0, "1", " 2 ", 13, "120")]
    assert looked_back == ["2026-01-01", "2025-12-01", "2025-11-01", "2024-12-01", "2016-01-01"]
    for bad in ("", "one", "-1", "1.5", "121", "1,2", None, True, "１", "[1]"):
        with pytest.raises(
            AirflowFailException, match="the Variable sei_lookback_months must be a whole number from 0 to 120"
        ):
            nightly.month_before(run, nightly.dag, bad)


@pytest.mark.parametrize(
    ("text", "reports"),
    [
        (None, ["productivity", "sprint", "business_alignment", "efficiency"]),
        ('["sprint"]', ["sprint"]),
        ('"SPRINT"', ["sprint"]),
        ('["sprint", "productivity", "sprint"]', ["sprint", "productivity"]),
    ],
)
def test_a_variable_chooses_the_reports_and_the_tasks_of_the_others_are_skipped(
    load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, text: str | None, reports: list[str]
) -> None:
    if text is not None:
        monkeypatch.setenv("AIRFLOW_VAR_SEI_REPORTS", text)
    common, dag = load("sei_common"), load("sei_nightly").dag
    chosen = common.choose_reports.function()
    steps = ("export", "teams_after", "publish", "check")
    assert chosen == [f"{step}_{report}" for report in reports for step in steps]
    others = {"teams", "teams_before", "choose_reports"}
    assert dag.get_task("choose_reports").downstream_task_ids == set(dag.task_ids) - others


@pytest.mark.parametrize("text", [None, '["time_in_status"]'])
def test_time_in_status_is_exported_if_a_variable_names_its_statuses(
    load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    if text is not None:
        monkeypatch.setenv("AIRFLOW_VAR_SEI_REPORTS", text)
    monkeypatch.setenv("AIRFLOW_VAR_SEI_ISSUE_STATUSES", '["To Do", "Done"]')
    common, dag = load("sei_common"), load("sei_nightly").dag
    assert common.configured_reports()[-1] == "time_in_status"
    template = dag.get_task("export_time_in_status").partial_kwargs["options"]["issueStatuses"]
    rendered = dag.get_template_env().from_string(template).render(var=SimpleNamespace(value=AIRFLOW_VARIABLES))
    assert parsed_options({"issueStatuses": rendered}) == {"issueStatuses": ["To Do", "Done"]}


def test_time_in_status_without_its_statuses_is_refused_by_name(
    load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_SEI_REPORTS", '["Time_In_Status"]')
    with pytest.raises(AirflowFailException, match="needs the Variable sei_issue_statuses: a JSON list"):
        load("sei_common").choose_reports.function()


def test_a_wrong_variable_of_reports_is_refused_by_its_name(
    load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    choose = load("sei_common").choose_reports.function
    for text in (
        "",
        "sprint",
        "['sprint']",
        "sprint,productivity",
        "[]",
        "null",
        "5",
        "{}",
        '["velocity"]',
        "[5]",
        '{"sprint": 1}x',
        '{"sprint": 1}',
    ):
        monkeypatch.setenv("AIRFLOW_VAR_SEI_REPORTS", text)
        with pytest.raises(AirflowFailException, match="the Variable sei_reports"):
            pytest.fail(f"{text!r} chose {choose()}")


def test_a_variable_puts_a_prefix_before_the_tables(
    load: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch
) -> None:
    common, dag = load("sei_common"), load("sei_nightly").dag
    table = dag.get_template_env().from_string(dag.get_task("publish_sprint").table)
    for value, name in (({}, "sprint_team_monthly"), ({"sei_table_prefix": "web_"}, "web_sprint_team_monthly")):
        assert table.render(var=SimpleNamespace(value=value)) == name
        if value:
            monkeypatch.setenv("AIRFLOW_VAR_SEI_TABLE_PREFIX", "web_")
        assert common.table_of("sprint") == name
