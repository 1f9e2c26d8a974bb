"""Strict pydantic models for bodies and queries; every mistake becomes a 400 that names the field and its values."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import date
from math import isfinite
from typing import TYPE_CHECKING, Annotated, ClassVar, TypeVar, cast

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    Strict,
    ValidationError,
    WrapValidator,
    model_validator,
)
from pydantic.alias_generators import to_camel

from sei_provider.sandbox.http.errors import bad_request

if TYPE_CHECKING:
    from typing import Self

    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

FIELD = "{field}"
"""Stands for the path of the field in the message of a validator's `ValueError`."""
INSIDE = "{inside}"
"""Stands for the same path before the name of an inner field."""


class StrictModel(BaseModel):
    """Fields in camelCase, of exactly their JSON type, and no others."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)

    exclusive: ClassVar[tuple[str, ...]] = ()
    """Two fields of which only one may be given."""
    needed: ClassVar[tuple[str, ...]] = ()
    """Two fields of which at least one must be given."""
    days: ClassVar[tuple[str, ...]] = ()
    """Two fields with the first and the last day of a range."""

    @model_validator(mode="after")
    def _fields_go_together(self) -> Self:
        if self.needed and self.model_fields_set.isdisjoint(self.needed):
            msg = f"{FIELD} needs {' or '.join(map(to_camel, self.needed))}, and has neither"
            raise ValueError(msg)
        if self.exclusive and self.model_fields_set.issuperset(self.exclusive):
            msg = f"{FIELD} takes either {' or '.join(map(to_camel, self.exclusive))}, not both"
            raise ValueError(msg)
        start, end = (getattr(self, name) for name in self.days) if self.days else (None, None)
        if start and end and start > end:
            first, last = map(to_camel, self.days)
            msg = f"{INSIDE}{first} {start} is after {INSIDE}{last} {end}"
            raise ValueError(msg)
        return self


def expected(text: str) -> WrapValidator:
    """Return a validator that describes a value of the wrong kind by what it must be."""

    def check(value: object, inner: Callable[[object], object]) -> object:
        try:
            return inner(value)
        except (ValidationError, ValueError):
            msg = f"{FIELD} must be {text}, not {json.dumps(value)}"
            raise ValueError(msg) from None

    return WrapValidator(check)


def whole_number(least: int, most: int | None = None) -> WrapValidator:
    """Return a validator for a number in a query: digits only, from `least` to `most`."""

    def check(text: str, _inner: object) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= (most or int(text)):
            bounds = f"from {least}" if most is None else f"from {least} to {most}"
            msg = f"{FIELD} must be a whole number {bounds}, not {text!r}"
            raise ValueError(msg)
        return int(text)

    return WrapValidator(check)


def one_of(allowed: Iterable[str]) -> AfterValidator:
    """Return a validator for a name out of a table."""

    def check(name: str) -> str:
        if name not in allowed:
            msg = f"{FIELD} {name!r} is unknown; there are {', '.join(allowed)}"
            raise ValueError(msg)
        return name

    return AfterValidator(check)


def _day(value: object) -> date:
    # fromisoformat alone also takes 20260101 and 2026-W01-1.
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        return date.fromisoformat(value)
    raise ValueError


Day = Annotated[date, BeforeValidator(_day), expected("a date as yyyy-MM-dd"), Field(description="as yyyy-MM-dd")]
Text = Annotated[str, Field(min_length=1), expected("a JSON string that is not empty")]
Flag = Annotated[bool, expected("true or false")]
Names = Annotated[tuple[Annotated[str, Strict()], ...], Strict(False), expected("a JSON array of names")]

Model = TypeVar("Model", bound=StrictModel)


def parse(model: type[Model], sent: bytes | Mapping[str, str], whole: str = "the body") -> Model:
    """Return the model of a JSON body, or of a query's parameters; `ApiError` 400 lists everything that is wrong."""
    if isinstance(sent, bytes):
        _require_finite(sent, whole)
    try:
        return model.model_validate_json(sent) if isinstance(sent, bytes) else model.model_validate(dict(sent))
    except ValidationError as error:
        named = (whole, "field") if isinstance(sent, bytes) else ("the query", "parameter")
        bad_request("; ".join(_describe(each, model, *named) for each in error.errors()))


def _require_finite(sent: bytes, whole: str) -> None:
    """Refuse NaN and infinities, which are no JSON: what is shown of a body later would be none either."""

    def number(text: str) -> float:
        if not isfinite(found := float(text)):
            bad_request(f"{whole} is not JSON: {text[:20]} is no finite number")
        return found

    with suppress(ValueError, RecursionError):  # what is no JSON, or has too many levels, the model tells
        json.loads(sent, parse_float=number, parse_constant=number)


def documented_names(field: str, names: Iterable[str], allowed: Iterable[str], kind: str) -> set[str]:
    """Return names in documented spelling: they are case-insensitive (002; CONTRACT rows 8, 30)."""
    spelling = {name.casefold(): name for name in allowed}
    for name in names:
        if name.casefold() not in spelling:
            msg = f"{field}: {json.dumps(name)} is no {kind}; there are {', '.join(spelling.values())}"
            raise ValueError(msg)
    return {spelling[name.casefold()] for name in names}


def _describe(error: ErrorDetails, model: type[BaseModel], whole: str, kind: str) -> str:
    path = [part for part in error["loc"] if isinstance(part, str)]
    field = ".".join(path) or whole
    message = error["msg"]
    match error["type"]:
        case "json_invalid":
            message = f"{whole} is not JSON: {error['ctx']['error']}"
        case "model_type":
            message = f"{field} must be a JSON object, not {json.dumps(error['input'])}"
        case "missing":
            description = _fields(model, path[:-1])[path[-1]].description
            message = f"the {kind} {field} is required" + (f", {description}" if description else "")
        case "extra_forbidden":
            *parents, name = path
            where, allowed = ".".join(parents) or whole, ", ".join(_fields(model, parents))
            message = f"{where} has an unknown {kind} {name!r}; there are {allowed}"
        case "literal_error":
            value = json.dumps(error["input"]).replace('"', "'")
            allowed = ", ".join(re.findall(r"'(.*?)'", error["ctx"]["expected"]))
            message = f"{field} {value} is unknown; there are {allowed}"
        case "value_error":
            inside = "".join(f"{part}." for part in path)
            message = str(error["ctx"]["error"]).replace(FIELD, inside[:-1] or "the body").replace(INSIDE, inside)
    return message


def _fields(model: type[BaseModel], path: Iterable[str]) -> dict[str, FieldInfo]:
    """Return the fields of the model at a path, by their JSON names."""
    for name in path:
        inner = next(info.annotation for info in model.model_fields.values() if info.alias == name)
        model = cast("type[BaseModel]", inner)
    return {str(info.alias): info for info in model.model_fields.values()}
