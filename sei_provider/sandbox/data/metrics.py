"""Made-up values of metrics that never change: a hash of team, developer, first and last day, and metric.

A period that the date range clips has other values than the whole one, so that dates widened wrongly are noticed.
"""

from __future__ import annotations

from functools import cache
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import date

    from sei_provider.sandbox.data.organisation import Developer, Team

CATEGORIES = (
    "KTLO",
    "New_Capability",
    "Quality_Improvements",
    "Security_and_Compliance",
    "Customer_Requests",
    "Developer_Experience",
    "Documentation_and_Training",
    "Infrastructure_Modernization",
    "Performance_and_Scalability",
    "Reliability_and_Incident_Response",
    "Research_and_Prototypes",
    "Technical_Debt_Reduction",
)
"""Investment categories; with both units of each, the header of an export is well over 512 bytes long."""
UNCATEGORIZED = "Uncategorized"


def developer_metrics(
    team: Team, developer: Developer, start: date, end: date, metrics: Sequence[str], variant: str
) -> list[str]:
    """Return one cell per metric of one developer; a `variant`, such as the aggregation, gives other values."""
    seed = _seed(team.id, developer.number, start, end, variant)
    return _cells(metrics, [_value(seed, metric) for metric in metrics])


def team_metrics(team: Team, start: date, end: date, metrics: Sequence[str], variant: str) -> list[str]:
    """Return one cell per metric of one team; an inner team's are the sums or means of its children's.

    A team without developers has no values.
    """

    def of_leaf(leaf: Team) -> list[int | None]:
        seed = _seed(leaf.id, "team", start, end, variant)
        return [_value(seed, metric) if leaf.developers else None for metric in metrics]

    return _cells(metrics, _together(team, metrics, of_leaf))


def category_metrics(team: Team, start: date, end: date, columns: Sequence[tuple[str, str]]) -> list[str]:
    """Return one cell per (category, unit) of one team, empty where it has no work in the category; summed as above."""
    names = [f"{category}_{unit}" for category, unit in columns]

    def of_leaf(leaf: Team) -> list[int | None]:
        seed, present = _seed(leaf.id, "categories", start, end), categories(leaf, start)
        return [
            _value(seed, name) if category in present else None
            for name, (category, _) in zip(names, columns, strict=True)
        ]

    return _cells(names, _together(team, names, of_leaf))


def categories(team: Team, start: date) -> set[str]:
    """Return the categories that a team has work in: they differ by group and by month, as customers' do."""
    if not team.developers:
        return set()
    if team.group < 0:
        return set().union(*(categories(child, start) for child in team.children))
    absent = {
        "Quality_Improvements": (team.group + start.month) % 3 == 0,
        "Security_and_Compliance": (team.group + start.month) % 4 == 1,
        UNCATEGORIZED: (team.group * 5 + start.month) % 7 == 0,
    }
    return {category for category in (*CATEGORIES, UNCATEGORIZED) if not absent.get(category)}


# Words in a metric's name by which a parent's value is the mean of its children's, not their sum.
_MEANS = (
    *("AVG", "PERCENT", "RATE", "VELOCITY", "PREDICTABILITY", "CODING_DAYS", "_VS_"),
    *("_PER_", "TIME_TO", "WORK_TYPE"),  # of the legacy reports
)
_MASK = (1 << 64) - 1


def _together(
    team: Team, metrics: Sequence[str], of_leaf: Callable[[Team], Sequence[int | None]]
) -> Sequence[int | None]:
    """Return the values of a leaf team, or of all below an inner team together, in hundredths."""
    if not team.children:
        return of_leaf(team)
    by_child = [_together(child, metrics, of_leaf) for child in team.children]
    return [_sum_or_mean(metric, values) for metric, values in zip(metrics, zip(*by_child, strict=True), strict=True)]


def _sum_or_mean(metric: str, values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    if not known:
        return None
    return sum(known) // len(known) if _is_mean(metric) else sum(known)


def _value(seed: int, metric: str) -> int | None:
    """Return a value in hundredths, or None for an empty cell, which about one cell in thirty is."""
    mixed = (seed ^ _metric_seed(metric)) * 0x9E3779B97F4A7C15 & _MASK
    mixed ^= mixed >> 29
    if mixed % 31 == 0:
        return None
    if "PERCENT" in metric:
        return mixed % 10_001
    return mixed % 2_000 if _is_mean(metric) else mixed % 400 * 100


def _cells(metrics: Sequence[str], values: Sequence[int | None]) -> list[str]:
    return [
        "" if value is None else f"{value / 100:.2f}" if _is_mean(metric) else str(value // 100)
        for metric, value in zip(metrics, values, strict=True)
    ]


@cache
def _is_mean(metric: str) -> bool:
    return any(word in metric for word in _MEANS)


def _seed(*parts: object) -> int:
    return int.from_bytes(blake2b("\0".join(map(str, parts)).encode(), digest_size=8).digest())


_metric_seed = cache(_seed)
