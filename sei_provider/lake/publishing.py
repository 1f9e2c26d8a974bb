"""Staged slices into their tables: which months they concern, in which order, under which lock.

What a month then holds is `merging`'s business, and how it is written that of `tables`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from upath import UPath

from sei_provider.lake.deciding import decide, typed
from sei_provider.lake.errors import StagingError
from sei_provider.lake.manifests import remove_if_empty
from sei_provider.lake.merging import merge
from sei_provider.lake.owners import Entry, sprint_name
from sei_provider.lake.slices import (
    Manifest,
    Published,
    Skipped,
    Slice,
    in_utc,
    months_between,
    period_months,
    previous_month,
)
from sei_provider.lake.staged_files import StagedFile, read_staged
from sei_provider.lake.store import lake_path, locked
from sei_provider.lake.tables import (
    Month,
    arrow_schema,
    months,
    object_path,
    put_month,
    put_schema,
    read_ledger,
    read_month,
    read_schema,
)


def publish(lake: UPath | Path | str, manifests: Iterable[Manifest], *, published_at: datetime) -> list[Published]:
    """Put staged slices into their tables, replacing what they covered before; give what each month holds then.

    Each month changes by one atomic put of rows and ledger, months in order, tables by name; staging is emptied
    after the last. A publisher that dies leaves whole months, and running it again completes them: slices that are
    in already change nothing, and those whose staging is gone count as done if a ledger holds them.
    Manifests with an error are passed over. Raises `StagingError`, `TableMeaningError` or `SchemaError` before
    anything of the table concerned is written.
    """
    root, published_at = lake_path(lake), in_utc(published_at, "published_at")
    by_table: dict[str, list[Manifest]] = defaultdict(list)
    for manifest in manifests:
        if manifest["path"] is not None and manifest["error"] is None:
            by_table[manifest["table"]].append(manifest)
    published = [
        month for table in sorted(by_table) for month in _publish_table(root, table, by_table[table], published_at)
    ]
    _empty_staging(_within(root, manifest) for part in by_table.values() for manifest in part)
    return published


def _publish_table(root: UPath, table: str, manifests: Iterable[Manifest], published_at: datetime) -> list[Published]:
    folder = root / table
    with locked(folder):
        before = read_schema(folder)
        files, gone = _read(root, manifests)
        done = _Done.find(folder, gone)
        schema = before
        for file in sorted(files, key=lambda file: file.created_at):
            schema = schema.meaning_with(file.slice)
        schema = decide(files, schema)
        rows = typed(files, table, schema)
        if schema != before:
            put_schema(folder, schema)
        visits = _visits(files, rows, folder)
        entries = {file.identity: _entry(file, published_at) for file in files}
        given = {*entries, *done.identities}
        published = []
        for month in sorted({*visits, *done.months}):
            here = _of_month(rows, month)
            new = Month(here, tuple(entries[identity] for identity in visits.get(month, ())))
            merged = merge(read_month(folder, month), new, arrow_schema(schema), month)
            if merged.changed:
                put_month(folder, month, merged.month)
            published.append(
                Published(
                    table=table,
                    month=f"{month:%Y-%m}",
                    rows=len(merged.month.rows),
                    slices=sum(entry.identity in given for entry in merged.month.ledger),
                    skipped=merged.skipped + done.months.get(month, []),
                    path=str(object_path(folder, month)),
                )
            )
    return published


def _read(root: UPath, manifests: Iterable[Manifest]) -> tuple[list[StagedFile], list[Manifest]]:
    """Read what is staged, one file per export, and tell what is gone."""
    files: dict[tuple[str, str], StagedFile] = {}
    gone = []
    for manifest in manifests:
        try:
            file = read_staged(_within(root, manifest))
        except FileNotFoundError:
            gone.append(manifest)
        else:
            # SEI hands one export to equal requests, so two tasks may have staged the same: its rows count once.
            files.setdefault(file.identity, file)
    return list(files.values()), gone


@dataclass(slots=True)
class _Done:
    """Slices that an earlier try has published: in which months they are, or what took their place."""

    identities: set[tuple[str, str]] = field(default_factory=set)
    months: dict[date, list[Skipped]] = field(default_factory=dict)

    @classmethod
    def find(cls, folder: UPath, gone: Sequence[Manifest]) -> _Done:
        done = cls()
        ledgers = {month: read_ledger(folder, month) for month in months(folder)} if gone else {}
        lost = [manifest for manifest in gone if not done._holds(manifest, ledgers)]
        if lost:
            names = ", ".join(f"{m['scope']} {m['start']} to {m['end']} (export {m['export_id']})" for m in lost)
            msg = (
                f"{len(lost)} staged slices of table {folder.name} are gone and no ledger holds them: {names}; "
                "clear the export tasks they came from, so that these are exported again"
            )
            raise StagingError(msg)
        return done

    def _holds(self, manifest: Manifest, ledgers: Mapping[date, Sequence[Entry]]) -> bool:
        identity = (manifest["scope"], manifest["export_id"] or "")
        inside = [month for month, entries in ledgers.items() if any(entry.identity == identity for entry in entries)]
        if inside:
            self.identities.add(identity)
            self.months |= {month: self.months.get(month, []) for month in inside}
            return True
        newer = {month: [entry for entry in held if _newer(entry, manifest)] for month, held in ledgers.items()}
        if not _spanned((entry for held in newer.values() for entry in held), manifest):
            return False
        skipped = Skipped(
            scope=manifest["scope"],
            start=manifest["start"],
            end=manifest["end"],
            export_id=manifest["export_id"] or "",
            reason="newer exports cover all of it",
        )
        self.months.setdefault(next(month for month, held in newer.items() if held), []).append(skipped)
        return True


def _newer(entry: Entry, manifest: Manifest) -> bool:
    made = datetime.fromisoformat(manifest["created_at"] or "")
    return entry.scope == manifest["scope"] and (entry.created_at, entry.export_id) > (made, manifest["export_id"])


def _spanned(entries: Iterable[Entry], manifest: Manifest) -> bool:
    """Whether entries together asked for every day of the manifest's range."""
    missing = date.fromisoformat(manifest["start"])
    for entry in sorted(entries, key=lambda entry: entry.start):
        if entry.start <= missing:
            missing = max(missing, entry.end + timedelta(days=1))
    return missing > date.fromisoformat(manifest["end"])


def _within(root: UPath, manifest: Manifest) -> UPath:
    """Open the manifest's path through the lake's own path object, which carries the store's credentials."""
    path = str(manifest["path"])
    for prefix in (str(root), root.path):
        inside = prefix.rstrip("/") + "/"
        if path.startswith(inside):
            return root / path.removeprefix(inside)
    msg = (
        f"the slice of {manifest['scope']} is staged at {path}, outside the lake {root}: stage and publish to one lake"
    )
    raise StagingError(msg)


def _visits(files: Iterable[StagedFile], rows: pa.Table, folder: UPath) -> dict[date, list[tuple[str, str]]]:
    """Give, per month, the slices that concern it."""
    existing = set(months(folder))
    starts = rows.select(["_scope", "_export_id"]).append_column(
        "month", pc.floor_temporal(rows["start_date"], unit="month")
    )
    with_rows: dict[tuple[str, str], set[date]] = defaultdict(set)
    for row in starts.group_by(["_scope", "_export_id", "month"]).aggregate([]).to_pylist():
        with_rows[row["_scope"], row["_export_id"]].add(row["month"])
    visits: dict[date, list[tuple[str, str]]] = defaultdict(list)
    for file in files:
        touched = _months_asked_for(file.slice, existing, folder) | with_rows[file.identity]
        for month in touched:
            visits[month].append(file.identity)
    return visits


def _months_asked_for(slice_: Slice, existing: Collection[date], folder: UPath) -> set[date]:
    start, end = slice_.start, slice_.end
    asked = set(period_months(start, end, slice_.granularity))
    asked |= {month for month in months_between(start, end) if month in existing}
    if slice_.granularity == "sprint":
        # A sprint that reaches into the range may have begun in a month before it.
        month, reaches = previous_month(start.replace(day=1)), True
        while reaches and month in existing:
            asked.add(month)
            reaches = any(entry.end >= start for entry in read_ledger(folder, month))
            month = previous_month(month)
    return asked


def _entry(file: StagedFile, published_at: datetime) -> Entry:
    sprints: frozenset[tuple[str, str]] | None = None
    if file.slice.granularity == "sprint":
        names = [name for name in ("team_hierarchy", "start_date", "sprint") if name in file.rows.schema.names]
        found = file.rows.group_by(names).aggregate([]).to_pylist()
        sprints = frozenset((row["team_hierarchy"], sprint_name(row.get("sprint"), row["start_date"])) for row in found)
    return Entry(
        scope=file.slice.scope,
        start=file.slice.start,
        end=file.slice.end,
        export_id=file.export_id,
        created_at=file.created_at,
        teams=file.paths,
        sprints=sprints,
        published_at=published_at,
    )


def _of_month(rows: pa.Table, month: date) -> pa.Table:
    return rows.filter(pc.equal(pc.floor_temporal(rows["start_date"], unit="month"), month))


def _empty_staging(paths: Iterable[UPath]) -> None:
    folders = {}
    for path in paths:
        # The manifest first: a file without one does not count as staged, one whose file is gone would look lost.
        path.with_suffix(".json").unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        folders[str(path.parent)] = path.parent
    for folder in folders.values():
        remove_if_empty(folder)
