"""The content of the scorecard's HTML page, which needs no other file. Its looks are in `page.html`.

Everything is of leaf teams, since a parent's figures hold its children's already.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, FileSystemLoader

from sei_card.figures import KEY, POINTS, RATING

DELIVERED = "committed_work_delivered_percent"
CATEGORIES = 7
"""Number of categories with a colour of their own; the smaller ones are shown as one."""
OTHER = "other"

Values = Sequence[float | None]


class Metric(NamedTuple):
    """One figure of a team, and how it is written."""

    column: str
    title: str
    unit: str
    digits: int
    together: Callable[[pd.Series[float]], float]
    """The figures of all leaf teams together."""


def _median(figures: pd.Series[float]) -> float:
    return float(figures.median())


def _sum(figures: pd.Series[float]) -> float:
    return float(figures.sum(min_count=1))


DORA = [
    ("dora_lead_time", "Lead time for changes", "days", 1),
    ("dora_deployments", "Deployments", "", 0),
    ("dora_time_to_restore", "Time to restore", "days", 1),
    ("dora_failure_rate", "Change failure rate", "%", 0),
]
"""The four DORA figures: column, title, unit, digits."""

METRICS = [
    Metric("pr_merged", "Pull requests merged", "", 0, _sum),
    Metric("pr_cycle_time_days_avg", "PR cycle time", "days", 1, _median),
    Metric(DELIVERED, "Commitment delivered", "%", 0, _median),
    Metric("rework_percent", "Rework", "%", 0, _median),
]


def page_of(card: pd.DataFrame, headers: Mapping[str, str]) -> str:
    """The page for all months of the card, whose rows are `card_of_month`'s with their `month` (`2026-01`).

    `headers` says what SEI calls a column.
    """
    leaves = card[card["is_leaf"].astype(bool)]
    periods = pd.period_range(card["month"].min(), card["month"].max(), freq="M")
    months = [period.strftime("%Y-%m") for period in periods]
    latest = leaves[leaves["month"] == months[-1]]
    until = latest["end_date"].max()
    categories = _categories(leaves)
    names = dict(zip(card[KEY], card["team"], strict=True))
    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True)
    return environment.get_template("page.html").render(
        months=[period.strftime("%b %Y") for period in periods],
        until=until,
        whole=until == periods[-1].end_time.date(),
        teams=len(latest),
        metrics=[_trend(metric, leaves, months) for metric in METRICS],
        categories=[_title(headers.get(name + POINTS, name)) for name in categories],
        mix=[_mix(leaves[leaves["month"] == month], categories) for month in months],
        dora=list(_dora(latest, names)),
        dora_titles=[(title, unit) for _, title, unit, _ in DORA],
        groups=list(_groups(leaves, latest, months, categories)),
        ranges=sorted(_ranges(leaves, latest, names), key=lambda row: (-(row["last"] or 0.0), row["path"])),
        polylines=polylines,
        number=number,
    )


def polylines(values: Values, width: float, height: float, top: float) -> list[str]:
    """The points of lines through values, from 0 at the bottom to `top`, one for each stretch without a gap."""
    step = width / max(len(values) - 1, 1)
    lines: list[list[str]] = [[]]
    for place, value in enumerate(values):
        if value is None:
            lines.append([])
        else:
            lines[-1].append(f"{place * step:.1f},{height - height * value / (top or 1.0):.1f}")
    return [" ".join(line) for line in lines if line]


def number(value: float | None, digits: int = 0) -> str:
    """A number as people read it, with thin spaces between thousands; a dash for none."""
    return "–" if value is None else f"{value:,.{digits}f}".replace(",", "\u202f")


def _trend(metric: Metric, leaves: pd.DataFrame, months: Sequence[str]) -> dict[str, Any]:
    by_month = leaves.groupby("month")[metric.column].apply(metric.together)
    values = _plain(by_month.reindex(months))
    before = values[-2] if len(values) > 1 else None
    return {
        "metric": metric,
        "how": "all leaf teams" if metric.together is _sum else "median of leaf teams",
        "values": values,
        "last": values[-1],
        "change": None if before is None or values[-1] is None else values[-1] - before,
    }


def _parent_of(team: Any) -> str:
    """The hierarchy above the team of a row. A name may hold a slash, so the team's own is taken off as a whole."""
    return str(team[KEY]).removesuffix(str(team["team"])).removesuffix("/")


def _title(header: str) -> str:
    return re.sub(f"{POINTS}$", "", header, flags=re.IGNORECASE).replace("_", " ")


def _categories(leaves: pd.DataFrame) -> list[str]:
    """The categories by their size over all months, the largest first."""
    points = leaves.filter(regex=f"{POINTS}$").sum().sort_values(ascending=False, kind="stable")
    names = [str(name).removesuffix(POINTS) for name, total in points.items() if total > 0]
    return names if len(names) <= CATEGORIES + 1 else [*names[:CATEGORIES], OTHER]


def _mix(leaves: pd.DataFrame, categories: Sequence[str]) -> list[float]:
    """Each category's part of the story points of some leaf teams, 0 to 1."""
    points = leaves.filter(regex=f"{POINTS}$").sum()
    total = float(points.sum())
    if not total:
        return []
    parts = [float(points.get(name + POINTS, 0.0)) / total for name in categories]
    if categories and categories[-1] == OTHER:
        parts[-1] = 1.0 - sum(parts[:-1])
    return parts


def _groups(
    leaves: pd.DataFrame, latest: pd.DataFrame, months: Sequence[str], categories: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """The teams of the latest month under their parents, both by name."""
    history = {str(path): rows.set_index("month") for path, rows in leaves.groupby(KEY)}
    parents = latest.apply(_parent_of, axis="columns")
    for parent, teams in latest.groupby(parents):
        rows = []
        for _, team in teams.sort_values("team").iterrows():
            past = history[team[KEY]].reindex(months)
            rows.append(
                {
                    "team": team["team"],
                    "trends": [(metric, _plain(past[metric.column])) for metric in METRICS],
                    "consistency": _plain([team["predictability_delivery_consistency"]])[0],
                    "mix": _mix(teams[teams[KEY] == team[KEY]], categories),
                }
            )
        yield {"parent": parent, "teams": rows}


def _ranges(leaves: pd.DataFrame, latest: pd.DataFrame, names: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The share of its commitment that each team delivered: its minimum and maximum over the months, and its latest.

    `names` are those of all teams by their hierarchies, for the parents.
    """
    by_team = leaves.groupby(KEY)[DELIVERED].agg(["min", "max"])
    for _, team in latest.iterrows():
        least, most = _plain(by_team.loc[team[KEY]])
        yield {
            "team": team["team"],
            "path": team[KEY],
            "parent": names.get(_parent_of(team), ""),
            "least": least,
            "most": most,
            "last": _plain([team[DELIVERED]])[0],
        }


def _dora(latest: pd.DataFrame, names: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The four DORA figures of each leaf team in the latest month with their ratings; none if no team has any."""
    wanted = [name for figure, *_ in DORA for name in (figure, figure + RATING)]
    known = latest.reindex(columns=[*latest.columns, *(name for name in wanted if name not in latest)])
    if known[wanted].isna().all(axis=None):
        return
    for _, team in known.sort_values(KEY).iterrows():
        figures = [
            (number(_plain([team[name]])[0], digits), "" if pd.isna(team[name + RATING]) else team[name + RATING])
            for name, _, _, digits in DORA
        ]
        yield {"team": team["team"], "path": team[KEY], "parent": names.get(_parent_of(team), ""), "figures": figures}


def _plain(figures: Iterable[Any]) -> list[float | None]:
    return [None if pd.isna(figure) else float(figure) for figure in figures]
