"""Any sequence of exports leaves the rows that a model of all exports ever published says it should.

The model keeps every row and every slice, and checks for each row whether a newer slice supersedes it. It shares no
code with the merge, prunes no ledger, and knows months only where the rule itself is per month.
"""

from __future__ import annotations

import calendar
import tempfile
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lake_bench import Bench, team_row

from tests.examples import examples

PATHS = ["Eng", "Eng/A", "Eng/A/X", "Eng/B"]
FIRST = date(2025, 12, 29)
WEEKS = [FIRST + timedelta(days=7 * number) for number in range(8)]
MONTHS = [date(2025, 12, 1), date(2026, 1, 1), date(2026, 2, 1)]

exports = st.builds(
    lambda scope, ends, rows: (scope, min(ends), max(ends), sorted(rows)),
    scope=st.sampled_from(["team:1", "team:2", "org:Eng"]),
    ends=st.tuples(st.integers(0, 7), st.integers(0, 7)),
    rows=st.one_of(st.just([]), st.lists(st.tuples(st.sampled_from(PATHS), st.integers(0, 7)), max_size=6)),
)
# Each number is an age. Slices published out of that order are late.
histories = st.lists(exports, min_size=1, max_size=7).flatmap(
    lambda made: st.tuples(
        st.just(made), st.permutations(range(len(made))), st.lists(st.booleans(), min_size=7, max_size=7)
    )
)


class Model:
    """Every slice that was ever published."""

    def __init__(self):
        self.slices = []

    def publish(self, batch):
        for new in sorted(batch, key=lambda slice_: slice_.age):
            new.tombstones = {month: self._gone(new, month) for month in MONTHS}
            self.slices.append(new)

    def _gone(self, new, month):
        last_day = month.replace(day=calendar.monthrange(month.year, month.month)[1])

        def meets(old):
            days = max(old.start, new.start, month), min(old.end, new.end, last_day)
            return old.scope == new.scope and days[0] <= days[1]

        before = sorted((old for old in self.slices if meets(old)), key=lambda old: old.age)
        if not before or before[-1].age > new.age:
            return set()
        return (before[-1].paths or before[-1].tombstones[month]) - new.paths

    def rows(self):
        left = []
        for own in self.slices:
            for path, day in own.rows:
                month = day.replace(day=1)
                hidden = any(
                    other.start <= day <= other.end
                    and (other.scope == own.scope or path in other.paths or path in other.tombstones[month])
                    for other in self.slices
                    if other.age > own.age
                )
                if not hidden:
                    left.append((path, day, f"exp_{own.age}"))
        return sorted(left)


@given(histories)
@settings(
    max_examples=examples(50),
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
def test_any_sequence_of_exports_leaves_the_rows_of_the_model(history):
    made, order, cuts = history
    model = Model()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), granularity="weekly")
        waiting, manifests = [], []
        for position, age in enumerate(order):
            scope, first, last, picked = made[age]
            rows = [(path, WEEKS[week]) for path, week in picked if first <= week <= last]
            start, end = WEEKS[first], WEEKS[last] + timedelta(days=6)
            waiting.append(
                SimpleNamespace(age=age, scope=scope, start=start, end=end, rows=rows, paths={path for path, _ in rows})
            )
            text = [team_row(path, str(day)) for path, day in rows]
            manifests.append(bench.stage(scope, text, age=age, start=str(start), end=str(end)))
            if cuts[position] or position == len(order) - 1:
                model.publish(waiting)
                bench.publish(*manifests)
                found = sorted(bench.rows("team_hierarchy", "start_date", "_export_id"))
                assert found == model.rows()
                bench.publish(*manifests)  # the staged files are gone, and all of it is published
                assert sorted(bench.rows("team_hierarchy", "start_date", "_export_id")) == found
                waiting, manifests = [], []
