"""Header, unit and source of a column go with it, from staging to whoever reads the table (CONTRACT row 23)."""

from __future__ import annotations

from io import BytesIO

import pyarrow.parquet as pq
import pytest
from lake_bench import STORES

from sei_provider import lake
from sei_provider.lake.column_metadata import field_metadata
from sei_provider.lake.columns import Column

JAN = "2026-01-01"


def unit(name, report="productivity", mode=None, kind="float64"):
    found = field_metadata(Column(name, name.upper(), kind), report, mode).get(b"sei.unit")
    return None if found is None else found.decode()


def test_contract_23_a_first_comment_is_in_days_in_the_legacy_reports_and_in_hours_in_v2():
    assert unit("time_to_first_comment", "team_report") == "days"
    assert unit("time_to_first_comment", "contributor_report") == "days"
    assert unit("review_time_to_first_comment_hrs_avg") == "hours"


@pytest.mark.parametrize(
    ("report", "name", "said"),
    [
        ("productivity", "pr_cycle_time_days_avg", "days"),
        ("productivity", "coding_days", "days"),
        ("contributor_report", "coding_days", "days per period"),
        ("dora_report", "lead_time_for_changes_p90", "days"),
        ("dora_report", "mean_time_to_restore_mttr", "days"),
        ("dora_report", "change_failure_rate", "percent"),
        ("dora_report", "deployment_frequency", "deployments per period"),
        ("efficiency", "lttc_mean_days", "days"),
        ("time_in_status", "in_progress_hours", "hours"),
        ("productivity", "rework_percent_legacy", "percent"),
        ("productivity", "loc_added", "lines of code"),
        ("sprint", "scope_creep_percent", "percent"),
        ("business_alignment", "ktlo_story_points", "story points"),
        ("business_alignment", "ktlo_tickets", "tickets"),
        ("time_in_status", "in_review_hours", "hours"),
    ],
)
def test_a_unit_is_what_the_document_or_the_name_says(report, name, said):
    assert unit(name, report) == said


@pytest.mark.parametrize(
    ("report", "name"),
    [
        ("productivity", "avg_time_to_complete"),  # in days in the legacy report, and V2 does not say
        ("productivity", "pr_missing_tickets"),
        ("sprint", "sprint_velocity"),
        ("sprint", "churn_rate"),
        ("team_report", "lead_time_for_changes_mean"),
    ],
)
def test_what_nobody_documents_has_no_unit(report, name):
    assert unit(name, report) is None
    assert b"sei.source" in field_metadata(Column(name, name, "float64"), report)


def test_a_sprints_work_is_in_what_the_table_is_computed_in():
    assert unit("sprint_commit", "sprint", "STORY_POINTS") == "story points"
    assert unit("sprint_commit", "sprint", "TICKETS") == "tickets"
    assert unit("sprint_commit", "sprint") is None


def test_text_has_no_unit():
    assert unit("coding_days", kind="string") is None


@pytest.mark.parametrize("store", STORES, indirect=True)
def test_header_unit_and_source_are_in_the_object_and_the_table(bench):
    bench.header = "Team,Start_Date,Review_Time_To_First_Comment_Hrs_Avg"
    bench.metrics = frozenset({"REVIEW_TIME_TO_FIRST_COMMENT_HRS_AVG"})
    bench.publish(bench.stage("team:1", [f"A,{JAN},4"], age=1))
    schemas = [pq.read_schema(BytesIO(data)) for data in bench.objects().values()]
    schemas.append(lake.read_table(bench.lake, bench.table).schema)
    assert len(schemas) == 2
    for schema in schemas:
        metadata = schema.field("review_time_to_first_comment_hrs_avg").metadata
        assert metadata[b"sei.header"] == b"Review_Time_To_First_Comment_Hrs_Avg"
        assert metadata[b"sei.unit"] == b"hours"
        assert metadata[b"sei.source"] == b"productivity (SEI's documents 001, 002)"
        assert b"sei.unit" not in schema.field("team").metadata
