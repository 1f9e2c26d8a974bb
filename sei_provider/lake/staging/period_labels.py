"""Dates of rows that tell their period by a label alone: read where it is certain, taken from the range of one period.

Only the label of a month is documented, `Jan 2026` (CONTRACT 1a); no other is read, because a wrong date is worse than
another export.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from sei_provider.lake.arrow_values import to_array
from sei_provider.lake.errors import CsvError, LabelError
from sei_provider.lake.header_words import is_plain_header
from sei_provider.lake.model import Slice
from sei_provider.lake.periods import period_end

_MONTH = re.compile(r"([A-Za-z]{3}) ([0-9]{4})")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


def read_month(label: str) -> date | None:
    """Return the first day of the month that a label such as `Jan 2026` names for certain; None for any other label."""
    found = _MONTH.fullmatch(label)
    if not found or found[1].lower() not in _MONTHS or found[2] == "0000":
        return None
    return date(int(found[2]), _MONTHS.index(found[1].lower()) + 1, 1)


class PeriodLabels:
    """Gives dates to the rows of one export, added in pieces. Does nothing for rows that have a first day."""

    def __init__(self, slice_: Slice) -> None:
        self._slice = slice_
        self._one_label = slice_.level != "sprint"
        """A sprint's rows may be labelled by the sprint, so there may be many labels in a period."""
        self._reads = slice_.granularity == "monthly" and slice_.level != "sprint"
        self._seen: set[str] = set()

    def dates(self, arrays: Mapping[str, pa.Array]) -> dict[str, pa.Array]:
        """Return the columns `start_date` and `end_date` of a piece.

        Raises `LabelError` if the range holds several periods and a label cannot be read for certain, `CsvError` if a
        range of one period comes with labels of others.
        """
        count = len(arrays["team"])
        none = pa.nulls(count, pa.date32())
        starts, ends = arrays.get("start_date", none), arrays.get("end_date", none)
        if not starts.null_count:
            return {"start_date": starts, "end_date": ends}
        labels = arrays.get("granularity", pa.nulls(count, pa.string()))
        undated = labels.filter(pc.is_null(starts))
        periods = {label: self._period(label) for label in pc.unique(undated).to_pylist()}
        read = [periods.get(label, (None, None)) for label in labels.to_pylist()]
        first, last = (to_array([days[side] for days in read], pa.date32()) for side in (0, 1))
        return {
            "start_date": pc.coalesce(starts, first),
            "end_date": pc.if_else(pc.is_null(starts), pc.coalesce(ends, last), ends),
        }

    def _period(self, label: str | None) -> tuple[date, date]:
        slice_ = self._slice
        month = read_month(label) if label is not None and self._reads else None
        if slice_.is_one_period:
            self._check_one_period(label, month)
            return slice_.start, slice_.end
        if month is None or not slice_.start.replace(day=1) <= month <= slice_.end:
            shown = "no label" if label is None else repr(label) if is_plain_header(label) else "a label"
            msg = (
                f"the rows have no dates, and {shown} does not tell for certain which of the periods from "
                f"{slice_.start} to {slice_.end} a row is of: export each {slice_.granularity} period by itself"
            )
            raise LabelError(msg)
        return max(month, slice_.start), min(period_end(month, slice_.granularity), slice_.end)

    def _check_one_period(self, label: str | None, month: date | None) -> None:
        slice_ = self._slice
        if month is not None and month != slice_.start.replace(day=1):
            msg = f"a row is labelled {label}, and the requested range is {slice_.start} to {slice_.end}"
            raise CsvError(msg, column="granularity")
        if label is not None and self._one_label:
            self._seen.add(label)
        if len(self._seen) > 1:
            msg = (
                f"the rows from {slice_.start} to {slice_.end}, one {slice_.granularity} period, have several labels: "
                "SEI's periods begin on other days, see week_starts_on in the connection"
            )
            raise CsvError(msg, column="granularity")
