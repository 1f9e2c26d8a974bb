"""Validation of names, days and ids that users write, and of those that SEI sends. Knows no request.

Errors about what users write name the allowed values.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import TypeGuard

from sei_provider.api import bounds
from sei_provider.api.errors import SeiInputError
from sei_provider.api.redaction import holds_secret, sanitize
from sei_provider.api.report import Report

YEARS = range(1900, 3000)
"""Years of the days that can be requested: none of their periods and deadlines is beyond what Python's dates tell."""
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8}")
_TIME = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8})[Tt ][0-9:.]+([Zz]|[+-][0-9:]+)?")
_ID = re.compile(r"[0-9]+|(?=[A-Za-z0-9_-]*[A-Za-z])[A-Za-z0-9_][A-Za-z0-9_-]*")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_PAST_IDS = 2**63
ID_RULE = "an id is a number from 1 on, or text of letters, digits, _ and -, as in 456 or team_abc123"
_NO_IDS = {"none", "null", "nil", "nan", "inf", "infinity", "true", "false", "undefined", "all"}
"""Words that a missing value becomes when it is rendered as text."""


def is_id(value: object) -> bool:
    """Tell whether a value can be an id: ids are text or numbers (CONTRACT row 14)."""
    return isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool))


def is_sent_id(value: object) -> bool:
    """Tell whether an id that SEI sent can be used: short printable text or a number, and not the API key."""
    text = str(value) if is_id(value) else ""
    return 0 < len(text) <= bounds.ID_CHARS and text.isprintable() and text == text.strip() and not holds_secret(text)


def is_sent_name(value: object) -> TypeGuard[str]:
    """Tell whether a name that SEI sent can be used: text that can be stored, and not the API key."""
    if not isinstance(value, str) or not 0 < len(value) <= bounds.LINK_CHARS or "\0" in value or holds_secret(value):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return False
    return True


def quoted(value: object) -> str:
    """Return a wrong value as an error quotes it: one line, cut, e-mail addresses masked."""
    try:
        return sanitize(repr(value))
    except Exception:  # noqa: BLE001 - numbers of thousands of digits have no text, and a foreign repr may raise anything
        return f"a {type(value).__name__}"


def team_id(value: object) -> str | None:
    """Return a team's id as text, without spaces around it; None for a value that is no id (see `ID_RULE`).

    Text is an id as it is written, so `"0"` and `"0101"` are two, and SEI alone knows which teams there are.
    """
    text = value.strip() if isinstance(value, str) else ""
    if isinstance(value, int) and 0 < value < _PAST_IDS:
        text = str(int(value))
    if not is_id(value) or len(text) > bounds.ID_CHARS or not _ID.fullmatch(text) or text.casefold() in _NO_IDS:
        return None
    return text


def normalize_choice(kind: str, name: object, allowed: Iterable[str], report: Report | None = None) -> str:
    """Return the documented spelling of `name`, given in any case. Raises `SeiInputError` if it is not `allowed`."""
    by_folded = {known.casefold(): known for known in allowed}
    known = by_folded.get(name.strip().casefold()) if isinstance(name, str) else None
    if known is None:
        of = f" of {report.name}" if report else ""
        msg = f"unknown {kind} {quoted(name)}; the {kind} names{of} are: {', '.join(by_folded.values())}"
        raise SeiInputError(msg)
    return known


def normalize_choices(kind: str, names: object, allowed: Iterable[str], report: Report) -> tuple[str, ...]:
    """Return the documented spelling of several names, each once; () for None."""
    allowed = tuple(allowed)
    return tuple(dict.fromkeys(normalize_choice(kind, name, allowed, report) for name in _listed(kind, names)))


def normalize_open_names(kind: str, names: object, known: Iterable[str], report: Report) -> tuple[str, ...]:
    """Return several names, each once: known ones in documented spelling, others as they are written.

    For names of which SEI's document gives examples only. Raises `SeiInputError` for what cannot be a name.
    """
    by_folded = {name.casefold(): name for name in known}
    found: dict[str, str] = {}
    for name in _listed(kind, names):
        if not isinstance(name, str) or not _NAME.fullmatch(name.strip()):
            msg = (
                f"{quoted(name)} cannot be a {kind} of {report.name}; a {kind} consists of letters, digits and _, "
                f"such as {', '.join(by_folded.values())}"
            )
            raise SeiInputError(msg)
        folded = name.strip().casefold()
        found.setdefault(folded, by_folded.get(folded, name.strip()))
    return tuple(found.values())


def _listed(kind: str, names: object) -> Collection[object]:
    if names is None:
        return ()
    if isinstance(names, str | Mapping) or not isinstance(names, Collection):  # an iterator could be read only once
        msg = f"{kind}s must be a list of names, not {quoted(names)}"
        raise SeiInputError(msg)
    return names


def parse_day(name: str, value: object) -> date:
    """Return a day given as a date or as `yyyy-MM-dd`. Raises `SeiInputError`, which names the argument `name`."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str) and _DAY.fullmatch(value.strip()):
            return date.fromisoformat(value.strip())
    except ValueError:
        pass
    msg = (
        f"{name} must be a date or text like 2026-01-31 (yyyy-MM-dd), not {quoted(value)}; operators also take a "
        "moment, such as a datetime or 2026-01-31T00:00:00+00:00"
    )
    raise SeiInputError(msg)


def parse_range(start: object, end: object, zone: tzinfo) -> tuple[date, date]:
    """Return the days that `start` and `end` name, both inclusive (DESIGN, decision 4).

    A plain day is that day. A moment (a datetime, or ISO time) counts by its day in `zone`, and is read as a time there
    if it has no zone of its own. A moment given as `end` ends an interval, so the last day is that of the moment before
    it. Raises `SeiInputError` for anything else, and if the range is empty.
    """
    first, last = parse_start(start, zone), parse_end(end, zone)
    if first > last:
        msg = f"the range from {quoted(start)} to {quoted(end)} ends ({last}) before it starts ({first})"
        if _day_of_moment(end, zone):
            msg += (
                "; a moment given as end ends an interval, and a run without a data interval has none: use a schedule "
                "with intervals (CronDataIntervalTimetable), or give days"
            )
        raise SeiInputError(msg)
    return first, last


def parse_start(value: object, zone: tzinfo) -> date:
    """Return the day of a range's start, as `parse_range` does."""
    return _day_of_moment(value, zone) or parse_day("start", value)


def parse_end(value: object, zone: tzinfo) -> date:
    """Return the day of a range's end, as `parse_range` does."""
    return _day_of_moment(value, zone, before=timedelta(microseconds=1)) or parse_day("end", value)


def _day_of_moment(value: object, zone: tzinfo, *, before: timedelta = timedelta(0)) -> date | None:
    """Return the day in `zone` so long before a moment; None for a value that is no moment."""
    try:
        if isinstance(value, str) and _TIME.fullmatch(value.strip()):
            value = datetime.fromisoformat(value.strip().upper())
        if isinstance(value, datetime):
            moment = value.replace(tzinfo=zone) if value.utcoffset() is None else value
            # In UTC, because a day may begin at 01:00 where clocks change at midnight.
            return (moment.astimezone(UTC) - before).astimezone(zone).date()
    except (ValueError, OverflowError):
        pass
    return None
