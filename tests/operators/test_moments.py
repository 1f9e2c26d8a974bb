"""Start and end of a range: days, and moments that count by their day in the DAG's zone."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG

from sei_provider.hooks.dag_zone import dag_zone
from sei_provider.operators.report import SeiReportOperator
from sei_provider.sandbox.control import SandboxControl
from tests.operators.conftest import Task
from tests.operators.test_arguments import ARGUMENTS, refused, rendered

BERLIN, LORD_HOWE, BEIRUT = ZoneInfo("Europe/Berlin"), ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Asia/Beirut")


class Unknown(tzinfo):
    """A zone that does not say how far it is from UTC, so its times are those of the DAG's zone."""

    def utcoffset(self, _: datetime | None) -> timedelta | None:
        return None


@pytest.mark.parametrize(
    ("start", "end", "days", "zone"),
    [
        ("2026-01-05", "2026-01-07", ("2026-01-05", "2026-01-07"), UTC),
        (date(2026, 1, 5), pendulum.date(2026, 1, 7), ("2026-01-05", "2026-01-07"), UTC),
        ("20260105", " 2026-01-07 ", ("2026-01-05", "2026-01-07"), UTC),
        # As {{ data_interval_start }} and its end are rendered: by str(), isoformat(), ts_nodash, ts_nodash_with_tz.
        ("2026-01-05 00:00:00+00:00", "2026-01-12 00:00:00+00:00", ("2026-01-05", "2026-01-11"), UTC),
        ("2026-01-05T00:00:00Z", "2026-01-12T00:00:00.000001+00:00", ("2026-01-05", "2026-01-12"), UTC),
        ("20260105T000000", "20260112T000000+0000", ("2026-01-05", "2026-01-11"), UTC),
        (pendulum.datetime(2026, 1, 5), datetime(2026, 1, 12, 2, 30, tzinfo=UTC), ("2026-01-05", "2026-01-12"), UTC),
        # Midnight in Berlin, summer and winter, given in UTC as Airflow gives it, and without a zone.
        ("2026-01-04T23:00:00+00:00", "2026-01-11T23:00:00+00:00", ("2026-01-05", "2026-01-11"), BERLIN),
        ("2025-07-31T22:00:00+00:00", "2025-08-31T22:00:00+00:00", ("2025-08-01", "2025-08-31"), BERLIN),
        ("2025-10-25T22:00:00+00:00", "2025-10-26T23:00:00+00:00", ("2025-10-26", "2025-10-26"), BERLIN),
        ("2026-01-05T00:00:00", datetime(2026, 1, 12), ("2026-01-05", "2026-01-11"), BERLIN),  # noqa: DTZ001
        ("2026-01-05T23:30:00-05:00", "2026-01-12T18:00:00-05:00", ("2026-01-06", "2026-01-12"), BERLIN),
        ("2026-01-04t23:00:00z", datetime(2026, 1, 12, tzinfo=Unknown()), ("2026-01-05", "2026-01-11"), BERLIN),
        ("2026-01-04T13:00:00Z", "2026-01-11T13:00:00Z", ("2026-01-05", "2026-01-11"), LORD_HOWE),
        # The day begins at 01:00 in Beirut on 29 March 2026.
        ("2026-03-28T22:00:00Z", "2026-03-28T22:00:00Z", None, BEIRUT),
        ("2026-03-27T22:00:00Z", "2026-03-28T22:00:00Z", ("2026-03-28", "2026-03-28"), BEIRUT),
    ],
)
def test_a_moment_counts_by_its_day_in_the_dags_zone_and_one_given_as_end_ends_an_interval(
    sandbox: SandboxControl, lake: Path, start: Any, end: Any, days: tuple[str, str] | None, zone: Any
) -> None:
    def run(report: Callable[..., Any]) -> None:
        operator = report(**(ARGUMENTS | {"report": "team_report", "start": start, "end": end, "lake": str(lake)}))
        task = Task(lake, state=None)
        task.operator = operator
        operator.execute(task.context() | {"dag": SimpleNamespace(timezone=zone)})

    if days is None:
        with pytest.raises(AirflowFailException, match=r"ends .* before it starts .*a run without a data interval"):
            run(SeiReportOperator)
        assert sandbox.requests() == []
        return
    run(SeiReportOperator)
    (body,) = (each["body"] for each in sandbox.reports())
    assert (body["dateStart"], body["dateEnd"]) == days


NO_DAY = [
    *(
        "",
        "yesterday",
        "2026-1-5",
        "05/01/2026",
        "2026-02-30",
        "2026-W02",
        "2026-005",
        "None",
        "２０２６-01-05",
        "20260230",
    ),
    *("2026-01-05T25:00:00", "2026-01-05T00:00:00 Europe/Berlin", "2026-01-05x00:00", "1767571200", "{}", "2026-01"),
    *(
        None,
        True,
        20260105,
        1767571200.0,
        math.nan,
        b"2026-01-05",
        ["2026-01-05"],
        {"start": "2026-01-05"},
        timedelta(1),
    ),
]


def test_what_is_neither_a_day_nor_a_moment_is_refused_before_any_call(sandbox: SandboxControl, lake: Path) -> None:
    for value in NO_DAY:
        for name in ("start", "end"):
            assert refused(**{name: value}).startswith(f"{name} must be a date or text like 2026-01-31")
            with pytest.raises(AirflowFailException, match=f"{name} must be a date"):
                pytest.fail(f"accepted {value!r}: {rendered(lake, **{name: value}).run()}")
    assert sandbox.requests() == []


def test_the_zone_is_the_schedules_then_the_dags(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = datetime(2026, 1, 1, tzinfo=BERLIN)
    assert str(dag_zone(DAG("by_start", schedule="0 0 * * 1", start_date=begin))) == "Europe/Berlin"
    assert str(dag_zone(DAG("unscheduled", schedule=None, start_date=begin))) == "Europe/Berlin"
    assert str(dag_zone(DAG("by_default", schedule=None))) == "UTC"
    from airflow.timetables.interval import CronDataIntervalTimetable
    from airflow.timetables.trigger import MultipleCronTriggerTimetable

    interval = CronDataIntervalTimetable("0 0 * * 1", timezone="Australia/Lord_Howe")
    several = MultipleCronTriggerTimetable("0 0 * * 1", "0 5 * * 1", timezone="Asia/Beirut")
    assert str(dag_zone(DAG("by_interval", schedule=interval, start_date=begin))) == "Australia/Lord_Howe"
    assert str(dag_zone(DAG("by_crons", schedule=several, start_date=begin))) == "Asia/Beirut"
    assert dag_zone(None) is UTC
