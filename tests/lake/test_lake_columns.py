"""Types decided once, columns that come and go, and one definition per table (DESIGN, decisions 11, 15 and 16)."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from lake_bench import at, team_row

from sei_provider import lake
from sei_provider.lake import SchemaError, TableDefinitionError, UnknownColumnError, UnknownTableError
from sei_provider.lake.tables.hierarchy import depths_and_leaves

JAN = "2026-01-01"


def remembered(bench):
    return json.loads((bench.lake / "_schemas" / f"{bench.table}.json").read_text())


def note(bench, cell, age, scope="team:1"):
    return bench.export(scope, [team_row(f"Eng/{scope[5:]}", JAN, note=cell)], age=age)


def test_an_undeclared_column_is_a_number_if_every_value_is_one(bench):
    note(bench, "1.5", 1)
    assert bench.rows("note") == [(1.5,)]
    assert remembered(bench)["columns"]["note"] == {"type": "float64", "header": "Note"}


def test_an_undeclared_column_is_text_if_any_value_is_none(bench):
    bench.publish(
        bench.stage("team:1", [team_row("Eng/1", JAN, note="7")], age=1),
        bench.stage("team:2", [team_row("Eng/2", JAN, note="7%")], age=2),
    )
    assert bench.rows("note") == [("7%",), ("7",)]


@pytest.mark.parametrize("header", ["Lead Time Rating", "Sprint ID", "id", "Board Name"])
def test_ratings_and_ids_are_text_even_if_they_look_like_numbers(bench, header):
    bench.header = bench.header.replace("Note", header)
    note(bench, "007", 1)
    (column,) = {"lead_time_rating", "sprint_id", "id", "board_name"} & set(remembered(bench)["columns"])
    assert bench.rows(column) == [("007",)]


def test_contract_22_a_dash_in_a_rating_or_a_number_is_null(bench):
    bench.header = bench.header.replace("Note", "Lead Time,Lead Time Rating")
    bench.export("team:1", [team_row("Eng/1", JAN, note="—,—"), team_row("Eng/2", JAN, note="3,Low")], age=1)
    assert bench.rows("team", "lead_time", "lead_time_rating") == [("1", None, None), ("2", 3.0, "Low")]


@pytest.mark.parametrize("empty", ["", "—"])
def test_an_empty_column_stays_undecided_until_a_value_comes(bench, empty):
    note(bench, empty, 1)
    assert remembered(bench)["columns"]["note"]["type"] is None
    assert bench.rows("note") == [(None,)]
    bench.export("team:2", [team_row("Eng/2", "2026-02-01", note="3")], age=2, start="2026-02-01", end="2026-02-28")
    assert bench.rows("note", "month") == [(3.0, "2026-02"), (None, "2026-01")]


def test_a_type_once_decided_stays_and_what_does_not_fit_is_an_error(bench):
    note(bench, "3", 1)
    bad = bench.stage("team:2", [team_row("Eng/2", JAN, note="Developer 12-03")], age=2)
    with pytest.raises(SchemaError, match=r"column 'note' of table \w+ is a number.*exp_2 of team:2.*table=") as caught:
        bench.publish(bad)
    assert "12-03" not in str(caught.value)
    assert bench.rows("note") == [(3.0,)]


def test_of_six_slices_the_one_that_does_not_fit_is_told_and_five_land(bench):
    note(bench, "3", 1)
    staged = [bench.stage(f"team:{n}", [team_row(f"Eng/{n}", JAN, n, note="4")], age=n) for n in range(2, 7)]
    unfit = bench.stage("team:7", [team_row("Eng/7", JAN, note="n/a")], age=7)
    refused = []
    lake.publish(bench.lake, [*staged, unfit], published_at=at(900), on_refused=lambda *told: refused.append(told))
    assert bench.rows("team", "note") == [("1", 3.0), *((f"{n}", 4.0) for n in range(2, 7))]
    ((manifest, error),) = refused
    assert (manifest, type(error)) == (unfit, SchemaError)
    assert bench.path(unfit).exists(), "it stays staged"
    assert not any(bench.path(other).exists() for other in staged)


def test_a_slice_that_does_not_fit_gives_the_table_neither_columns_nor_types(bench):
    note(bench, "3", 1)
    bench.header += ",Mood,Level"
    unfit = bench.stage("team:2", [team_row("Eng/2", JAN, note="n/a") + ",good,x"], age=2)
    bench.header = bench.header.replace(",Mood", "")
    fits = bench.stage("team:3", [team_row("Eng/3", JAN, note="4") + ",7"], age=3)
    with pytest.raises(SchemaError, match="column 'note'"):
        bench.publish(unfit, fits)
    assert bench.rows("team", "note", "level") == [("1", 3.0, None), ("3", 4.0, 7.0)]
    assert "mood" not in remembered(bench)["columns"]


def test_another_definition_is_refused_by_itself(bench):
    first = bench.stage("team:1", [team_row("Eng/1", JAN)], age=1)
    bench.definition = {"aggregation": "p90"}
    other = bench.stage("team:2", [team_row("Eng/2", JAN)], age=2)
    with pytest.raises(TableDefinitionError, match="aggregation"):
        bench.publish(other, first)
    assert bench.owners() == {"Eng/1": ["exp_1"]}


def test_text_stays_text_when_numbers_come(bench):
    note(bench, "many", 1)
    note(bench, "3", 2)
    assert bench.rows("note") == [("3",)]


def test_a_new_column_is_added_and_old_rows_are_null(bench):
    bench.export("team:1", [team_row("Eng/1", JAN)], age=1)
    bench.header += ",CODING_DAYS"
    bench.export("team:2", [team_row("Eng/2", JAN, end="") + ",2.5"], age=2)
    assert bench.rows("team", "coding_days") == [("1", None), ("2", 2.5)]


def test_a_column_that_is_missing_later_is_null(bench):
    note(bench, "3", 1)
    bench.header = bench.header.removesuffix(",Note")
    bench.export("team:2", [team_row("Eng/2", JAN).removesuffix(",")], age=2)
    assert bench.rows("team", "note") == [("1", 3.0), ("2", None)]


def test_business_alignments_categories_come_and_go(bench):
    bench.report, bench.table, bench.metrics = "business_alignment", "business_alignment_monthly", frozenset()
    base = "Granularity,Team,Team_Hierarchy,Start_Date,End_Date"
    bench.header = f"{base},KTLO_story_points,Run_tickets"
    bench.export("team:1", ["Jan 2026,A,Eng/A,2026-01-01,2026-01-31,120,"], age=1)
    bench.header = f"{base},Security_story_points"
    february = {"start": "2026-02-01", "end": "2026-02-28"}
    bench.export("team:1", ["Feb 2026,A,Eng/A,2026-02-01,2026-02-28,19"], age=2, **february)
    assert bench.rows("granularity", "ktlo_story_points", "security_story_points", "run_tickets") == [
        ("Feb 2026", None, 19.0, None),
        ("Jan 2026", 120.0, None, None),
    ]


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("aggregation", "mean", "p90"),
        ("computation_mode", "TICKETS", "STORY_POINTS"),
        ("work_filter", None, "BUGS"),
    ],
)
def test_another_meaning_is_refused_and_names_the_way_out(bench, name, before, after):
    bench.definition = {"aggregation": "mean", name: before}
    bench.export("team:1", [team_row("Eng/1", JAN)], age=1)
    bench.definition = {"aggregation": "mean", name: after}
    other = bench.stage("team:1", [team_row("Eng/1", JAN)], age=2)
    with pytest.raises(TableDefinitionError, match=rf"{name}={before!r}.*{name}={after!r}.*table="):
        bench.publish(other)
    assert bench.owners() == {"Eng/1": ["exp_1"]}


def test_another_report_or_granularity_is_another_meaning(bench):
    bench.export("team:1", [team_row("Eng/1", JAN)], age=1)
    bench.granularity = "weekly"
    with pytest.raises(TableDefinitionError, match="granularity='monthly'"):
        bench.export("team:1", [team_row("Eng/1", JAN)], age=2)


def of_project(bench, project, age, account="acme-1"):
    origin = {"account": account, "organization": "acme", "project": project}
    slice_ = replace(bench.slice(f"team:{age}"), origin=origin)
    body = f"{bench.header}\n{team_row(f'Eng/{age}', JAN)}\n".encode()
    return bench.stage_bytes(body, slice_, age=age)


def test_two_projects_cannot_share_a_table_and_an_unknown_part_matches(bench):
    bench.export("team:0", [team_row("Eng/0", JAN)], age=0)  # an older lake tells nothing
    bench.publish(of_project(bench, "web", 1, account=None))
    bench.publish(of_project(bench, "web", 2))
    bench.export("team:3", [team_row("Eng/3", JAN)], age=3)
    known = remembered(bench)["meaning"]
    assert (known["account"], known["organization"], known["project"]) == ("acme-1", "acme", "web")
    for other in (of_project(bench, "shop", 4), of_project(bench, "web", 5, account="acme-2")):
        with pytest.raises(TableDefinitionError, match=r"(project='shop'|account='acme-2').*table="):
            bench.publish(other)
    assert [row[0] for row in bench.rows("team")] == ["0", "1", "2", "3"]


def test_metrics_may_grow_but_not_shrink(bench):
    bench.definition = {"metric_groups": ["velocity"], "metrics": None}
    bench.export("team:1", [team_row("Eng/1", JAN)], age=1)
    bench.definition = {"metric_groups": ["velocity", "quality"], "metrics": None}
    bench.export("team:1", [team_row("Eng/1", JAN)], age=2)
    bench.definition = {"metric_groups": ["velocity"], "metrics": None}
    with pytest.raises(TableDefinitionError, match=r"missing: quality\).*table="):
        bench.export("team:1", [team_row("Eng/1", JAN)], age=3)
    bench.definition = {"metric_groups": None, "metrics": None}
    bench.export("team:1", [team_row("Eng/1", JAN)], age=4)
    bench.definition = {"metric_groups": ["velocity", "quality"], "metrics": None}
    with pytest.raises(TableDefinitionError, match="missing: all metrics"):
        bench.export("team:1", [team_row("Eng/1", JAN)], age=5)


def test_an_unknown_table_is_an_error_that_names_those_there_are(bench):
    with pytest.raises(UnknownTableError, match="none yet"):
        lake.read_table(bench.lake, "productivity")
    bench.export("team:1", [team_row("Eng/1", JAN)], age=1)
    with pytest.raises(UnknownTableError, match="productivity_team_monthly"):
        lake.ledger(bench.lake, "productivity")


def test_read_table_picks_days_and_columns(bench):
    bench.granularity = "weekly"
    days = ["2026-01-05", "2026-01-26", "2026-02-02"]
    bench.export("team:1", [team_row("Eng/1", day) for day in days], age=1, end="2026-02-08")

    def picked(**asked):
        table = lake.read_table(bench.lake, bench.table, columns=["month", "start_date"], **asked)
        assert table.schema.names == ["month", "start_date"]
        return [f"{day}" for day in table["start_date"].to_pylist()]

    first, last = bench.slice(start=days[1]).start, bench.slice(end=days[1]).end
    assert picked() == days
    assert picked(start=first) == days[1:]
    assert picked(end=last) == days[:2]
    assert picked(start=first, end=last) == [days[1]]
    with pytest.raises(UnknownColumnError, match=r"no column teem; it has team,"):
        lake.read_table(bench.lake, bench.table, columns=["teem"])


def test_depth_and_leaf_are_told_over_all_teams_of_the_month(bench):
    bench.publish(
        bench.stage("team:1", [team_row("Eng", JAN)], age=1),
        bench.stage("team:2", [team_row("Eng/A/B", JAN)], age=2),
    )
    assert bench.rows("team_hierarchy", "team_depth", "is_leaf") == [("Eng", 0, False), ("Eng/A/B", 2, True)]
    bench.export("team:2", [], age=3)
    assert bench.rows("team_hierarchy", "team_depth", "is_leaf") == [("Eng", 0, True)]


def test_a_slash_in_a_teams_name_is_no_level():
    teams = [("Eng", "Eng"), ("CI/CD", "Eng/CI/CD"), ("Tools", "Eng/CI/CD/Tools"), ("A/B", "Eng/CI/CD/A/B")]
    assert depths_and_leaves(teams) == {
        ("Eng", "Eng"): (0, False),
        ("CI/CD", "Eng/CI/CD"): (1, False),
        ("Tools", "Eng/CI/CD/Tools"): (2, True),
        ("A/B", "Eng/CI/CD/A/B"): (2, True),
    }


def test_a_name_that_begins_like_another_is_not_below_it():
    assert depths_and_leaves([("A", "Eng/A"), ("AB", "Eng/AB")])["A", "Eng/A"] == (1, True)
