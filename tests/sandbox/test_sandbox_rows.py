"""Rows of exports: the teams of the organisation, the periods, and values that never change."""

from __future__ import annotations

from datetime import date
from itertools import pairwise

import pytest

from sei_provider.sandbox.data.organisation import Organisation
from sei_provider.sandbox.data.periods import periods, sprints

REPORTS = ("productivity", "sprint", "business_alignment", "efficiency")


def values(row: dict[str, str]) -> dict[str, str]:
    endings = ("_points", "_tickets", "_Days", "_Count", "_Percent")
    return {name: value for name, value in row.items() if name.isupper() or name.endswith(endings)}


def test_a_team_is_the_same_in_any_organisation_that_has_it() -> None:
    small, large = Organisation(13), Organisation(500)
    for team in small.leaves:
        twin = large.team(team.id)
        assert twin is not None
        assert (twin.name, twin.hierarchy, twin.developers) == (team.name, team.hierarchy, team.developers)
    assert len(large.leaves) == len({team.hierarchy for team in large.leaves}) == 500
    assert len({team.id for team in large.root.walk()}) == sum(1 for _ in large.root.walk())


def test_the_first_eight_teams_have_the_names_that_readers_stumble_over(instant, body_of) -> None:
    rows = instant.rows("business_alignment", body_of("business_alignment", team="10"))
    names = {row["Team"] for row in rows}
    assert {"NA", "null", "Payments, Refunds and Disputes", 'The "Blue" Team', "Équipe Réseau"} <= names
    assert {"iOS/Android", "データ基盤"} <= names
    assert {row["Team_Hierarchy"] for row in rows if row["Team"] == "iOS/Android"} == {
        "Engineering/Platform/iOS/Android"
    }


def test_the_second_tree_is_the_same_in_any_organisation_and_shares_no_id_and_one_name_with_the_first() -> None:
    small, large = Organisation(1), Organisation(500)
    (engineering, research), twin = large.trees, small.trees[1]
    paths = [team.hierarchy for team in research.root.walk()]
    assert paths == [team.hierarchy for team in twin.root.walk()]
    assert paths[-2:] == ["Research/Labs/Vacant", "Research/Field Studies"], "leaves at different depths"
    ids, names = ({(team.id, team.name)[of] for team in engineering.root.walk()} for of in (0, 1))
    assert not ids & {team.id for team in research.root.walk()}
    assert names & {team.name for team in research.root.walk()} == {"Platform Team"}


@pytest.mark.parametrize("report", REPORTS)
def test_a_team_in_which_nobody_works_has_no_figures(report: str, instant, body_of) -> None:
    level = {"metricLevel": "team"} if report in {"productivity", "sprint"} else {}
    rows = instant.rows(report, body_of(report, team="5", **level))
    assert [row["Team"] for row in rows] == ["Vacant"] * 3
    assert not any(value for row in rows for value in values(row).values())
    if report == "productivity":
        assert instant.rows(report, body_of(report, team="5", metricLevel="developer")) == []


@pytest.mark.parametrize("report", REPORTS)
@pytest.mark.parametrize(("team", "teams"), [("11", 1), ("10", 9), ("1", 46)])
def test_an_export_holds_the_team_and_all_teams_below(report: str, team: str, teams: int, instant, body_of) -> None:
    rows = instant.rows(report, body_of(report, team=team))
    expected = {node.hierarchy for node in Organisation(40).team(team).walk()}
    assert len(expected) == teams
    assert {row["Team_Hierarchy"] for row in rows} == expected
    assert {(row["Start_Date"], row["End_Date"]) for row in rows} == {
        ("2026-01-01", "2026-01-31"),
        ("2026-02-01", "2026-02-28"),
        ("2026-03-01", "2026-03-31"),
    }


@pytest.mark.parametrize("report", REPORTS)
def test_a_childs_rows_are_the_same_in_its_own_export_and_in_its_parents(report: str, instant, body_of) -> None:
    def filled(rows: list[dict[str, str]]) -> list[dict[str, str]]:
        # Columns of business alignment differ between exports; what a column holds does not.
        return [{name: value for name, value in row.items() if value} for row in rows]

    own = filled(instant.rows(report, body_of(report, team="12")))
    parents = filled(instant.rows(report, body_of(report, team="10", start="2026-01-01")))
    assert own == [row for row in parents if row["Team_Hierarchy"] == "Engineering/Platform/NA"]


@pytest.mark.parametrize("report", REPORTS)
def test_the_same_request_twice_gives_the_same_bytes(report: str, instant, body_of) -> None:
    body = body_of(report, team="10")
    first, second = (instant.create(report, body).json()["exportId"] for _ in range(2))
    assert first != second
    assert instant.download(report, first).content == instant.download(report, second).content


def test_the_figures_are_the_same_on_every_machine(instant, body_of) -> None:
    (row,) = instant.rows("productivity", body_of("productivity", end="2026-01-31") | {"metricGroups": ["velocity"]})
    assert list(row.values())[5:] == ["8.16", "", "12.85"]


@pytest.mark.parametrize("report", REPORTS)
def test_a_clipped_period_has_clipped_dates_and_other_figures(report: str, instant, body_of) -> None:
    (whole,) = instant.rows(report, body_of(report, end="2026-01-31"))
    (clipped,) = instant.rows(report, body_of(report, end="2026-01-30"))
    assert (clipped["Start_Date"], clipped["End_Date"]) == ("2026-01-01", "2026-01-30")
    assert clipped["Granularity"] == whole["Granularity"] == "Jan 2026"
    assert values(clipped) != values(whole)


@pytest.mark.parametrize("report", ["sprint", "business_alignment"])
def test_a_parents_count_is_the_sum_of_its_childrens(report: str, instant, body_of) -> None:
    rows = instant.rows(report, body_of(report, team="10", end="2026-01-31"))
    column = "SPRINT_COMMIT" if report == "sprint" else "KTLO_tickets"
    parent, *children = rows
    assert int(parent[column]) == sum(int(row[column] or 0) for row in children)


def test_two_people_of_one_name_have_rows_of_their_own(instant, body_of) -> None:
    for team, emails in (("11", 2), ("15", 1)):
        rows = instant.rows(
            "productivity", body_of("productivity", team=team, end="2026-01-31", metricLevel="developer")
        )
        namesakes = [row for row in rows if row["Developer"] == f"Developer {team}-01"]
        assert len(namesakes) == 2
        assert len({row["Developer_Email"] for row in namesakes}) == emails
        assert values(namesakes[0]) != values(namesakes[1])


def test_teams_have_three_to_six_developers_and_inner_teams_their_manager() -> None:
    organisation = Organisation(40)
    assert {len(team.developers) for team in organisation.leaves} == {3, 4, 5, 6}
    assert {len(team.developers) for team in organisation.root.walk() if team.children} == {1}


def test_some_cells_are_empty_and_most_are_not(instant, body_of) -> None:
    rows = instant.rows("productivity", body_of("productivity", team="1", metricLevel="developer"))
    cells = [value for row in rows for value in values(row).values()]
    assert 0.01 < cells.count("") / len(cells) < 0.1


@pytest.mark.parametrize("option", [{"aggregation": "median"}, {"metricLevel": "team", "aggregation": "p90"}])
def test_another_aggregation_gives_other_figures(option: dict[str, str], instant, body_of) -> None:
    level = {"metricLevel": option.get("metricLevel", "team")}
    mean = instant.rows("productivity", body_of("productivity", **level))
    other = instant.rows("productivity", body_of("productivity", **option))
    assert [values(row) for row in mean] != [values(row) for row in other]


def test_columns_of_business_alignment_differ_between_teams_and_months(instant, body_of) -> None:
    def columns(team: str, month: str, **fields: object) -> list[str]:
        body = body_of("business_alignment", team=team, start=f"{month}-01", end=f"{month}-28")
        return list(instant.rows("business_alignment", body | fields)[0])

    assert columns("11", "2026-01") != columns("11", "2026-03")
    assert columns("11", "2026-01") != columns("21", "2026-01")
    only = columns("11", "2026-01", metricGroups=["UNCATEGORIZED"])
    assert only[5:] == ["Uncategorized_story_points", "Uncategorized_tickets"]


def test_the_organisation_has_twelve_categories_in_both_units_and_long_headers(instant, body_of) -> None:
    header = list(instant.rows("business_alignment", body_of("business_alignment", team="1"))[0])
    categories = {name.removesuffix("_tickets") for name in header if name.endswith("_tickets")}
    assert len(categories - {"Uncategorized"}) == 12
    assert {name.removesuffix("_story_points") for name in header if name.endswith("_points")} == categories
    for team in Organisation(40).root.walk():
        for month in ("01", "02", "03"):
            dates = {"start": f"2026-{month}-01", "end": f"2026-{month}-28"}
            (row, *_) = instant.rows("business_alignment", body_of("business_alignment", team=team.id, **dates))
            assert len(",".join(row)) > 700


def test_sprints_that_overlap_the_range_appear_whole(instant, body_of) -> None:
    body = body_of("sprint", start="2026-01-05", end="2026-01-19", granularity="SPRINT")
    rows = instant.rows("sprint", body)
    assert [(row["Sprint"], row["Start_Date"], row["End_Date"]) for row in rows] == [
        ("Sprint 210", "2026-01-05", "2026-01-18"),
        ("Sprint 211", "2026-01-19", "2026-02-01"),
    ]
    assert [sprint.label for sprint in sprints(date(2026, 1, 18), date(2026, 1, 18))] == ["Sprint 210"]


@pytest.mark.parametrize(
    ("granularity", "labels"),
    [
        ("weekly", ["Week of 2025-12-29", "Week of 2026-01-05", "Week of 2026-01-12"]),
        ("MONTHLY", ["Jan 2026"]),
        ("quarterly", ["Q1 2026"]),
    ],
)
def test_periods_are_called_by_week_month_or_quarter(granularity: str, labels: list[str]) -> None:
    found = periods(granularity, date(2026, 1, 1), date(2026, 1, 14))
    assert [period.label for period in found] == labels
    assert found[0].start == date(2026, 1, 1)
    assert found[-1].end == date(2026, 1, 14)


def test_periods_cover_a_year_without_gap_or_overlap() -> None:
    for granularity, count in (("weekly", 53), ("monthly", 12), ("quarterly", 4)):
        found = periods(granularity, date(2025, 1, 1), date(2025, 12, 31))
        assert len(found) == count
        assert all((after.start - before.end).days == 1 for before, after in pairwise(found))
