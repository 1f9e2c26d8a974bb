"""Shapes of headers, labels and cells: what may be told of a customer's file, because it holds no word of the customer.

A word is told only if it stands in SEI's documents, or in a list of words of calendars and of headers. Every other word
becomes `Aa`, and every number `9`, however long it is.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from contextlib import suppress
from datetime import date

from sei_provider.lake.columns import CALCULATION, DIMENSIONS, LEGACY_HEADINGS, NULL_NUMBER, NUMBER_SUFFIXES, compact
from sei_provider.lake.header_words import is_plain_header
from sei_provider.lake.staging.pii import RATINGS

_DOCUMENTED = frozenset(
    {
        *(compact(alias) for _, aliases in DIMENSIONS.values() for alias in aliases),
        *("totalissues", "totalleadtimehours", "collectionname"),  # CONTRACT, section 1a
    }
)
_OWN_STEMS = {"_story_points": "category", "_tickets": "category", "_hours": "status"}
"""Ends of headers whose beginnings are the customer's own categories and statuses (seed 003; CONTRACT, section 1a)."""
_WITH_OWN_STEMS = {"business_alignment", "time_in_status"}

_MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec"
_LONG_MONTHS = "january february march april may june july august september october november december"
_OTHER_WORDS = "week of to from day quarter month year sprint q w h fy cw kw"
_CALENDAR = {
    **dict.fromkeys(_LONG_MONTHS.split(), "Month"),
    **dict.fromkeys(_MONTHS.split(), "Mon"),
    **{word: word for word in _OTHER_WORDS.split()},
}
"""Words of labels, and how each is told."""
_LABEL_PARTS = re.compile(
    r"(?P<day>[0-9]{4}-[0-9]{2}-[0-9]{2})(?![0-9])|(?P<year>(19|20)[0-9]{2})(?![0-9])|(?P<number>[0-9]+)"
    r"|(?P<word>[^\W\d_]+)|(?P<space>\s+)|(?P<mark>[-_/.,:;()#']+)|(?P<other>.)",
    re.DOTALL,
)
_MAX_PARTS = 16
_PLAIN = re.compile(r"[A-Za-z0-9_ ()./%-]{1,100}")
"""Headers that can be told as they are: nothing in them can break a table or be mistaken for a mark of Markdown."""

_KINDS = {
    "empty": r"",
    "—": re.escape(NULL_NUMBER),
    "whole number": r"[+-]?[0-9]+",
    "decimal": r"[+-]?[0-9]*\.[0-9]+",
    "number with an exponent": r"[+-]?[0-9]+(\.[0-9]+)?[eE][+-]?[0-9]+",
    "number with commas": r"[+-]?[0-9]{1,3}(,[0-9]{3})+(\.[0-9]+)?",
    "number with %": r"[+-]?[0-9]+([.,][0-9]+)?\s*%",
    "date yyyy-MM-dd": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "date and time": r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+(Z|[+-][0-9:]+)?",
    "date with slashes": r"[0-9]{1,4}/[0-9]{1,2}/[0-9]{1,4}",
    "rating": "(?i:" + "|".join(sorted(RATINGS)) + ")",
    "NA or null": "(?i:n/?a|null|none|nan)",
    "e-mail address": r"[^@\s]+@[^@\s]+",
}
_PATTERNS = {kind: re.compile(pattern) for kind, pattern in _KINDS.items()}


def cell_kind(cell: str) -> str:
    """Return what a cell is: one of a fixed list of kinds, or `text`."""
    return next((kind for kind, pattern in _PATTERNS.items() if pattern.fullmatch(cell.strip())), "text")


def cell_kinds(cells: Collection[str], *, are_names: bool = False) -> str:
    """Return the kinds of a column's cells, most general last; of names no more than whether they are text."""
    found = set(map(cell_kind, cells))
    if are_names:  # a team may be called NA, High or 2026
        found = {kind if kind in {"empty", "e-mail address"} else "text" for kind in found}
    return ", ".join(kind for kind in (*_KINDS, "text") if kind in found) or "no rows"


def label_shape(label: str) -> str:
    """Return the shape of a period's label: `Mon yyyy` for `Jan 2026`, `week of yyyy-MM-dd`, `Q9 yyyy`, `Aa 9`."""
    parts: list[str] = []
    for found in _LABEL_PARTS.finditer(label):
        part = _label_part(found)
        if not parts or parts[-1] != part:
            parts.append(part)
        if len(parts) > _MAX_PARTS:
            return "".join(parts[:_MAX_PARTS]) + "…"
    return "".join(parts)


def label_shapes(labels: Collection[str], most: int = 4) -> str:
    """Return the different shapes of labels, the first few of them."""
    shapes = sorted({label_shape(label) for label in labels})
    more = f" and {len(shapes) - most} more" if len(shapes) > most else ""
    return ", ".join(f"`{shape}`" for shape in shapes[:most]) + more


def has_calendar_words(label: str) -> bool:
    """Tell whether a label surely is one of a period: it has a year, and nothing but calendar words beside numbers."""
    words = [found["word"].lower() for found in _LABEL_PARTS.finditer(label) if found["word"]]
    has_year = any(found["year"] or found["day"] for found in _LABEL_PARTS.finditer(label))
    return has_year and all(word in _CALENDAR for word in words)


def own_days(labels: Collection[str]) -> list[date]:
    """Return the first day that each label names as yyyy-MM-dd, of those that name one."""
    found = []
    for label in labels:
        with suppress(StopIteration, ValueError):
            found.append(date.fromisoformat(next(each["day"] for each in _LABEL_PARTS.finditer(label) if each["day"])))
    return found


def header_shape(header: str, report: str, metrics: Collection[str]) -> str:
    """Return a header as it may be told: itself if documents or the list of words have all of it, else its shape."""
    if is_told(header, report, metrics):
        return header
    lower = header.lower()
    ending = next((end for end in NUMBER_SUFFIXES if lower.endswith(end)), None)
    if ending and report in _WITH_OWN_STEMS:
        return f"<{_OWN_STEMS.get(ending, 'name')}>{header[-len(ending) :]}"
    return f"<{label_shape(header)}>"


def is_told(header: str, report: str, metrics: Collection[str]) -> bool:
    """Tell whether a header holds no word of the customer's."""
    if not _PLAIN.fullmatch(header):
        return False
    form = compact(header)
    heading = CALCULATION.sub("", re.sub(r" rating$", "", header.strip().lower()))
    documented = form in _DOCUMENTED or heading in LEGACY_HEADINGS or form in {compact(metric) for metric in metrics}
    if documented or report in _WITH_OWN_STEMS:
        return documented
    words = {word.lower() for metric in metrics for word in metric.split("_")}  # such as LTTC
    return is_plain_header(" ".join("metric" if word.lower() in words else word for word in re.split("[_ ]+", header)))


def has_values_for_header(header: Sequence[str], names: Collection[str]) -> bool:
    """Tell whether a first row seems to be one of values: then none of it may be told."""
    values = {"whole number", "decimal", "date yyyy-MM-dd", "date and time", "e-mail address", "number with commas"}
    return any(cell_kind(cell) in values or cell in names for cell in header)


def _label_part(found: re.Match[str]) -> str:
    word = found["word"]
    if word:
        known = _CALENDAR.get(word.lower(), "Aa")
        return word if word.lower() == known else known
    if found["mark"]:
        return found["mark"][0]
    return {"day": "yyyy-MM-dd", "year": "yyyy", "number": "9", "space": " "}.get(found.lastgroup or "", "?")
