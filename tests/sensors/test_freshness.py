"""The freshness sensor: its arguments, its deadline, what it says, and its waiting."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSkipException,
    TaskDeferred,
)
from airflow.sdk import DAG, BaseOperator, XComArg
from airflow.sdk.bases.sensor import AirflowRescheduleException  # whose place differs between 3.1 and 3.3
from hypothesis import given, settings
from hypothesis import strategies as st

from sei_provider.hooks.dag_zone import zone_name, zone_named
from sei_provider.sensors.freshness import parse_deadline
from sei_provider.triggers.freshness import SeiFreshnessTrigger
from tests.examples import examples
from tests.sensors.conftest import Night

FUTURE = "2126-01-01T08:00:00+00:00"
PAST = "2026-01-20T08:00:00+00:00"


def failed(night: Night, **arguments: Any) -> str:
    with pytest.raises(AirflowFailException) as error:
        night.sensor(**arguments).execute(night.context())
    return str(error.value)


def deferred(night: Night, **arguments: Any) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as given_up:
        night.sensor(**({"deadline": FUTURE, "timeout": 10**10} | arguments)).execute(night.context())
    return given_up.value


def test_complete_figures_end_the_task_at_once(night: Night) -> None:
    night.export("team:11")
    night.export("team:12")
    night.sensor().execute(night.context())


def test_at_the_deadline_the_message_names_table_scope_range_reason_and_remedy(night: Night) -> None:
    night.export("team:11")
    night.export("team:12", end="2026-01-18")
    said = failed(night, scopes=["11", "12", "13"])
    assert said == (
        "by 2026-01-20T08:00+00:00, 2 of 3 scopes lack complete figures: "
        "sprint_team_monthly, 2026-01-19 to 2026-01-19: team:12: export exp_2 of 2026-01-20T02:30+00:00 was asked for "
        "the days up to 2026-01-18 only\n"
        "sprint_team_monthly, 2026-01-01 to 2026-01-19: team:13: no export of it is published\n"
        "What to do: see the last run of the DAG that publishes sprint_team_monthly. If it still runs, wait; if its "
        "check task is red, the log there says what to correct and what to clear. Then clear this task: it looks again"
    )


def test_many_scopes_are_summed_up(night: Night) -> None:
    night.export("team:11")
    said = failed(night, scopes=[str(team) for team in range(11, 4011)])
    assert "3,999 of 4,000 scopes lack" in said
    assert "and 3994 more" in said
    assert len(said) < 800


def test_soft_fail_skips(night: Night) -> None:
    night.export("team:13")
    with pytest.raises(AirflowSkipException, match="team:11, team:12"):
        night.sensor(soft_fail=True).execute(night.context())


def test_an_empty_lake_has_nothing_complete(night: Night) -> None:
    assert "has no table 'sprint_team_monthly'; tables: none yet" in failed(night)


def test_what_is_lacking_is_waited_for_on_the_triggerer_with_kwargs_that_can_be_stored(night: Night) -> None:
    wait = deferred(night, scopes=("12", {"orgTreeName": "Eng"}, [11]), start="2026-01-05", end="2026-01-19")
    trigger = wait.trigger
    assert isinstance(trigger, SeiFreshnessTrigger)
    path, kwargs = trigger.serialize()
    assert json.loads(json.dumps(kwargs)) == kwargs
    assert path == f"{SeiFreshnessTrigger.__module__}.{SeiFreshnessTrigger.__name__}"
    assert SeiFreshnessTrigger(**kwargs).serialize() == (path, kwargs)
    assert kwargs == {
        "lake": str(night.lake), "table": "sprint_team_monthly", "scopes": ["team:12", "org:Eng", "team:11"],
        "start": "2026-01-05", "end": "2026-01-19", "zone": "UTC",
        "deadline": datetime.fromisoformat(FUTURE).timestamp(), "poke_interval": 60.0,
    }  # fmt: skip
    assert wait.timeout is not None


def test_the_event_alone_decides_how_the_task_ends(night: Night) -> None:
    sensor, context = night.sensor(), night.context()
    sensor.execute_complete(context, {"lacking": None, "error": None})
    with pytest.raises(AirflowFailException, match=r"by 2026-01-20T08:00.*, 1 of 2 scopes"):
        sensor.execute_complete(context, {"lacking": "1 of 2 scopes lacks …", "error": None})
    with pytest.raises(AirflowFailException, match="damaged"):
        sensor.execute_complete(context, {"lacking": None, "error": "an object is damaged"})


def test_airflows_timeout_ends_the_wait_if_it_is_shorter(night: Night) -> None:
    night.export("team:13")
    wait = deferred(night, timeout=5)
    assert wait.trigger.deadline < datetime.now(UTC).timestamp() + 6  # type: ignore[attr-defined]
    assert "team:11" in failed(night, timeout=0, deadline=FUTURE)


def test_in_the_worker_it_is_rescheduled_and_fails_at_the_deadline(
    night: Night, monkeypatch: pytest.MonkeyPatch
) -> None:
    night.export("team:13")
    assert "team:11, team:12" in failed(night, deferrable=False)
    context = night.context()
    context["ti"].get_first_reschedule_date = lambda _: None
    with pytest.raises(AirflowRescheduleException):
        night.sensor(deferrable=False, mode="reschedule", deadline=FUTURE).execute(context)


def test_a_lake_that_cannot_be_read_is_read_again_and_a_damaged_one_is_not(night: Night) -> None:
    night.export("team:11")
    [month] = (night.lake / "sprint_team_monthly").glob("*/*.parquet")
    whole = month.read_bytes()
    month.write_bytes(whole[:-20])
    assert "damaged" in failed(night, deadline=FUTURE)
    month.write_bytes(whole)
    month.parent.rename(month.parent.with_name("away"))
    month.parent.write_bytes(b"")  # a folder that is a file: not to be read now
    assert "team:11" in failed(night)
    deferred(night)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"scopes": []}, "names no scope"),
        ({"scopes": None}, "names no scope"),
        ({"scopes": [[], ()]}, "names no scope"),
        ({"scopes": "['11', '12']"}, "render_template_as_native_obj"),
        ({"scopes": [True]}, "is not a scope"),
        ({"table": "../x"}, "table"),
        ({"table": ""}, "table must be text"),
        ({"lake": "s3:/bucket"}, "s3://"),
        ({"end": "yesterday"}, "end must be a date"),
        ({"start": "2026-01-19", "end": "2026-01-02"}, "before it starts"),
        ({"deadline": "8 o'clock"}, "time of day like 08:00"),
        ({"deadline": "2026-01-20"}, "time of day like 08:00"),
        ({"deadline": "24:00"}, "time of day like 08:00"),
        ({"deadline": 8}, "time of day like 08:00"),
        ({"deadline": timedelta(hours=8)}, "time of day like 08:00"),
        ({"poke_interval": 0}, "poke_interval must be seconds"),
        ({"deferrable": "False"}, "deferrable must be True or False"),
        ({"end": "2026-01-31", "deadline": PAST}, "day is not over then"),
        ({"end": "9999-12-31"}, "years 1900 to 2999, not 9999-12-31 to 9999-12-31"),
        ({"end": "0001-01-01"}, "years 1900 to 2999"),
        ({"start": "0001-01-01"}, "years 1900 to 2999, not 0001-01-01 to 2026-01-19"),
        ({"scopes": {"orgTreeName": ""}}, "is not a scope"),
        ({"scopes": [1.5]}, "is not a scope"),
        ({"deadline": "2026-02-30T08:00"}, "time of day like 08:00"),
        ({"deadline": "9999-12-31T23:59:59-23:59"}, "time of day like 08:00"),
    ],
    ids=lambda value: json.dumps(value, default=str) if isinstance(value, dict) else "",
)
def test_a_wrong_argument_is_told_before_the_lake_is_read(night: Night, wrong: dict[str, Any], said: str) -> None:
    with pytest.raises((AirflowFailException, ValueError), match=said):
        night.sensor(**wrong).execute(night.context())


def test_templates_and_results_of_tasks_are_checked_when_they_are_rendered(night: Night) -> None:
    with DAG("templates", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
        sensor = night.sensor(
            scopes=XComArg(BaseOperator(task_id="teams")), table="{{ params.t }}", lake="{{ params.l }}",
            start="{{ ds }}", end="{{ ds }}", deadline="{{ params.d }}",
        )  # fmt: skip
    sensor.scopes, sensor.table, sensor.lake = None, "sprint_team_monthly", str(night.lake)
    sensor.start = sensor.end = "2026-01-19"
    sensor.deadline = "08:00"
    with pytest.raises(AirflowFailException, match="names no scope"):
        sensor.execute(night.context())


@pytest.mark.parametrize(
    ("end", "zone", "day"),
    [
        (None, "UTC", "2026-01-19"),
        (None, "Pacific/Kiritimati", "2026-01-19"),
        (None, "Pacific/Honolulu", "2026-01-18"),
        ("2026-01-20T00:00:00+00:00", "UTC", "2026-01-19"),
        (date(2026, 1, 17), "UTC", "2026-01-17"),
    ],
    ids=str,
)
def test_yesterday_is_that_of_the_dags_zone(night: Night, end: Any, zone: str, day: str) -> None:
    sensor = night.sensor(end=end)
    check, deadline = sensor._question(night.context(zone=ZoneInfo(zone)))
    assert (check.start, check.end, check.zone) == (day, day, zone)
    due = datetime.fromtimestamp(deadline, ZoneInfo(zone))
    assert due == datetime.combine(date.fromisoformat(day) + timedelta(days=1), time(8), tzinfo=ZoneInfo(zone))


ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo"]


@pytest.mark.fuzz
@settings(max_examples=examples(50))
@given(
    day=st.dates(date(2020, 1, 1), date(2030, 12, 31)),
    clock=st.times(),
    zone=st.sampled_from(ZONES),
    as_text=st.booleans(),
)
def test_a_time_of_day_is_that_of_the_zone_also_where_clocks_change(
    day: date, clock: time, zone: str, as_text: bool
) -> None:
    clock = clock.replace(second=0, microsecond=0)
    moment = parse_deadline(f"{clock:%H:%M}" if as_text else clock, day, ZoneInfo(zone))
    local = moment.astimezone(UTC).astimezone(ZoneInfo(zone))
    skipped = local.replace(tzinfo=None) - datetime.combine(day, clock)
    assert skipped in {timedelta(0), timedelta(hours=1), timedelta(minutes=30)}
    if skipped:  # no clock has shown that time: the one of the hour before, put forward
        before = datetime.combine(day, clock, tzinfo=ZoneInfo(zone)).replace(fold=0)
        assert (local - timedelta(hours=4)).utcoffset() == before.utcoffset()


@pytest.mark.parametrize("zone", [*ZONES, "+05:30", "-03:00"])
def test_a_zone_comes_back_from_its_name(zone: str) -> None:
    moment = datetime(2026, 7, 1, 12, tzinfo=UTC)
    found = zone_named(zone_name(zone_named(zone)))
    assert moment.astimezone(found).isoformat() == moment.astimezone(zone_named(zone)).isoformat()


def test_a_lake_may_be_a_path(night: Night, tmp_path: Path) -> None:
    night.export("team:11")
    night.sensor(lake=night.lake, scopes="11").execute(night.context())
