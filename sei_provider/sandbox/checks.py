"""The fields of a request, checked one by one. Whatever is wrong becomes a `Refusal` with status 400.

Each refusal names the field, what it held, and what it may hold. Knows no report and no call.
"""

from __future__ import annotations

import json
import re
from datetime import date
from typing import TYPE_CHECKING, NoReturn

from sei_provider.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


def json_object(raw: bytes) -> dict[str, object]:
    """The JSON object that a body is."""
    try:
        body = json.loads(raw)
    except ValueError as error:
        refuse(f"the body is not JSON: {error}")
    if not isinstance(body, dict):
        refuse("the body must be a JSON object")
    return body


def object_field(body: Mapping[str, object], field: str) -> dict[str, object]:
    """The JSON object under a field, which must be there."""
    if field not in body:
        refuse(f"{field} is required")
    value = body[field]
    if not isinstance(value, dict):
        refuse(f"{field} must be a JSON object, not {json.dumps(value)}")
    return value


def text_field(fields: Mapping[str, object], name: str, where: str) -> str:
    """The string under a field that is there."""
    value = fields[name]
    if not isinstance(value, str) or not value:
        refuse(f"{where}.{name} must be a JSON string that is not empty, not {json.dumps(value)}")
    return value


def date_field(fields: Mapping[str, object], name: str, where: str = "") -> date:
    """The date under a field, which must be there, as yyyy-MM-dd."""
    field = f"{where}.{name}" if where else name
    if name not in fields:
        refuse(f"{field} is required, as yyyy-MM-dd")
    value = fields[name]
    # fromisoformat alone also takes 20260101 and 2026-W01-1.
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    message = f"{field} must be a date as yyyy-MM-dd, not {json.dumps(value)}"
    raise Refusal(400, "INVALID_REQUEST", message)


def known_names(body: Mapping[str, object], field: str, allowed: Iterable[str], kind: str) -> set[str]:
    """The names in a list, in documented spelling: names are case-insensitive (002; CONTRACT rows 8, 30)."""
    names = body.get(field, [])
    if not isinstance(names, list):
        refuse(f"{field} must be a JSON array of names, not {json.dumps(names)}")
    spelling = {name.casefold(): name for name in allowed}
    found = set()
    for name in names:
        if not isinstance(name, str) or name.casefold() not in spelling:
            refuse(f"{field}: {json.dumps(name)} is no {kind}; there are {_listed(spelling.values())}")
        found.add(spelling[name.casefold()])
    return found


def whole_number(parameters: Mapping[str, str], name: str, default: int, least: int, most: int | None = None) -> int:
    """The whole number under a query parameter, or its default."""
    text = parameters.get(name, str(default))
    number = int(text) if re.fullmatch(r"[0-9]{1,9}", text) else -1
    if number < least or (most is not None and number > most):
        bounds = f"from {least}" if most is None else f"from {least} to {most}"
        refuse(f"{name} must be a whole number {bounds}, not {text!r}")
    return number


def only(fields: Iterable[str], allowed: Iterable[str], where: str, kind: str = "field") -> None:
    """Refuse any field that is not allowed."""
    for name in fields:
        if name not in allowed:
            refuse(f"{where} has an unknown {kind} {name!r}; there are {_listed(allowed)}")


def one_of(field: str, value: str, allowed: Iterable[str]) -> None:
    """Refuse a value that is not allowed."""
    if value not in allowed:
        refuse(f"{field} {value!r} is unknown; there are {_listed(allowed)}")


def refuse(message: str) -> NoReturn:
    """Answer 400."""
    raise Refusal(400, "INVALID_REQUEST", message)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
