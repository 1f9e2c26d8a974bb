"""Ranges are widened to whole periods, and never past the day of a run."""

from __future__ import annotations

from datetime import date

import pytest

from sei_provider.api.errors import SeiInputError
from sei_provider.api.periods import period_of, weekday, whole_periods

LATER = date(2030, 1, 1)


@pytest.mark.parametrize(
    ("granularity", "start", "end", "whole"),
    [
        ("monthly", "2026-02-10", "2026-03-17", ("2026-02-01", "2026-03-31")),
        ("quarterly", "2026-02-10", "2026-02-28", ("2026-01-01", "2026-03-31")),
        ("QUARTERLY", "2025-12-31", "2026-01-01", ("2025-10-01", "2026-03-31")),
        ("weekly", "2026-02-01", "2026-02-28", ("2026-01-26", "2026-03-01")),  # Monday to Sunday
        ("monthly", "2028-02-01", "2028-02-01", ("2028-02-01", "2028-02-29")),
        ("SPRINT", "2026-02-10", "2026-03-17", ("2026-02-10", "2026-03-17")),
    ],
)
def test_a_range_is_widened_to_whole_periods(granularity: str, start: str, end: str, whole: tuple[str, str]) -> None:
    widened = whole_periods(date.fromisoformat(start), date.fromisoformat(end), granularity, not_after=LATER)
    assert tuple(map(str, widened)) == whole


def test_the_end_is_clipped_to_the_day_of_the_run() -> None:
    range_ = whole_periods(date(2026, 2, 1), date(2026, 3, 17), "monthly", not_after=date(2026, 3, 18))
    assert range_ == (date(2026, 2, 1), date(2026, 3, 18))


def test_weeks_start_on_the_day_the_connection_names() -> None:
    range_ = whole_periods(
        date(2026, 2, 4), date(2026, 2, 4), "weekly", not_after=LATER, week_starts_on=weekday("Sunday")
    )
    assert range_ == (date(2026, 2, 1), date(2026, 2, 7))


def test_a_day_named_wrongly_is_refused_naming_the_days() -> None:
    with pytest.raises(SeiInputError, match=r"no weekday is called 'Caturday'.*monday, tuesday"):
        weekday("Caturday")


def test_a_range_after_the_run_is_refused() -> None:
    with pytest.raises(SeiInputError, match="lies entirely after 2026-03-18"):
        whole_periods(date(2026, 4, 1), date(2026, 4, 30), "monthly", not_after=date(2026, 3, 18))


def test_a_range_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(SeiInputError, match="ends before it starts"):
        whole_periods(date(2026, 4, 2), date(2026, 4, 1), "monthly", not_after=LATER)


def test_every_day_lies_in_its_period() -> None:
    for granularity in ("weekly", "monthly", "quarterly", "sprint"):
        for ordinal in range(date(2026, 1, 1).toordinal(), date(2027, 3, 1).toordinal()):
            day = date.fromordinal(ordinal)
            first, last = period_of(day, granularity)
            assert first <= day <= last
            assert period_of(first, granularity) == period_of(last, granularity) == (first, last)
