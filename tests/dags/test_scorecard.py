"""The scorecard: its figures, its months, and a page that anybody can open, whatever teams are called."""

from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from sei_provider.lake import read_table
from sei_provider.sandbox.control import SandboxControl
from tests.operators.conftest import Task, publish

REPORTS = {
    "productivity": "productivity_team_monthly",
    "sprint": "sprint_team_monthly",
    "business_alignment": "business_alignment_monthly",
    "efficiency": "efficiency_monthly",
}


@pytest.fixture
def scorecard(load: Callable[[str], ModuleType]) -> ModuleType:
    return load("sei_scorecard")


@pytest.fixture
def lake(sandbox: SandboxControl, tmp_path: Path) -> Path:
    """Two months of all teams of both trees, parents too."""
    for report in REPORTS:
        task = Task(tmp_path, state=None, task_id=report, report=report, scopes=["1", "2"])
        publish(tmp_path, task.run(), ["1", "2"])
    return tmp_path


def by_hand() -> dict[str, Any]:
    return {"triggering_asset_events": {}}


def card(lake: Path, month: str = "2026-01") -> pd.DataFrame:
    return pd.read_parquet(lake / "scorecard" / f"month={month}" / "data.parquet", partitioning=None)


def test_each_team_has_one_row_with_the_figures_of_all_four_reports(scorecard: ModuleType, lake: Path) -> None:
    scorecard.cards.function(str(lake), **by_hand())
    rows = card(lake).set_index("team_hierarchy")
    for report, columns in (
        ("productivity", ["team", "is_leaf", "team_depth", "pr_merged", "rework_percent"]),
        ("sprint", ["committed_work_delivered_percent", "predictability_delivery_consistency"]),
        ("business_alignment", ["ktlo_story_points"]),
    ):
        table = read_table(lake, REPORTS[report]).to_pandas()
        january = table[table["month"] == "2026-01"].set_index("team_hierarchy").loc[rows.index]
        pd.testing.assert_frame_equal(rows[columns], january[columns])
    efficiency = read_table(lake, REPORTS["efficiency"]).to_pandas()
    january = efficiency[efficiency["month"] == "2026-01"].set_index("team_hierarchy").loc[rows.index]
    for figure, column, rating in (
        ("dora_lead_time", "lttc_mean_days", "lttc_rating"),
        ("dora_deployments", "df_deployment_count", "df_rating"),
        ("dora_time_to_restore", "mttr_mean_days", "mttr_rating"),
        ("dora_failure_rate", "cfr_failure_rate_percent", "cfr_rating"),
    ):
        pd.testing.assert_series_equal(rows[figure], january[column], check_names=False)
        assert rows[f"{figure}_rating"].dropna().tolist() == january[rating].dropna().tolist()
    assert rows.index.is_unique
    assert rows["is_leaf"].sum() == 6
    shares = rows.filter(regex="^share_").sum(axis="columns")
    assert shares.drop("Research/Labs/Vacant").to_numpy() == pytest.approx(1.0)


def test_a_team_that_some_tables_lack_has_a_row_too(
    scorecard: ModuleType, load: Callable[[str], ModuleType], lake: Path
) -> None:
    table = read_table(lake, REPORTS["productivity"]).to_pandas()
    productivity = table[table["month"] == "2026-01"]
    only_root = productivity[productivity["team"] == "Research"]
    root = only_root.assign(is_leaf=True, ktlo_story_points=1.0, sprint_commit=2.0)
    rows = load("sei_card.figures").card_of_month(productivity, root, root, root).set_index("team")
    assert len(rows) == len(productivity)
    assert not rows.loc["Research", "is_leaf"], "one table knows its children"
    assert (rows.loc["Research", "sprint_commit"], rows["sprint_commit"].count()) == (2.0, 1)


@pytest.mark.parametrize(
    "context",
    [
        {"partition_key": "2026-02"},
        {"triggering_asset_events": {"a": [SimpleNamespace(extra={"published": [{"month": "2026-02"}]})], "b": []}},
    ],
)
def test_only_the_months_that_were_published_are_made(
    scorecard: ModuleType, lake: Path, context: dict[str, Any]
) -> None:
    assert scorecard.cards.function(str(lake), **context) == [str(lake / "scorecard/month=2026-02/data.parquet")]
    assert not (lake / "scorecard/month=2026-01").exists()


def test_started_by_hand_it_makes_all_of_them(scorecard: ModuleType, lake: Path) -> None:
    assert len(scorecard.cards.function(str(lake), **by_hand())) == 2


def test_before_all_three_tables_are_there_it_waits(
    scorecard: ModuleType, sandbox: SandboxControl, tmp_path: Path
) -> None:
    with pytest.raises(AirflowSkipException, match="no table 'productivity_team_monthly'"):
        scorecard.cards.function(str(tmp_path), **by_hand())
    publish(tmp_path, Task(tmp_path, state=None, report="productivity").run(), ["11", "12", "13"])
    with pytest.raises(AirflowSkipException, match="no table 'sprint_team_monthly'; tables: productivity_team_monthly"):
        scorecard.cards.function(str(tmp_path), partition_key="2026-01")


class Page(HTMLParser):
    """The text of a page, its elements, and every address in it."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "xlink:href", "action"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_shows_every_leaf_team_once_a_section_and_no_parent_among_them(
    scorecard: ModuleType, lake: Path
) -> None:
    scorecard.cards.function(str(lake), **by_hand())
    target = Path(scorecard.page.function(str(lake)))
    html = target.read_text()
    page = Page(html)
    leaves = card(lake, "2026-02").query("is_leaf")
    rows = re.findall(r'<tr><td class="name" title="(.*?)">', html)
    assert sorted(rows) == sorted(leaves["team"])
    assert page.text.count("Platform Team") == 6, "two teams of that name, in three sections"
    total = leaves["pr_merged"].sum()
    assert f"{total:,.0f}".replace(",", "\u202f") in page.text, "the sum over leaf teams only"
    assert "KTLO" in page.text
    assert "Feb 2026" in page.text
    assert page.elements.count("svg") > 20


def test_the_page_needs_nothing_from_elsewhere(scorecard: ModuleType, lake: Path) -> None:
    scorecard.cards.function(str(lake), **by_hand())
    html = Path(scorecard.page.function(str(lake))).read_text()
    page = Page(html)
    assert page.addresses == []
    assert not {"script", "link", "img", "iframe"} & set(page.elements)
    assert "url(" not in html
    assert "@import" not in html


def test_a_team_may_be_called_like_a_script(scorecard: ModuleType, lake: Path) -> None:
    scorecard.cards.function(str(lake), **by_hand())
    target = lake / "scorecard" / "month=2026-02" / "data.parquet"
    evil = card(lake, "2026-02")
    name = '<script>alert("1")</script>'
    evil.loc[evil["team"] == "NA", "team"] = name
    evil.to_parquet(target, index=False)
    page = Page(Path(scorecard.page.function(str(lake))).read_text())
    assert "script" not in page.elements
    assert name in page.text


def test_many_categories_are_shown_as_seven_and_the_others(scorecard: ModuleType, lake: Path) -> None:
    scorecard.cards.function(str(lake), **by_hand())
    target = lake / "scorecard" / "month=2026-02" / "data.parquet"
    many = card(lake, "2026-02")
    for number in range(12):
        many[f"category_{number:02}_story_points"] = 10_000.0 - number
    many.to_parquet(target, index=False)
    html = Path(scorecard.page.function(str(lake))).read_text()
    legend = html[html.index('class="legend"') :]
    legend = legend[: legend.index("</ul>")]
    assert legend.count("<li>") == 8
    assert "category 06" in legend
    assert "category 07" not in legend
    assert "other" in legend
