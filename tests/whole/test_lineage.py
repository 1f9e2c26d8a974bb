"""Lineage of a night in a real Airflow, as OpenLineage's provider writes it to a file from each task's process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sei_provider.lake import read_table
from tests.whole.conftest import TEAM_IDS, Whole

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def night(whole: Whole) -> dict[str, Any]:
    lake = whole.new_lake()
    whole.airflow.unpause("traced")
    run_id = whole.airflow.trigger("traced", conf={"lake": lake, "scopes": [*TEAM_IDS[:2], "99999"]})
    assert whole.airflow.wait("traced", run_id, timeout=240) == "failed", "one scope is unknown to SEI"
    text = whole.lineage.read_text(encoding="utf-8")
    ends = [event for event in map(json.loads, text.splitlines()) if event["eventType"] in {"COMPLETE", "FAIL"}]
    return {"lake": lake, "text": text} | {event["job"]["name"]: event for event in ends}


def test_each_task_tells_what_it_read_and_wrote(whole: Whole, night: dict[str, Any]) -> None:
    report = {"namespace": whole.stack.sandbox_url.replace("http:", "sei:")}
    table = {"namespace": "file", "name": f"{night['lake']}/sprint_team_monthly"}
    for task, end, inputs, outputs in (
        ("export", "FAIL", report, None),
        ("publish", "COMPLETE", report, table),
        ("check", "FAIL", table, None),
    ):
        event = night[f"traced.{task}"]
        assert event["eventType"] == end
        for expected, found in ((inputs, event["inputs"]), (outputs, event["outputs"])):
            assert len(found) == (expected is not None), f"{task}: {found}"
            assert all((expected or {}).items() <= each.items() for each in found)


def test_the_facets_name_exports_columns_rows_and_what_is_missing(whole: Whole, night: dict[str, Any]) -> None:
    exports = night["traced.export"]["run"]["facets"]["sei_exports"]
    assert [each["scope"] for each in exports["exports"]] == [f"team:{team}" for team in TEAM_IDS[:2]]
    assert {each["exportId"] for each in exports["exports"]} <= {each["id"] for each in whole.sandbox.exports()}
    assert [each["scope"] for each in exports["failed"]] == ["team:99999"]
    (table,) = night["traced.publish"]["outputs"]
    units = {each["name"]: each.get("description") for each in table["facets"]["schema"]["fields"]}
    assert set(units) == set(read_table(night["lake"], "sprint_team_monthly").schema.names) - {"month"}
    assert units["sprint_commit"].startswith("story points; ")
    assert table["outputFacets"]["outputStatistics"]["rowCount"] == 4
    assert table["facets"]["lifecycleStateChange"]["lifecycleStateChange"] == "CREATE"
    assert night["traced.publish"]["run"]["facets"]["sei_publish"]["missingCount"] == 1
    assert "team:99999" in night["traced.check"]["run"]["facets"]["errorMessage"]["message"]


def test_no_key_is_in_an_event(whole: Whole, night: dict[str, Any]) -> None:
    assert whole.stack.sandbox_key not in night["text"]
    assert "@" not in night["text"].replace("@parity", "")
