"""Meaning of arguments, in DESIGN's words and without the provider's code: a meaning, or None for "to be refused"."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from pathlib import PurePath
from typing import Any

RUN_DAY = date(2026, 3, 18)
GROUPS = {"work": "work", "delivery": "delivery", "deliveryanalysis": "deliveryAnalysis", "analysis": "analysis"}
"""The groups of sprint by their names in lower case (CONTRACT rows 12 and 30)."""
MISSING = {"none", "null", "nil", "nan", "inf", "infinity", "true", "false", "undefined", "all"}
"""Text that a template makes of a missing value or a number."""


def scope(value: Any) -> dict[str, str] | None:
    """A scope is a team id (text or number) or a mapping; sprint takes a team or a tree (CONTRACT rows 11 and 14)."""
    if isinstance(value, dict):
        if set(value) == {"teamId"}:
            return None if isinstance(value["teamId"], dict) else scope(value["teamId"])
        if set(value) == {"orgTreeName"} and isinstance(value["orgTreeName"], str) and value["orgTreeName"].strip():
            tree = {"orgTreeName": value["orgTreeName"], "orgIdentifier": "acme", "projectIdentifier": "web"}
            return tree if tree["orgTreeName"].isprintable() else None
        return None
    if type(value) is int and 0 < value < 2**63:
        return {"teamId": str(value)}
    if isinstance(value, str):
        text = value.strip()
        has_letter = any(char in "abcdefghijklmnopqrstuvwxyz" for char in text.lower())
        simple = text != "" and all(char in "-_0123456789abcdefghijklmnopqrstuvwxyz" for char in text.lower())
        number = text != "" and all(char in "0123456789" for char in text)
        if number or (simple and has_letter and text[0] != "-" and text.isascii() and text.lower() not in MISSING):
            return {"teamId": text}
    return None


def batch(value: Any) -> list[dict[str, str]] | None:
    """A list or tuple of scopes is a batch, and a single scope is a batch of one (line 3)."""
    if isinstance(value, list | tuple | range):
        scopes = [scope(member) for member in value]
        if not scopes or None in scopes:
            return None
        return [each for number, each in enumerate(scopes) if each not in scopes[:number]]  # type: ignore[misc]
    single = scope(value)
    return None if single is None else [single]


def day(value: Any, zone: tzinfo, *, ends: bool) -> date | None:
    """A plain date is that day; a moment counts by its day in the DAG's zone; as an end it ends an interval."""
    if isinstance(value, str):
        text = value.strip()
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}|[0-9]{8}", text):
            numbers = text.replace("-", "")
            return _date(int(numbers[:4]), int(numbers[4:6]), int(numbers[6:]))
        value = _moment(text)
    if isinstance(value, datetime):
        local = value.replace(tzinfo=zone) if value.tzinfo is None else value
        moment = local.timestamp() - (1e-3 if ends else 0)
        return datetime.fromtimestamp(moment, UTC).astimezone(zone).date()
    return value if isinstance(value, date) else None


def range_of(start: Any, end: Any, zone: tzinfo) -> dict[str, str] | None:
    """Both days inclusive, not widened for sprints, the end clipped to the run's day (decision 4)."""
    first, last = day(start, zone, ends=False), day(end, zone, ends=True)
    if first is None or last is None or first > last or first > RUN_DAY:
        return None
    return {"start": first.isoformat(), "end": min(last, RUN_DAY).isoformat()}


def groups(value: Any) -> list[str] | None:
    """A list of known names in any case; None for all."""
    if value is None:
        return list(GROUPS.values())
    if not isinstance(value, list | tuple | set) or not value or not all(isinstance(name, str) for name in value):
        return None
    named = [GROUPS.get(name.strip().lower()) for name in value]
    return None if None in named else list(dict.fromkeys(named))  # type: ignore[arg-type]


def seconds(value: Any) -> float | None:
    """A number or a timedelta, more than nothing and at most a year."""
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if type(value) not in {int, float} or not math.isfinite(value) or not 0 < value <= 365 * 86400:
        return None
    return float(value)


def is_place(value: Any) -> bool:
    """An absolute path, or the address of one; this run's lakes lie on disk only."""
    if not isinstance(value, str | PurePath):
        return False
    text = str(value)
    return re.match("/|file:/(?!/[^/])", text) is not None and text == text.strip() and text.isprintable()


def _date(year: int, month: int, number: int) -> date | None:
    try:
        return date(year, month, number)
    except ValueError:
        return None


def _moment(text: str) -> datetime | None:
    found = re.fullmatch(
        r"(\d{4})-?(\d\d)-?(\d\d)[T ](\d\d):?(\d\d):?(\d\d)(\.\d{1,6})?(Z|([+-])(\d\d):?(\d\d))?", text, re.ASCII
    )
    if not found:
        return None
    year, month, number, hour, minute, second = map(int, found.groups()[:6])
    try:
        moment = datetime(year, month, number, hour, minute, second)  # noqa: DTZ001 - its zone follows
    except ValueError:
        return None
    moment += timedelta(seconds=float(found[7] or 0))
    if not found[8]:
        return moment
    away = timedelta(0) if found[8] == "Z" else timedelta(hours=int(found[10]), minutes=int(found[11]))
    return (moment + (away if found[9] == "-" else -away)).replace(tzinfo=UTC)


def scopes(value: Any) -> list[tuple[str | None, str | None]] | None:
    """A batch for any report, as pairs of team and tree: some reports take both in one scope (CONTRACT row 11)."""
    if isinstance(value, list | tuple):
        members = [_pair(member) for member in value]
        return None if not members or None in members else list(dict.fromkeys(members))  # type: ignore[arg-type]
    pair = _pair(value)
    return None if pair is None else [pair]


def _pair(value: Any) -> tuple[str | None, str | None] | None:
    if isinstance(value, dict) and set(value) == {"teamId", "orgTreeName"}:
        team, tree = _pair({"teamId": value["teamId"]}), _pair({"orgTreeName": value["orgTreeName"]})
        return None if team is None or tree is None else (team[0], tree[1])
    found = scope(value)
    return None if found is None else (found.get("teamId"), found.get("orgTreeName"))
