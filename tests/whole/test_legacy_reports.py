"""`sei_legacy_reports` as it stands, by a real Airflow."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime

from sei_provider.lake import read_table
from tests.whole.conftest import TEAM_IDS, Whole


def test_a_weeks_reports_land_as_one_slice_a_team(whole: Whole) -> None:
    before = len(whole.sandbox.reports())
    monday = datetime(2026, 3, 16, 5, tzinfo=UTC)
    run_id = whole.airflow.trigger_only("sei_legacy_reports", logical_date=monday, run_after=monday)
    assert whole.airflow.wait("sei_legacy_reports", run_id, timeout=180) == "success"
    week = [each for each in whole.sandbox.reports()[before:] if each["body"]["dateStart"] < "2026-03-17"]
    assert Counter(each["report"] for each in week) == dict.fromkeys(
        ("team_report", "contributor_report", "dora_report"), len(TEAM_IDS)
    )
    (start,) = {date.fromisoformat(each["body"]["dateStart"]) for each in week}
    (end,) = {date.fromisoformat(each["body"]["dateEnd"]) for each in week}
    assert (start.strftime("%A"), (end - start).days) == ("Monday", 6)
    rows = read_table(whole.stack.lake, "team_report_weekly", start=start, end=start).to_pylist()
    assert Counter(row["_scope"] for row in rows) == dict.fromkeys((f"team:{team}" for team in TEAM_IDS), 1)
    people = read_table(whole.stack.lake, "contributor_report_weekly", start=start, end=start)
    assert set(people["_scope"].to_pylist()) == {f"team:{team}" for team in TEAM_IDS}
    figures = read_table(whole.stack.lake, "dora_report_weekly", start=start, end=start)
    assert set(figures["_scope"].to_pylist()) == {f"team:{team}" for team in TEAM_IDS}
