"""Retire a scope that is exported no more: an empty entry per month, as if SEI had answered with no rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime

import stamina

from sei_provider.lake.errors import ConflictError
from sei_provider.lake.periods import in_utc
from sei_provider.lake.storage.backend import Lake
from sei_provider.lake.storage.scratch import scratch_folder
from sei_provider.lake.storage.store import lake_path, locked, require_safe_writes
from sei_provider.lake.tables.coverage_summary import refresh_summary
from sei_provider.lake.tables.layout import table_folder
from sei_provider.lake.tables.ledger_entry import LedgerEntry
from sei_provider.lake.tables.merge import merge
from sei_provider.lake.tables.month_schema import arrow_schema
from sei_provider.lake.tables.stored_schema import known_table
from sei_provider.lake.tables.table import Content, Snapshot, commit, snapshot


def retire(lake: Lake, table: str, scope: str, *, retired_at: datetime, single_writer: bool = False) -> list[str]:
    """Remove the rows of a scope (`team:456`, `org:Engineering`) from a table, and return the months that held some.

    Each month gets an empty entry that reaches as far as the scope's own and is newer than these, so a later export
    brings the scope back. Idempotent: a month in which the scope has no rows left is passed over. Raises
    `UnknownTableError`.
    """
    root, retired_at = lake_path(lake), in_utc(retired_at, "retired_at")
    require_safe_writes(root, single_writer=single_writer)
    known_table(root, table)
    done: set[date] = set()
    with locked(table_folder(root, table)):
        for attempt in stamina.retry_context(on=ConflictError, attempts=10, timeout=None):
            with attempt:
                before = snapshot(table_folder(root, table))
                done.update(commit(before, _retired(before, scope, retired_at), before.schema))
        refresh_summary(table_folder(root, table), done)
    return [f"{month:%Y-%m}" for month in sorted(done)]


def _retired(before: Snapshot, scope: str, retired_at: datetime) -> Iterator[tuple[date, Content]]:
    granularity = str(before.schema.definition.get("granularity"))
    for month, footer in before.footers(before.months).items():
        held = [entry for entry in footer.ledger if entry.scope == scope]
        if not any(entry.rows for entry in held):
            continue
        with scratch_folder() as scratch:
            current = before.rows(month, scratch)
            if current:
                yield (
                    month,
                    merge(
                        current.ledger,
                        _empty(held, retired_at),
                        current.tables,
                        (),
                        schema=arrow_schema(before.schema),
                        granularity=granularity,
                        month=month,
                        scratch=scratch,
                    ),
                )


def _empty(held: Sequence[LedgerEntry], retired_at: datetime) -> list[LedgerEntry]:
    """Return empty entries over the ranges of a scope's entries: one, or one per range where these are exact."""
    exact = {(entry.start, entry.end) for entry in held if entry.replace_exact_range}
    whole = (min(entry.start for entry in held), max(entry.end for entry in held))
    return [
        LedgerEntry(
            scope=held[0].scope,
            start=start,
            end=end,
            export_id=f"retired {start} to {end} at {retired_at:%Y-%m-%dT%H:%M:%SZ}",
            created_at=retired_at,
            teams=frozenset(),
            sprints=None if held[0].sprints is None else frozenset(),
            replace_exact_range=bool(exact),
            published_at=retired_at,
            staged_at=retired_at,
        )
        for start, end in sorted(exact or {whole})
    ]
