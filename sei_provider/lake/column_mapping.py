"""The user's `columns=`: SEI's header → name in the lake, or (name, type), which decides before any rule of ours.

Plain values. Reads no file.
"""

from __future__ import annotations

import ast
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from sei_provider.lake.columns import DIMENSIONS, LINEAGE, RESERVED, ColumnType, compact, snake_case
from sei_provider.lake.errors import ColumnsError, presented_header

ColumnsArgument: TypeAlias = Mapping[str, "str | Sequence[str]"]
"""`{"Employee": "developer", "Build": ("build", "string")}`: SEI's header → name, or (name, type); a list does for a
tuple, as JSON has it. Types are `string`, `float64` and `date`."""

TYPES: Mapping[str, ColumnType] = {"string": "string", "float64": "float64", "date": "date32"}
"""Types as users write them."""
TYPE_NAMES: Mapping[ColumnType, str] = {kind: name for name, kind in TYPES.items()}


class Named(NamedTuple):
    """Column as the user names it."""

    name: str
    type: ColumnType | None
    """None where the user leaves the type to our rules."""


class ColumnMapping:
    """Parsed `columns=`.

    A header of a file is looked up as it is written, then without regard to case, spaces and underscores. Punctuation
    counts, because `C++` is not `C#`.
    """

    def __init__(self, by_header: Mapping[str, Named], aliases: Mapping[str, Sequence[str]] | None = None) -> None:
        self._by_header = {unicodedata.normalize("NFC", header): named for header, named in by_header.items()}
        self._aliases = {name: list(headers) for name, headers in (aliases or {}).items()}
        if unknown := sorted(self._aliases.keys() - DIMENSIONS.keys()):
            msg = f"aliases for {', '.join(unknown)}: unknown dimension; use {', '.join(DIMENSIONS)}"
            raise ColumnsError(msg)

    @classmethod
    def parse(cls, value: object, *, aliases: Mapping[str, Sequence[str]] | None = None) -> ColumnMapping:
        """Parse the argument; None is an empty one, and text is JSON, or Python's form of a dict, as templates render.

        `aliases` are further headers to look for, by dimension; a file need not have them, and `columns=` decides
        before them. Raises `ColumnsError` for what is no mapping, an unknown type or dimension, a name that is not
        snake_case or is reserved, a dimension with another type than its own, and two headers with one name.
        """
        if isinstance(value, ColumnMapping):
            return value.with_aliases(aliases) if aliases else value
        if isinstance(value, str):
            value = _parsed_text(value)
        if value is None:
            return cls({}, aliases)
        if not isinstance(value, Mapping):
            msg = (
                f"columns must be a mapping of SEI's headers to names, such as columns={{'Employee': 'developer'}}, "
                f"not {type(value).__name__}"
            )
            raise ColumnsError(msg)
        by_header = {_header(header): _named(header, named) for header, named in value.items()}
        _check_names(by_header)
        mapping = cls(by_header, aliases)
        if len(mapping._by_header) < len(by_header):
            msg = "columns has one header twice, in two forms of Unicode (composed and decomposed): leave one out"
            raise ColumnsError(msg)
        return mapping

    def to_json(self) -> dict[str, Any]:
        """Return the mapping as JSON values, the same for the same meaning: a part of a slice's identity."""
        named = {header: [name, kind] if kind else name for header, (name, kind) in sorted(self._by_header.items())}
        return {"columns": named, "aliases": self._aliases} if self._aliases else named

    def with_aliases(self, aliases: Mapping[str, Sequence[str]]) -> ColumnMapping:
        """Return the mapping with further headers to look for, by dimension."""
        return ColumnMapping(self._by_header, aliases)

    def match(self, headers: Sequence[str]) -> dict[str, Named]:
        """Return the headers of a file that the user names.

        Raises `ColumnsError` if a header fits two entries but for case, spaces and underscores.
        """
        found = self._match_columns(headers) if self._by_header else {}
        taken = {named.name for named in found.values()}
        free = {compact(header): header for header in reversed(headers) if header not in found}
        for name, aliases in self._aliases.items():
            header = next((free[form] for form in map(compact, aliases) if form in free), None)
            if header is not None and name not in taken:
                found[header] = Named(name, DIMENSIONS[name][0])
        return found

    def _match_columns(self, headers: Sequence[str]) -> dict[str, Named]:
        exact = {header: unicodedata.normalize("NFC", header) for header in headers}
        found = {header: self._by_header[key] for header, key in exact.items() if key in self._by_header}
        taken = set(exact.values())
        loose: dict[str, list[str]] = {}
        for key in self._by_header.keys() - taken:
            loose.setdefault(loose_header(key), []).append(key)
        for header in exact.keys() - found.keys():
            keys = loose.get(loose_header(header), ())
            if len(keys) > 1:
                msg = (
                    f"the header {presented_header(header)} fits {len(keys)} headers in columns=: "
                    f"{', '.join(map(presented_header, sorted(keys)))}; write it as SEI does"
                )
                raise ColumnsError(msg)
            if keys:
                found[header] = self._by_header[keys[0]]
        return found


def loose_header(header: str) -> str:
    """Return what tells headers apart: everything but case, spaces and underscores."""
    return re.sub(r"[\s_]+", "", unicodedata.normalize("NFC", header).casefold())


def _parsed_text(text: str) -> object:
    if text.strip() in {"", "None", "null"}:
        return None
    for parse in (partial(json.loads, object_pairs_hook=_mapping), _parsed_python):
        try:
            found: object = parse(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
        return found
    msg = 'columns is text that is neither JSON nor a Python dict; write it as {"Employee": "developer"}'
    raise ColumnsError(msg)


def _parsed_python(text: str) -> object:
    tree = ast.parse(text.strip(), mode="eval").body
    if isinstance(tree, ast.Dict):
        _mapping([(key and ast.literal_eval(key), None) for key in tree.keys])
    return ast.literal_eval(tree)


def _mapping(pairs: Sequence[tuple[Any, Any]]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    for header, value in pairs:
        if header in found:
            msg = f"columns has the header {presented_header(str(header))} twice: leave one out"
            raise ColumnsError(msg)
        found[header] = value
    return found


def _header(header: object) -> str:
    if not isinstance(header, str):
        msg = f"columns has the key {header!r}: a key is SEI's header, as text"
        raise ColumnsError(msg)
    return header


def _named(header: object, value: object) -> Named:
    shown = presented_header(str(header))
    parts = [value] if isinstance(value, str) else value
    if not isinstance(parts, list | tuple) or not 1 <= len(parts) <= 2 or not isinstance(parts[0], str):  # noqa: PLR2004
        msg = f"columns[{shown}] must be a name or (name, type), such as 'developer' or ('build', 'string')"
        raise ColumnsError(msg)
    name, type_ = parts[0], parts[1] if len(parts) > 1 else None
    if name in {*RESERVED, *LINEAGE}:
        msg = (
            f"columns[{shown}] names {name!r}, which is reserved: {', '.join((*sorted(RESERVED), *LINEAGE))} are "
            "columns that the lake fills in itself; choose another name"
        )
        raise ColumnsError(msg)
    if not name or snake_case(name) != name:
        better = snake_case(name)
        msg = f"columns[{shown}] names {name!r}, which is not snake_case" + (f"; write {better!r}" if better else "")
        raise ColumnsError(msg)
    if type_ is None:
        return Named(name, DIMENSIONS[name][0] if name in DIMENSIONS else None)
    kind = TYPES.get(type_) if isinstance(type_, str) else None
    if kind is None:
        msg = f"columns[{shown}] has the unknown type {type_!r}; the types are {', '.join(TYPES)}"
        raise ColumnsError(msg)
    if name in DIMENSIONS and kind != DIMENSIONS[name][0]:
        own = TYPE_NAMES[DIMENSIONS[name][0]]
        msg = f"columns[{shown}] gives {name} the type {type_!r}: {name} is a dimension of type {own!r}; leave it out"
        raise ColumnsError(msg)
    return Named(name, kind)


def _check_names(by_header: Mapping[str, Named]) -> None:
    headers: dict[str, str] = {}
    for header, (name, _) in by_header.items():
        other = headers.setdefault(name, header)
        if other != header:
            msg = (
                f"columns gives {presented_header(other)} and {presented_header(header)} the same name {name!r}: "
                "two columns need two names"
            )
            raise ColumnsError(msg)
