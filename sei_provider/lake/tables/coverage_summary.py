"""Coverage summary of a table: what its ledgers tell of each scope and month, in one object that a page reads at once.

The ledgers are the truth. The summary is derived from them, holds no rows and no names of people, and may be removed.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import stamina

from sei_provider.lake.arrow_values import empty_table, to_array, to_python, to_rows, to_table
from sei_provider.lake.columns import personal_columns
from sei_provider.lake.damage import parsing
from sei_provider.lake.distinct import sorted_by
from sei_provider.lake.errors import ConflictError, DamagedObjectError, LakeError
from sei_provider.lake.model import run_id_of
from sei_provider.lake.storage.backend import Lake, LakePath
from sei_provider.lake.storage.scratch import scratch_folder
from sei_provider.lake.storage.store import MAX_WORKERS, fetch, lake_path, names, put_bytes, read
from sei_provider.lake.tables.coverage import CoveringSlice, covered_scopes
from sei_provider.lake.tables.footer import read_ledger_tables
from sei_provider.lake.tables.hierarchy import usual_parent
from sei_provider.lake.tables.layout import months, table_folder
from sei_provider.lake.tables.schema import TableSchema
from sei_provider.lake.tables.stored_schema import read_schema

log = logging.getLogger(__name__)

_FORMAT = 1
_ABOUT = b"sei.coverage"
_LEDGER_COLUMNS = ("scope", *CoveringSlice._fields, "export_id", "runs", "teams", "unusual_parents")
_TIME = pa.timestamp("us", "UTC")
_SHARED = ("scope", "path", "above")
_NEVER_NULL = frozenset({"month", "scope", "seen_at", "complete", "rows", "quarantined"})
_MOST_YEARS = 200
CELLS = pa.schema(
    [
        ("month", pa.date32()),
        ("scope", pa.string()),
        ("published_at", _TIME),
        ("seen_at", _TIME),
        ("complete", pa.bool_()),
        ("rows", pa.int64()),
        ("quarantined", pa.int64()),
        ("path", pa.string()),
        ("above", pa.string()),
        ("exports", pa.int32()),
        ("export_id", pa.string()),
        ("exported_at", _TIME),
        ("start", pa.date32()),
        ("end", pa.date32()),
        ("runs", pa.list_(pa.string())),
    ]
)
"""Columns of the cells of a summary."""
GRID_COLUMNS = CELLS.names[:9]
"""Columns that tell the state of a cell, without those that describe its export."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageSummary:
    """Content of the ledgers of a table when the summary was written."""

    report: str
    granularity: str
    months: tuple[date, ...]
    """First days of the months that the table has, in order."""
    damaged: frozenset[date]
    """Months of these whose objects could not be read."""
    cells: pa.Table
    """One row per month and scope with slices there, by month and scope. `published_at`, `complete`, `rows` and
    `quarantined` as in `ScopeCoverage`; `seen_at`: when any slice of the scope there was published last. `path` is the
    hierarchy of the scope's team and `above` that of the team above it, where these are known and no people's names.
    `exports` counts the slices, the others describe the newest one: `export_id`, `exported_at` by SEI's clock, `start`
    and `end` of its range, the ids of the `runs` that handed it on."""


def summary_path(root: LakePath, table: str) -> LakePath:
    """Return where the summary of a table lies: outside the table's folder, where readers would stumble over it."""
    return root / "_coverage" / f"{table_folder(root, table).name}.arrow"


def summarized_tables(lake: Lake) -> list[str]:
    """Return the tables that have a summary."""
    return [name.removesuffix(".arrow") for name in names(lake_path(lake) / "_coverage") if name.endswith(".arrow")]


def read_summary(lake: Lake, table: str, *, columns: Sequence[str] | None = None) -> CoverageSummary | None:
    """Read the summary of a table, or some columns of its cells; None if it has none.

    Raises `DamagedObjectError` for one that is damaged or of another version of this package: the next publish or
    maintenance writes it anew.
    """
    path = summary_path(lake_path(lake), table)
    return read(path, lambda data: _decoded(path, data.read(), columns))


def refresh_summary(folder: LakePath, touched: Iterable[date] | None = None, schema: TableSchema | None = None) -> bool:
    """Bring the summary of a table up to its ledgers, and return whether that worked; hold `locked`.

    `touched` names the months whose ledgers may have changed; None reads all, as a summary that is lost, damaged, or
    lacks months makes it do. `schema` is the table's; None reads it. Puts nothing if nothing differs. The months are
    put already and are the truth, so a failure is a warning in the log and no error; the next publish of these months
    or maintenance mends it.
    """
    try:
        for attempt in stamina.retry_context(
            on=ConflictError, attempts=20, timeout=None, wait_initial=0.05, wait_max=2
        ):
            with attempt:
                _refresh(folder, touched, schema or read_schema(folder))
    except LakeError as error:
        log.warning(
            "the coverage summary of table %s is behind, all rows are there: %s. The next publish of these months or "
            "`rewrite_months` writes it anew",
            folder.name, error,
        )  # fmt: skip
        return False
    return True


def put_summary(path: LakePath, summary: CoverageSummary, *, if_match: str) -> None:
    """Put a summary. Raises `ConflictError` if it was put since."""
    put_bytes(path, _encoded(summary), if_match=if_match)


def _refresh(folder: LakePath, touched: Iterable[date] | None, schema: TableSchema) -> None:
    path = summary_path(folder.parent, folder.name)
    # The version comes first: who puts last has read the ledgers after the put before.
    with scratch_folder() as scratch:
        fetched = fetch(path, scratch / "coverage")
        before = None
        if fetched.file is not None:
            try:
                before = _decoded(path, fetched.file.read_bytes(), None)
            except DamagedObjectError as error:
                log.warning("%s", error)
    existing = months(folder)
    stale = set(existing) if before is None or touched is None else {*touched} | {*existing}.difference(before.months)
    if before is not None:
        stale |= before.damaged
    damaged: set[date] = set()
    report, granularity = (str(schema.definition.get(name)) for name in ("report", "granularity"))
    fresh = list(_cells(folder, sorted(stale.intersection(existing)), report, granularity, damaged))
    if before is not None:
        kept = to_array(sorted(set(existing) - stale), pa.date32())
        fresh.append(_plain(before.cells.filter(pc.is_in(before.cells["month"], kept))))
    cells = sorted_by(pa.concat_tables([*fresh, empty_table(CELLS)]), ["month", "scope"])
    after = CoverageSummary(
        report=report, granularity=granularity, months=tuple(existing), damaged=frozenset(damaged), cells=cells
    )
    if before is None or not _is_same(before, after):
        put_summary(path, after, if_match=fetched.version)


def _cells(
    folder: LakePath, wanted: Sequence[date], report: str, granularity: str, damaged: set[date]
) -> Iterator[pa.Table]:
    """Yield the cells of each month, from ledgers that are read some months at a time."""
    names_teams = "team" not in personal_columns(report)
    for first in range(0, len(wanted), MAX_WORKERS):
        broken: dict[date, DamagedObjectError] = {}
        part = wanted[first : first + MAX_WORKERS]
        ledgers = read_ledger_tables(folder, part, _LEDGER_COLUMNS, damaged=broken)
        damaged.update(broken)
        for month in part:
            rows = _month(month, ledgers.pop(month), granularity, names_teams=names_teams)
            yield to_table(rows, CELLS)


def _month(month: date, ledger: pa.Table, granularity: str, *, names_teams: bool) -> Iterator[dict[str, Any]]:
    columns = map(to_python, ledger.select(["scope", *CoveringSlice._fields]).columns)
    by_scope: dict[str, list[tuple[CoveringSlice, int]]] = defaultdict(list)
    for number, (scope, *values) in enumerate(zip(*columns, strict=True)):
        by_scope[scope].append((CoveringSlice(*values), number))
    covered = {row["scope"]: row for row in to_rows(covered_scopes(ledger, month, granularity))}
    newest = {scope: max(held, key=lambda each: each[0].created_at) for scope, held in by_scope.items()}
    details = ledger.select(["export_id", "runs", "teams", "unusual_parents"])
    details = details.take(to_array((number for _, number in newest.values()), pa.int64()))
    of_newest = zip(*map(to_python, details.columns), strict=True)
    for (scope, (last, _)), (export_id, runs, teams, unusual) in zip(newest.items(), of_newest, strict=True):
        entries = [entry for entry, _ in by_scope[scope]]
        found = covered.get(scope, {})
        path, above = _own_path(teams, dict(unusual)) if names_teams else (None, None)
        yield {
            "month": month,
            "scope": scope,
            "published_at": found.get("published_at"),
            "seen_at": max(entry.published_at for entry in entries),
            "complete": bool(found.get("complete")),
            "rows": found.get("rows") or 0,
            "quarantined": found.get("quarantined") or 0,
            "path": path,
            "above": above,
            "exports": len(entries),
            "export_id": export_id,
            "exported_at": last.created_at,
            "start": last.start,
            "end": last.end,
            "runs": sorted({run_id_of(run) for run in runs}),
        }


def _own_path(teams: Collection[str], unusual: Mapping[str, list[str]]) -> tuple[str | None, str | None]:
    """Return the hierarchy of the team whose export names these, and that of the team above it; None if not certain.

    Where the export has no row of its team itself, this is the team that stands above all its rows.
    """
    above = {path: unusual.get(path) or [usual_parent(path)] for path in teams if path}
    roots = [path for path, parents in above.items() if above.keys().isdisjoint(parents)]
    if len(roots) == 1:
        return roots[0], above[roots[0]][0]
    shared = {parent for path in roots for parent in above[path]}
    if len(shared) == 1 and (path := shared.pop()):
        return path, usual_parent(path)
    return None, None


def _is_same(before: CoverageSummary, after: CoverageSummary) -> bool:
    about = (before.report, before.granularity, before.months, before.damaged)
    return about == (after.report, after.granularity, after.months, after.damaged) and _plain(before.cells).equals(
        after.cells
    )


def _plain(cells: pa.Table) -> pa.Table:
    return cells.cast(CELLS)


def _encoded(summary: CoverageSummary) -> bytes:
    about = {
        "format": _FORMAT,
        "report": summary.report,
        "granularity": summary.granularity,
        "months": [f"{month:%Y-%m-%d}" for month in summary.months],
        "damaged": [f"{month:%Y-%m-%d}" for month in sorted(summary.damaged)],
    }
    cells = summary.cells.combine_chunks()
    for name in _SHARED:
        shared = pc.dictionary_encode(cells[name])
        cells = cells.set_column(cells.schema.get_field_index(name), name, shared.combine_chunks())
    cells = cells.replace_schema_metadata({_ABOUT: json.dumps(about)})
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_stream(sink, cells.schema, options=options) as writer:
        writer.write_table(cells)
    return bytes(sink.getvalue())


def _decoded(path: LakePath, data: bytes, columns: Sequence[str] | None) -> CoverageSummary:
    with parsing(path, "the next publish or maintenance writes it anew"):
        included = [CELLS.get_field_index(name) for name in columns or ()]
        with pa.ipc.open_stream(data, options=pa.ipc.IpcReadOptions(included_fields=included)) as reader:
            cells = reader.read_all()
        about = json.loads((cells.schema.metadata or {})[_ABOUT])
        if about["format"] != _FORMAT:
            msg = f"format {about['format']}, not {_FORMAT}"
            raise ValueError(msg)
        summary = CoverageSummary(
            report=str(about["report"]),
            granularity=str(about["granularity"]),
            months=tuple(date.fromisoformat(month) for month in about["months"]),
            damaged=frozenset(date.fromisoformat(month) for month in about["damaged"]),
            cells=cells.select(columns or CELLS.names),
        )
        _check(summary)
        return summary


def _check(summary: CoverageSummary) -> None:
    """Raise `ValueError` for values that this package writes in no summary, so that a page need not expect them."""
    first_days = summary.months
    if any(month.day != 1 for month in first_days) or list(first_days) != sorted(set(first_days)):
        msg = "its months are not in order"
        raise ValueError(msg)
    if first_days and first_days[-1].year - first_days[0].year > _MOST_YEARS:
        msg = f"its months are more than {_MOST_YEARS} years apart"
        raise ValueError(msg)
    for column in summary.cells.schema:
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        nulls = summary.cells[column.name].null_count if column.name in _NEVER_NULL else 0
        if kind != CELLS.field(column.name).type or nulls:
            msg = f"its column {column.name} is {column.type} with {nulls} nulls"
            raise ValueError(msg)
