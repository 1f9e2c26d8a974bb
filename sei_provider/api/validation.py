"""Validation of names, days and ids that users write, and of those that SEI sends. Knows no request.

Errors about what users write name the allowed values.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime
from typing import TypeGuard

from sei_provider.api import bounds
from sei_provider.api.errors import SeiInputError
from sei_provider.api.redaction import holds_secret
from sei_provider.api.reports import Report


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


def normalize_choice(kind: str, name: object, allowed: Iterable[str], report: Report | None = None) -> str:
    """Return the documented spelling of `name`, given in any case. Raises `SeiInputError` if it is not `allowed`."""
    by_folded = {known.casefold(): known for known in allowed}
    known = by_folded.get(name.strip().casefold()) if isinstance(name, str) else None
    if known is None:
        of = f" of {report.name}" if report else ""
        msg = f"unknown {kind} {name!r}; the {kind} names{of} are: {', '.join(by_folded.values())}"
        raise SeiInputError(msg)
    return known


def normalize_choices(kind: str, names: object, allowed: Iterable[str], report: Report) -> tuple[str, ...]:
    """Return the documented spelling of several names, each once; () for None."""
    if names is None:
        return ()
    if isinstance(names, str) or not isinstance(names, Iterable):
        msg = f"{kind}s must be a list of names, not {names!r}"
        raise SeiInputError(msg)
    allowed = tuple(allowed)
    return tuple(dict.fromkeys(normalize_choice(kind, name, allowed, report) for name in names))


def parse_day(name: str, value: object) -> date:
    """Return a day given as a date or as `yyyy-MM-dd`. Raises `SeiInputError`, which names the argument `name`."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        if isinstance(value, str):
            return date.fromisoformat(value.strip())
    except ValueError:
        pass
    msg = f"{name} must be a date or text like 2026-01-31 (yyyy-MM-dd), not {value!r}"
    raise SeiInputError(msg)
