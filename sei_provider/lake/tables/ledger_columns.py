"""Ledger of one month as the text that its footer holds: base64 of compressed Arrow IPC, one column a field.

Paths and runs, which many entries share, are written once (DESIGN, decision 13). A raw binary value would make Polars
refuse the file.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sei_provider.lake.arrow_values import to_array, to_python, to_table
from sei_provider.lake.tables.ledger_entry import EarlierRun, LedgerEntry, all_parents, unusual_parents

_SHARED = pa.dictionary(pa.int32(), pa.string())
_TIME = pa.timestamp("us", "UTC")
_DAY = pa.date32()
_SPRINT = [("team", _SHARED), ("sprint", _SHARED)]
_SCHEMA = pa.schema(
    [
        ("scope", pa.string()),
        ("start", _DAY),
        ("end", _DAY),
        ("export_id", pa.string()),
        ("created_at", _TIME),
        ("published_at", _TIME),
        ("staged_at", _TIME),
        ("rows", pa.int64()),
        ("quarantined", pa.int64()),
        ("reading", _SHARED),
        ("replace_exact_range", pa.bool_()),
        ("unknown_paths", pa.bool_()),
        ("runs", pa.list_(_SHARED)),
        ("teams", pa.list_(_SHARED)),
        ("tombstones", pa.list_(_SHARED)),
        ("put_aside", pa.list_(_SHARED)),
        ("unusual_parents", pa.list_(pa.struct([("team", _SHARED), ("above", pa.list_(_SHARED))]))),
        ("sprints", pa.list_(pa.struct(_SPRINT))),
        ("sprint_days", pa.list_(pa.struct([*_SPRINT, ("first", _DAY), ("last", _DAY)]))),
        (
            "earlier_runs",
            pa.list_(pa.struct([("run", _SHARED), ("start", _DAY), ("end", _DAY), ("created_at", _TIME)])),
        ),
    ]
)
_SETS = ("runs", "teams", "tombstones", "put_aside")
_MAY_BE_NULL = frozenset({"staged_at", "sprints"})
_AS_THEY_ARE = tuple(_SCHEMA.names[:12])
_OPTIONS = pa.ipc.IpcWriteOptions(compression="zstd")


def encode_ledger(entries: Sequence[LedgerEntry]) -> str:
    """Return the text that `decode_ledger` parses."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, _SCHEMA, options=_OPTIONS) as writer:
        writer.write_table(to_table(map(_values, entries), _SCHEMA))
    return base64.b64encode(sink.getvalue()).decode()


def decode_ledger(text: bytes, *, scopes: Collection[str] | None = None) -> tuple[LedgerEntry, ...]:
    """Return the entries, or those of some scopes, in their order.

    Raises `ValueError` or `pyarrow.ArrowException` for a text that is damaged.
    """
    table = ledger_table(text)
    if scopes is not None:
        table = table.filter(pc.is_in(table["scope"], to_array(scopes, pa.string())))
    columns = (to_python(table[name]) for name in _SCHEMA.names)
    return tuple(_entry(dict(zip(_SCHEMA.names, values, strict=True))) for values in zip(*columns, strict=True))


def ledger_table(text: bytes, columns: Sequence[str] | None = None) -> pa.Table:
    """Return the ledger as a table, or some of its columns, which costs a fraction of its entries."""
    included = [_SCHEMA.get_field_index(name) for name in columns or ()]
    options = pa.ipc.IpcReadOptions(included_fields=included)  # the others stay packed; none named is all
    with pa.ipc.open_stream(base64.b64decode(text, validate=True), options=options) as reader:
        table = reader.read_all()
    table = table.select(columns) if columns else table
    for name, column in zip(table.schema.names, table.columns, strict=True):
        members = [chunk.flatten() for chunk in column.chunks] if name in _SETS else []
        if name not in _MAY_BE_NULL and (column.null_count or any(each.null_count for each in members)):
            msg = f"an entry of its ledger has no {name}"
            raise ValueError(msg)
    return table


def _values(entry: LedgerEntry) -> dict[str, Any]:
    value = {name: getattr(entry, name) for name in _AS_THEY_ARE}
    value |= {name: sorted(getattr(entry, name)) for name in _SETS}
    value["unusual_parents"] = [
        {"team": team, "above": above} for team, above in unusual_parents(entry.teams, entry.parents).items()
    ]
    value["sprints"] = None if entry.sprints is None else _structs(entry.sprints, ("team", "sprint"))
    value["sprint_days"] = _structs(entry.sprint_days, ("team", "sprint", "first", "last"))
    value["earlier_runs"] = [run._asdict() for run in sorted(entry.earlier_runs)]
    return value


def _structs(values: Iterable[tuple[Any, ...]], names: Sequence[str]) -> list[dict[str, Any]]:
    return [dict(zip(names, value, strict=True)) for value in sorted(values)]


def _entry(value: dict[str, Any]) -> LedgerEntry:
    sprints = value["sprints"]
    fields: dict[str, Any] = {name: value[name] for name in _AS_THEY_ARE}
    fields |= {name: frozenset(value[name]) for name in _SETS}
    return LedgerEntry(
        **fields,
        parents=all_parents(value["teams"], dict(value["unusual_parents"])),
        sprints=None if sprints is None else frozenset(sprints),
        sprint_days=frozenset(value["sprint_days"]),
        earlier_runs=frozenset(EarlierRun(*run) for run in value["earlier_runs"]),
    )
