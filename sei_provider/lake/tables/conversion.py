"""Conversion of a column's values to another type; what does not fit becomes null, and is told apart from no value.

Knows Arrow arrays only.
"""

from __future__ import annotations

import re
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

from sei_provider.lake.arrow_values import NO_NUMBER, NO_TEXT, to_array, to_scalar
from sei_provider.lake.columns import NULL_NUMBER, NUMBER

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_DASH = to_scalar(NULL_NUMBER, pa.string())


def convert(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Convert values to a type; one that does not fit becomes null."""
    if pa.types.is_string(values.type) and pa.types.is_floating(kind):
        return numbers(values)
    if pa.types.is_string(values.type) and pa.types.is_date(kind):
        return dates(values)
    if pa.types.is_string(kind) or values.type == kind:
        return values.cast(kind)
    return pa.chunked_array([pa.nulls(len(values), kind)])  # no number is a date, and no date a number


def unfit(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Return the mask of the values that `convert` would lose."""
    known = without_dash(values) if pa.types.is_string(values.type) and not pa.types.is_string(kind) else values
    return pc.and_(pc.is_valid(known), pc.is_null(convert(values, kind)))


def numbers(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Parse the numbers, in whatever form; any other text becomes null."""
    trimmed = pc.utf8_trim(text, " \t")
    found = pc.if_else(pc.match_substring_regex(trimmed, f"^{NUMBER}$"), trimmed, NO_TEXT).cast(pa.float64())
    return pc.if_else(pc.is_finite(found), found, NO_NUMBER)


def dates(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Parse the days written `yyyy-MM-dd`; any other text becomes null."""
    coded = text.combine_chunks().dictionary_encode()
    days = to_array(map(_day, coded.dictionary.to_pylist()), pa.date32())
    return pa.chunked_array([days.take(coded.indices)])


def without_dash(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the text with SEI's dash for "none" as null."""
    return pc.if_else(pc.equal(text, _DASH), NO_TEXT, text)


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text and _DATE.fullmatch(text) else None
    except ValueError:
        return None
