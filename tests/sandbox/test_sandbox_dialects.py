"""Dialects: clusters that differ where SEI's documents are silent or disagree."""

from __future__ import annotations

import sys
from datetime import date

import pytest

from sei_provider.sandbox.__main__ import main
from sei_provider.sandbox.server import serve


def test_issue_17_other_columns_are_those_that_no_document_names(api_at, body_of) -> None:
    with serve(seconds=0, dialect="other_columns") as sandbox:
        api = api_at(sandbox.base_url)
        (sprint, *_), (category, *_) = (
            api.rows(report, body_of(report, team="11")) for report in ("sprint", "business_alignment")
        )
        (person, *_) = api.rows("productivity", body_of("productivity", team="11", metricLevel="developer"))
    assert list(sprint)[:5] == ["Period", "Squad", "Squad_Path", "From", "Until"]
    assert list(person)[5:7] == ["Employee", "Employee_Mail"]
    assert list(category)[:5] == ["Granularity", "Team", "Team_Hierarchy", "Start_Date", "End_Date"], "as 003 has it"


def test_issue_17_a_hierarchy_may_start_at_the_scope(api_at, body_of) -> None:
    with serve(teams=9, seconds=0, dialect="hierarchy_from_scope") as sandbox:
        api = api_at(sandbox.base_url)
        found = {
            team: [row["Team_Hierarchy"] for row in api.rows("business_alignment", body_of("business_alignment", team))]
            for team in ("10", "17")
        }
    assert found["17"][0] == "iOS/Android"
    assert found["10"][0] == "Platform"
    assert "Platform/iOS/Android" in found["10"]


def test_issue_17_without_reuse_an_identical_request_makes_another_export(api_at, body_of) -> None:
    for dialect, count in (("no_reuse", 2), ("", 1)):
        with serve(seconds=0, dialect=dialect) as sandbox:
            api = api_at(sandbox.base_url)
            assert len({api.create("sprint", body_of("sprint")).json()["exportId"] for _ in range(2)}) == count


@pytest.mark.parametrize(("dialect", "field"), [("older_level_field", "aggregationLevel"), ("", "metricLevel")])
def test_issue_17_an_older_cluster_reads_the_level_from_its_own_field_only(
    api_at, body_of, dialect: str, field: str
) -> None:
    with serve(seconds=0, dialect=dialect) as sandbox:
        api = api_at(sandbox.base_url)
        levels = ("metricLevel", "aggregationLevel")
        columns = {
            name: "Sprint" in api.rows("sprint", body_of("sprint", **{name: "sprint"}))[0]
            for name in (levels if dialect else levels[:1])
        }
    assert [name for name, has_sprints in columns.items() if has_sprints] == [field]


def test_issue_17_statuses_may_be_in_capitals_everywhere(api_at, body_of) -> None:
    with serve(seconds=0, dialect="upper_case_statuses") as sandbox:
        api = api_at(sandbox.base_url)
        for report in ("productivity", "sprint", "business_alignment"):
            assert api.status(report, api.create(report, body_of(report)).json()["exportId"]).json()["status"] == (
                "COMPLETED"
            )
        assert {export["status"] for export in api.list("productivity").json()["exports"]} == {"COMPLETED"}


def test_issue_17_weeks_may_start_on_sunday(api_at, body_of) -> None:
    dates = {"start": "2026-01-01", "end": "2026-01-31"}
    with serve(seconds=0, dialect="weeks_from_sunday") as sandbox:
        api = api_at(sandbox.base_url)
        body = body_of("business_alignment", team="11", granularity="WEEKLY") | {"dateRange": dates}
        starts = [date.fromisoformat(row["Start_Date"]) for row in api.rows("business_alignment", body)]
    assert starts[0] == date(2026, 1, 1)
    assert {start.strftime("%A") for start in starts[1:]} == {"Sunday"}


def test_issue_17_an_unknown_trait_is_refused_with_the_known_ones(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["sandbox", "--dialect=no_reuse,mondays"])
    with pytest.raises(SystemExit):
        main()
    assert "argument --dialect: has no trait 'mondays'; the traits, to be joined by commas, are: other_columns" in (
        capsys.readouterr().err
    )
