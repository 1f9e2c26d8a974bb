"""Efficiency from request to table: what SEI saw, and what landed; and headers that no document tells."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from dev.expected import rows_in, rows_sent
from sei_provider.api import SeiInputError
from sei_provider.lake import read_table
from sei_provider.sandbox.control import SandboxControl
from tests.operators.conftest import Task, publish

TABLE = "efficiency_monthly"


def efficiency(lake: Path, **arguments: Any) -> Task:
    return Task(lake, state=None, **({"report": "efficiency"} | arguments))


def test_efficiency_lands_row_for_row_with_ratings_as_text_and_no_rating_as_null(
    sandbox: SandboxControl, lake: Path
) -> None:
    scopes = ["1", "2"]
    staged = efficiency(lake, scopes=scopes).run()
    result = publish(lake, staged, scopes)
    assert result["missing"] == []
    sent = rows_sent(sandbox, [manifest["export_id"] for manifest in staged])
    landed = rows_in(str(lake), TABLE)
    assert landed == type(sent)({frozenset(item for item in row if item[1] != "—"): n for row, n in sent.items()})
    columns = read_table(str(lake), TABLE).to_pydict()
    assert set(columns["lttc_rating"]) == {"Elite", "High", "Medium", "Low", None}
    assert all(value is None or isinstance(value, float) for value in columns["cfr_failure_rate_percent"])


def test_efficiency_is_polled_by_status_calls_alone(sandbox: SandboxControl, lake: Path) -> None:
    efficiency(lake).run()
    kinds = sandbox.summary()["by_kind"]
    assert kinds == {"create": 3, "status": 3, "download": 3}


def test_each_filter_is_a_table_of_its_own_meaning(sandbox: SandboxControl, lake: Path) -> None:
    publish(lake, efficiency(lake, options={"workCategoryFilter": ["bugs"]}).run(), ["11", "12", "13"])
    result = publish(lake, efficiency(lake, options={"workCategoryFilter": ["ALL"]}).run(), ["11", "12", "13"])
    assert {lack["scope"] for lack in result["missing"]} == {"team:11", "team:12", "team:13"}
    assert "a table has one definition" in result["missing"][0]["error"]


OPTIONS = {"workCategoryFilter": ["BUGS", "FEATURES"]}


@pytest.mark.parametrize(
    "rendered",
    [
        OPTIONS,
        '{"workCategoryFilter": ["BUGS", "FEATURES"]}',
        "{'workCategoryFilter': ['BUGS', 'FEATURES']}",
        {"workCategoryFilter": '["BUGS", "FEATURES"]'},
        {"workCategoryFilter": " ['BUGS', 'FEATURES'] "},
        {"workCategoryFilter": ("FEATURES", "BUGS")},
    ],
)
def test_options_may_be_text_as_templates_render_it(sandbox: SandboxControl, lake: Path, rendered: Any) -> None:
    task = efficiency(lake, scopes=["11"], options="{{ params.filters }}")
    task.operator.options = rendered
    task.run()
    assert [export["body"]["options"]["workCategoryFilter"] for export in sandbox.exports()] == [["BUGS", "FEATURES"]]


@pytest.mark.parametrize("rendered", ["workCategoryFilter", "[1]", "{", {"workCategoryFilter": "[BUGS"}])
def test_text_that_is_no_option_is_refused_before_any_call(sandbox: SandboxControl, lake: Path, rendered: Any) -> None:
    task = efficiency(lake, options="{{ params.filters }}")
    task.operator.options = rendered
    with pytest.raises(Exception, match=r"options must be a mapping|does not take the option"):
        task.run()
    assert sandbox.requests() == []


def test_a_wrong_option_is_an_error_when_the_dag_is_read(lake: Path) -> None:
    for arguments in ({"options": {"workCategoryFilter": "ALL"}}, {"metric_groups": ["lttc"], "metrics": ["X"]}):
        with pytest.raises(SeiInputError):
            efficiency(lake, **arguments)
