"""Rows of another level than requested are refused, and sprint rows without dates get those of their request."""

from __future__ import annotations

import re

import pyarrow.parquet as pq
import pytest

from sei_provider.lake import CsvError, HeaderError
from sei_provider.lake.staging import staged_file, team_rows

JAN = "2026-01-01"
HEAD = "Team,Team_Hierarchy,Start_Date,PR_MERGED"


@pytest.fixture
def bench(bench):
    bench.columns, bench.definition = {}, {"level": "team"}
    return bench


def staged(bench, head, *rows, **dates):
    body = "\n".join([head, *rows, ""]).encode()
    return pq.read_table(bench.path(bench.stage_bytes(body, bench.slice(**dates))))


@pytest.mark.parametrize("header", ["Developer", "developer_email", "E-Mail Address", "Contributor Name", "User Email"])
@pytest.mark.parametrize("report", ["productivity", "sprint"])
def test_a_person_column_is_refused_at_team_level_and_tells_of_the_level_field(bench, header, report):
    bench.report = report
    with pytest.raises(HeaderError, match=r"request was at level team.*level_field") as caught:
        staged(bench, f"{HEAD},{header}", f"A,Eng/A,{JAN},1,Dev 1")
    assert "Dev 1" not in str(caught.value)
    bench.columns = {header: "team_contact"}
    assert staged(bench, f"{HEAD},{header}", f"A,Eng/A,{JAN},1,x")["team_contact"].to_pylist() == ["x"]


def test_a_column_that_the_user_names_developer_is_refused_at_team_level(bench):
    bench.columns = {"Employee": "developer"}
    with pytest.raises(HeaderError, match="level_field"):
        staged(bench, f"{HEAD},Employee", f"A,Eng/A,{JAN},1,Dev 1")
    assert staged(bench, HEAD, f"A,Eng/A,{JAN},1").num_rows == 1, "columns= may be shared with the developers' task"


def test_eight_rows_of_a_team_are_refused_at_team_level(bench):
    rows = [f"A,Eng/A,{JAN},1,Dev {number}" for number in range(8)]
    with pytest.raises(CsvError, match=r"8 rows of one team and period.*level_field") as caught:
        staged(bench, f"{HEAD},Employee", *rows)
    assert "Dev" not in str(caught.value)


def test_two_rows_of_a_team_far_apart_are_refused_too(bench, monkeypatch):
    monkeypatch.setattr(staged_file, "ROW_GROUP_BYTES", 1 << 10)
    monkeypatch.setattr(staged_file, "_COLUMN_CHUNK_BYTES", 1)
    rows = [f"T{number},Eng/T{number},{JAN},1" for number in range(200)]
    groups = []
    add = team_rows.TeamRows.add
    monkeypatch.setattr(team_rows.TeamRows, "add", lambda self, rows: (groups.append(len(rows)), add(self, rows)))
    assert staged(bench, HEAD, *rows).num_rows == 200
    assert len(groups) > 1
    with pytest.raises(CsvError, match=r"2 rows of one team and period.*level_field"):
        staged(bench, HEAD, *rows, rows[0])


def test_one_row_per_team_and_period_is_what_team_level_is(bench):
    rows = [f"A,Eng/A,{JAN},1", "A,Eng/A,2026-02-01,1", f"A,Ops/A,{JAN},1", f"B,Eng/B,{JAN},1"]
    assert staged(bench, HEAD, *rows, end="2026-02-28").num_rows == 4


def test_developers_of_a_team_may_share_their_name_at_developer_level(bench):
    bench.definition = {"level": "developer"}
    assert staged(bench, f"{HEAD},Developer", *[f"A,Eng/A,{JAN},1,Dev 1"] * 2).num_rows == 2


SPRINTS = "Sprint,Team,Team_Hierarchy,SPRINT_COMMIT"


@pytest.fixture
def sprints(bench):
    bench.report, bench.table, bench.granularity = "sprint", "sprint_sprint_sprint", "sprint"
    bench.definition, bench.metrics = {"level": "sprint"}, frozenset({"SPRINT_COMMIT"})
    return bench


def days(table):
    columns = (table[name].to_pylist() for name in ("start_date", "end_date"))
    return [(str(start), str(end)) for start, end in zip(*columns, strict=True)]


@pytest.mark.parametrize("empty", ["", "—"])
def test_sprint_rows_without_dates_have_the_range_of_the_request(sprints, empty):
    assert days(staged(sprints, SPRINTS, "S1,A,Eng/A,5")) == [(JAN, "2026-01-31")]
    head = f"{SPRINTS},Start_Date,End_Date"
    rows = [f"S1,A,Eng/A,5,{empty},{empty}", f"S2,A,Eng/A,5,2026-01-05,{empty}", f"S3,A,Eng/A,5,{empty},2026-01-09"]
    assert days(staged(sprints, head, *rows)) == [(JAN, "2026-01-31"), ("2026-01-05", "None"), (JAN, "2026-01-09")]
    with pytest.raises(CsvError, match="outside the requested range"):
        staged(sprints, head, f"S3,A,Eng/A,5,{empty},2025-12-09")


def test_a_sprint_without_dates_is_replaced_by_its_name(sprints):
    sprints.header = SPRINTS
    sprints.export("team:1", ["S1,A,Eng/A,5", "S2,A,Eng/A,6"], age=1)
    sprints.export("team:1", ["S1,A,Eng/A,7", "S3,A,Eng/A,8"], age=2)
    assert sprints.rows("sprint", "sprint_commit", "month") == [("S1", 7.0, "2026-01"), ("S3", 8.0, "2026-01")]


def test_sprint_figures_of_a_period_without_dates_have_its_range_and_of_several_periods_are_refused(sprints):
    sprints.granularity, sprints.definition = "monthly", {"level": "team"}
    head = "Team,Team_Hierarchy,SPRINT_COMMIT"
    assert days(staged(sprints, head, "A,Eng/A,5")) == [(JAN, "2026-01-31")]
    with pytest.raises(HeaderError, match=re.escape("no column holds the start_date")):
        staged(sprints, head, "A,Eng/A,5", end="2026-02-28")


def test_other_reports_need_their_dates(bench):
    with pytest.raises(HeaderError, match="no column holds the start_date"):
        staged(bench, "Team,PR_MERGED", "A,5")
