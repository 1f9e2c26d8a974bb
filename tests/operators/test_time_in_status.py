"""Time in status from request to table: one export for all months, or one for each period where no label is certain."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from dev.expected import Row, rows_in, rows_sent
from sei_provider.api import SeiInputError
from sei_provider.lake import read_table
from sei_provider.operators.export import SeiExportOperator
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.data import periods
from tests.operators.conftest import Task, publish

STATUSES = {"issueStatuses": ["In Progress", "In Review"]}
SCOPES = ["11", "12"]


def in_status(lake: Path, **arguments: Any) -> Task:
    asked = {"report": "time_in_status", "options": STATUSES, "scopes": SCOPES}
    return Task(lake, state=None, **(asked | arguments))


def ranges(sandbox: SandboxControl) -> list[tuple[str, str, str]]:
    return [
        (body["scope"]["teamId"], body["dateRange"]["start"], body["dateRange"]["end"])
        for body in (export["body"] for export in sandbox.exports())
    ]


def landed(lake: Path, table: str) -> list[tuple[date, date]]:
    return sorted({(row["start_date"], row["end_date"]) for row in read_table(str(lake), table).to_pylist()})


def test_months_land_row_for_row_from_one_export_a_scope(sandbox: SandboxControl, lake: Path) -> None:
    staged = in_status(lake, scopes=["1", "2"]).run()
    assert publish(lake, staged, ["1", "2"])["missing"] == []
    assert len(sandbox.exports()) == 2
    dates = {"start_date", "end_date"}
    rows, undated = rows_in(str(lake), "time_in_status_team_monthly"), Counter[Row]()
    for row, count in rows.items():
        undated[frozenset(cell for cell in row if cell[0] not in dates)] += count
    assert undated.total() == rows.total()
    assert undated == rows_sent(sandbox, [manifest["export_id"] for manifest in staged])
    assert landed(lake, "time_in_status_team_monthly") == [
        (date(2026, 1, 1), date(2026, 1, 31)),
        (date(2026, 2, 1), date(2026, 2, 28)),
    ]


def test_the_documented_columns_stay_under_any_policy_for_personal_data(sandbox: SandboxControl, lake: Path) -> None:
    publish(lake, in_status(lake, personal_data="drop").run(), SCOPES)
    names = {"total_issues", "in_progress_hours", "to_do_hours", "in_review_hours", "total_lead_time_hours"}
    assert names <= set(read_table(str(lake), "time_in_status_team_monthly").column_names)


@pytest.mark.parametrize(
    ("granularity", "level", "start", "end", "exports"),
    [
        ("weekly", None, "2026-01-07", "2026-01-19", 3),
        ("quarterly", None, "2025-12-31", "2026-01-01", 2),
        ("daily", None, "2026-01-30", "2026-02-02", 4),
        ("monthly", "sprint", "2026-01-15", "2026-02-15", 2),
    ],
)
def test_each_period_is_asked_for_by_itself_where_no_label_is_documented(
    sandbox: SandboxControl, lake: Path, granularity: str, level: str | None, start: str, end: str, exports: int
) -> None:
    staged = in_status(lake, granularity=granularity, level=level, start=start, end=end, scopes=["11"]).run()
    result = publish(lake, staged, ["11"])
    assert result["missing"] == []
    asked = [(date.fromisoformat(first), date.fromisoformat(last)) for _, first, last in ranges(sandbox)]
    assert len(asked) == exports
    assert landed(lake, f"time_in_status_{level or 'team'}_{granularity}") == sorted(asked)


def test_months_whose_labels_are_not_certain_are_asked_for_one_by_one_after_all(
    sandbox: SandboxControl, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_day, following, _ = periods._CALENDARS["monthly"]
    monkeypatch.setitem(periods._CALENDARS, "monthly", (first_day, following, lambda first: f"{first:%m/%y}"))
    task = in_status(lake)
    staged = task.run()
    assert publish(lake, staged, SCOPES)["missing"] == []
    assert sorted(ranges(sandbox)) == sorted(
        (scope, *days)
        for scope in SCOPES
        for days in (("2026-01-01", "2026-02-28"), ("2026-01-01", "2026-01-31"), ("2026-02-01", "2026-02-28"))
    )
    assert len(landed(lake, "time_in_status_team_monthly")) == 2
    assert task.pushed["asked"]["scopes"] == ["team:11", "team:12"]


def test_a_cleared_success_exports_its_months_anew_without_a_state_store_too(
    sandbox: SandboxControl, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_day, following, _ = periods._CALENDARS["monthly"]
    monkeypatch.setitem(periods._CALENDARS, "monthly", (first_day, following, lambda first: f"{first:%m/%y}"))
    task = in_status(lake, scopes=["11"])
    task.state = None
    publish(lake, task.run(), ["11"])
    task.clear()
    task.run()
    assert [export["reused"] for export in sandbox.exports()] == [1, 1, 1]


def test_a_period_that_fails_is_missing_by_its_scope_and_range(sandbox: SandboxControl, lake: Path) -> None:
    sandbox.fault("fail", team="12", times=1)
    task = in_status(lake, granularity="weekly", start="2026-01-05", end="2026-01-18")
    with pytest.raises(Exception, match="1 of 4 scopes") as failed:
        task.run()
    [lack] = publish(lake, task.pushed["return_value"], SCOPES)["missing"]
    assert lack["scope"] == "team:12"
    assert (lack["start"], lack["end"]) in {("2026-01-05", "2026-01-11"), ("2026-01-12", "2026-01-18")}
    assert f": time_in_status_team_weekly, {lack['start']} to {lack['end']}: team:12: " in str(failed.value)


def test_the_order_of_statuses_makes_no_other_table(sandbox: SandboxControl, lake: Path) -> None:
    publish(lake, in_status(lake).run(), SCOPES)
    turned = {"issueStatuses": STATUSES["issueStatuses"][::-1]}
    assert publish(lake, in_status(lake, options=turned).run(), SCOPES)["missing"] == []


def test_statuses_may_come_from_a_variable_as_text(sandbox: SandboxControl, lake: Path) -> None:
    task = in_status(lake, scopes=["11"], options={"issueStatuses": "{{ var.value.sei_issue_statuses }}"})
    task.operator.options = {"issueStatuses": '["To Do", "Done"]'}
    task.run()
    assert sandbox.exports()[0]["body"]["issueStatuses"] == ["To Do", "Done"]


def test_missing_statuses_are_an_error_when_the_dag_is_read_unless_a_template_tells_them(lake: Path) -> None:
    for options in (None, {}, {"issueStatuses": "Done"}):
        with pytest.raises(SeiInputError, match="issueStatuses"):
            in_status(lake, options=options)
        with pytest.raises(SeiInputError, match="issueStatuses"):
            SeiExportOperator.partial(task_id="x", report="time_in_status", options=options)
    for options in ("{{ var.json.sei }}", {"issueStatuses": "{{ var.value.sei_issue_statuses }}"}):
        in_status(lake, options=options)
        mapped = SeiExportOperator.partial(task_id=f"x{len(options)}", report="time_in_status", options=options)
        mapped.expand(scopes=[["11"]])
    SeiExportOperator.partial(task_id="x", report="time_in_status").expand(options=[STATUSES])
