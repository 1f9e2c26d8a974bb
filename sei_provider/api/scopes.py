"""A batch of scopes as users write it: one reading for operators, DAGs, the command line and forms. Knows no Airflow.

A text is never taken apart: `"12"` is team 12, and never teams 1 and 2.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sei_provider.api.errors import SeiInputError
from sei_provider.api.request import Scope
from sei_provider.api.validation import quoted

_EXAMPLE = 'write a list, as in ["101", "102"]'


def parse_batch(value: object, source: str = "scopes") -> list[Scope]:
    """Parse a batch: a list or tuple of scopes, or a single scope, which is a batch of one; each scope once.

    A scope is what `Scope.parse` takes. `source` is how errors name the origin of the value: an argument, a Variable, a
    field of a form. Raises `SeiInputError` for anything else, and for an empty list.
    """
    if isinstance(value, str | int | Mapping | Scope):
        return [_scope(value, source)]
    if not isinstance(value, Sequence) or isinstance(value, bytes | bytearray | memoryview):
        msg = f"{source} must be a list of scopes or a single scope, not {quoted(value)}; {_EXAMPLE}"
        raise SeiInputError(msg)
    scopes = []
    for number, member in enumerate(value, start=1):
        if isinstance(member, Sequence) and not isinstance(member, str | bytes | bytearray | memoryview):
            msg = (
                f"number {number} of {source} is itself a list: {quoted(member)}; a batch holds scopes only, "
                "and a task takes one batch: map over batches with .expand(scopes=…)"
            )
            raise SeiInputError(msg)
        scopes.append(_scope(member, f"number {number} of {source}"))
    if not scopes:
        msg = f"{source} is empty: there is no scope to export; give at least one team or org tree"
        raise SeiInputError(msg)
    return list(dict.fromkeys(scopes))


def parse_batch_json(text: str, source: str) -> list[Scope]:
    """Parse a batch from JSON text, such as the value of an Airflow Variable, as `parse_batch` does.

    Raises `SeiInputError` for text that is not JSON, and for a key that an object has twice.
    """
    try:
        value = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        msg = f"{source} is not JSON: {quoted(text)} ({error}); {_EXAMPLE}"
        raise SeiInputError(msg) from None
    return parse_batch(value, source)


def parse_label(text: str) -> Scope:
    """Parse a scope as the lake names it (`team:456`, `org:Engineering`), or the id of a team."""
    kind, colon, name = text.partition(":")
    if colon and kind.strip() == "org":
        return Scope.parse({"orgTreeName": name})
    return Scope.parse(name if colon and kind.strip() == "team" else text)


def _scope(value: object, source: str) -> Scope:
    try:
        return Scope.parse(value)
    except SeiInputError as error:
        msg = f"{source}: {error}"
        raise SeiInputError(msg) from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        msg = f"an object names a key twice: {', '.join(name for name, _ in pairs)}"
        raise ValueError(msg)
    return found
