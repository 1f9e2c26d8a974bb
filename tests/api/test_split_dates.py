"""Splitting a range: no day lost, none twice, and no period cut."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sei_provider.api.periods import period_of, split_dates

DAYS = st.dates(date(2020, 1, 1), date(2030, 12, 31))
GRANULARITIES = st.sampled_from(["daily", "weekly", "WEEKLY", "monthly", "MONTHLY", "quarterly"])
WEEK_STARTS = st.integers(0, 6)


def periods(start: date, end: date, granularity: str, week_starts_on: int) -> list[tuple[date, date]]:
    days = (start + timedelta(days=number) for number in range((end - start).days + 1))
    return list(dict.fromkeys(period_of(day, granularity, week_starts_on=week_starts_on) for day in days))


@settings(deadline=None)
@given(DAYS, st.integers(0, 800), GRANULARITIES, WEEK_STARTS)
def test_two_halves_are_the_whole_and_meet_at_a_border(
    start: date, length: int, granularity: str, week_starts_on: int
) -> None:
    end = start + timedelta(days=length)
    whole = periods(start, end, granularity, week_starts_on)
    halves = split_dates(start, end, granularity, week_starts_on=week_starts_on)
    if halves is None:
        assert len(whole) == 1
        return
    (first, middle), (after, last) = halves
    assert (first, last) == (start, end)
    assert after == middle + timedelta(days=1)
    assert first <= middle
    assert after <= last
    assert period_of(after, granularity, week_starts_on=week_starts_on)[0] == after
    counts = [len(periods(*half, granularity, week_starts_on)) for half in halves]
    assert sum(counts) == len(whole)
    assert 0 <= counts[1] - counts[0] <= 1


@settings(deadline=None)
@given(DAYS, st.integers(0, 400), GRANULARITIES, WEEK_STARTS)
def test_halving_again_and_again_ends_with_every_period_by_itself(
    start: date, length: int, granularity: str, week_starts_on: int
) -> None:
    end = start + timedelta(days=length)

    def pieces(first: date, last: date) -> list[tuple[date, date]]:
        halves = split_dates(first, last, granularity, week_starts_on=week_starts_on)
        return [(first, last)] if halves is None else [piece for half in halves for piece in pieces(*half)]

    expected = [(max(first, start), min(last, end)) for first, last in periods(start, end, granularity, week_starts_on)]
    assert pieces(start, end) == expected


@pytest.mark.parametrize("granularity", ["SPRINT", "sprint", ""])
def test_a_range_without_known_borders_is_not_halved(granularity: str) -> None:
    assert split_dates(date(2026, 1, 1), date(2026, 12, 31), granularity) is None


def test_three_months_are_halved_after_the_first() -> None:
    halves = split_dates(date(2026, 1, 1), date(2026, 3, 17), "monthly")
    assert halves == ((date(2026, 1, 1), date(2026, 1, 31)), (date(2026, 2, 1), date(2026, 3, 17)))
