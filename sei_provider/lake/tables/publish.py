"""Publish: put staged slices into their tables by one loop of snapshot, plan and commit, again on conflict.

`plan` decides which months are concerned, `merge` what they hold then, and `table` reads and puts them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import TypeAlias

import stamina

from sei_provider.lake.columns import TEAM_ID
from sei_provider.lake.errors import (
    ConflictError,
    DamagedObjectError,
    LakeError,
    StagingError,
    TableDefinitionError,
)
from sei_provider.lake.model import Manifest, Published, SliceId, Superseded, checked_table_name, slice_id
from sei_provider.lake.periods import in_utc, next_month
from sei_provider.lake.read_ahead import read_ahead
from sei_provider.lake.staging.manifests import mark_published
from sei_provider.lake.storage.backend import Lake, LakePath
from sei_provider.lake.storage.scratch import scratch_folder
from sei_provider.lake.storage.store import lake_path, locked, require_safe_writes
from sei_provider.lake.tables.batch import Batch
from sei_provider.lake.tables.column_types import cast_columns, infer_types
from sei_provider.lake.tables.coverage_summary import refresh_summary
from sei_provider.lake.tables.layout import FORMAT, months, table_folder
from sei_provider.lake.tables.ledger import AlreadyPublished
from sei_provider.lake.tables.ledger_entry import LedgerEntry
from sei_provider.lake.tables.merge import Merged, merge, of_slices
from sei_provider.lake.tables.month_schema import arrow_schema
from sei_provider.lake.tables.org_trees import publish_readings
from sei_provider.lake.tables.plan import (
    CROSSES_MONTHS,
    Ledgers,
    entries_reaching,
    ledger_entry,
    months_to_look_at,
    not_held,
    outdated_months,
    slices_by_month,
    sprints_moving_on,
    within_footer,
)
from sei_provider.lake.tables.row_keys import shared_text_encoded
from sei_provider.lake.tables.schema import PERSONAL_DATA, TableSchema
from sei_provider.lake.tables.staged_slices import UnreadableRowsError, open_slices
from sei_provider.lake.tables.stored_policy import with_stored_policy
from sei_provider.lake.tables.stored_schema import read_schema
from sei_provider.lake.tables.table import Content, Rewritten, Snapshot, commit, snapshot
from sei_provider.lake.tables.team_ids import OrgTrees, with_team_ids

_Staged: TypeAlias = tuple[Manifest, LakePath]
"""A manifest, and the path that it names."""


def publish(
    lake: Lake,
    manifests: Iterable[Manifest],
    *,
    published_at: datetime,
    table: str | None = None,
    single_writer: bool = False,
    on_refused: Callable[[Manifest, LakeError], None] | None = None,
) -> list[Published]:
    """Put staged slices into their tables, replacing what they cover, and return what each month holds then.

    Each month changes by one atomic put of rows and ledger, tables by name and months in order. After the last put the
    staged files are marked as published and removed. Idempotent: if a publisher dies, every month is complete, old or
    new, and publishing again does the rest. A slice that a ledger holds already changes nothing; one whose staged file
    is gone counts as published if a ledger holds it. `table` takes the place of the tables that the manifests name.
    Concurrent publishers lose nothing of each other on local disk (one machine) and on S3. Elsewhere only one may run,
    and `single_writer=True` confirms that. Memory is bounded for any number of rows.
    Readings of the org trees (`stage_teams`) are put into their table of teams first, and stay staged. Rows get a
    `team_id` where the readings before and after their export leave no doubt of it, see `OrgTrees.ids_of`.
    Manifests with an error are ignored. A slice that does not fit its table (`SchemaError`, `TableDefinitionError`), or
    that is damaged or concerns a month whose object is (`DamagedObjectError`), is refused by itself and stays staged;
    the others are published. `on_refused` is called for each of them; without it the first such error is raised, after
    all else is done. Raises `StagingError` and `NewerFormatError` before anything is written to the table concerned.
    """
    root, published_at = lake_path(lake), in_utc(published_at, "published_at")
    require_safe_writes(root, single_writer=single_writer)
    by_table: dict[str, list[_Staged]] = defaultdict(list)
    readings: dict[str, list[_Staged]] = defaultdict(list)
    for manifest in manifests:
        if manifest["path"] is not None and manifest["error"] is None:
            staged = manifest, _path_within(root, manifest)
            if manifest.get("teams"):
                readings[checked_table_name(manifest["table"])].append(staged)
            else:
                renamed = None if manifest.get("developers") else table
                by_table[checked_table_name(renamed or manifest["table"])].append(staged)
    published: list[Published] = []
    refused: list[tuple[Manifest, LakeError]] = []
    done: list[_Staged] = []
    in_files: dict[str, frozenset[SliceId]] = {}
    trees = publish_readings(root, readings, refused)
    for name, slices in sorted(by_table.items()):
        batch = _publish_table(root, name, slices, published_at, trees)
        published += batch.report()
        in_files |= batch.in_files
        for manifest, path in slices:
            error = batch.error(manifest)
            if error is not None:
                refused.append((manifest, error))
            elif (manifest["path"], slice_id(manifest)) not in batch.gone:
                done.append((manifest, path))
    _mark_published(done, in_files)
    for manifest, error in refused:
        if on_refused is None:
            raise error
        on_refused(manifest, error)
    return published


@dataclass(frozen=True, slots=True)
class _Plan:
    """Changes from one snapshot: the schema then, and the slices to merge into each month."""

    schema: TableSchema
    visited: Mapping[date, Sequence[LedgerEntry]]
    """Months that the batch concerns, with the slices that each does not hold yet."""
    outdated: frozenset[date]
    """Months to rewrite at once, whose columns are not those of the schema."""


def _publish_table(
    root: LakePath, table: str, slices: Sequence[_Staged], published_at: datetime, trees: OrgTrees
) -> Batch:
    folder = table_folder(root, table)
    with locked(folder), scratch_folder() as scratch:
        staged, gone, damaged, in_files = open_slices(slices, scratch)
        entries = {key: ledger_entry(file, published_at) for key, file in staged.files.items()}
        already = AlreadyPublished.find(folder, gone)
        exports = {(entry.scope, entry.export_id) for entry in entries.values()} | already.exports
        unknown = {header for manifest, _ in slices for header in manifest.get("unknown_columns", ())}
        lost = frozenset((manifest["path"], slice_id(manifest)) for manifest in gone)
        reused = {(manifest["scope"], manifest["export_id"]) for manifest, _ in slices if manifest.get("reused")}
        ids = {
            key: trees.ids_of(file, reused=(file.slice.scope, file.export_id) in reused)
            for key, file in staged.files.items()
        }
        batch = Batch(folder, published_at, staged, entries, already, frozenset(exports), sorted(unknown), ids, lost)
        batch.unfit |= damaged
        batch.in_files = in_files
        for attempt in stamina.retry_context(
            on=ConflictError, attempts=40, timeout=None, wait_initial=0.05, wait_max=5, wait_jitter=0.5
        ):
            with attempt:
                while not _is_settled_but_for_damage(batch):
                    continue
        if batch.schema is not None:
            refresh_summary(folder, batch.months, batch.schema)
    return batch


def _is_settled_but_for_damage(batch: Batch) -> bool:
    """Return whether the batch is settled; slices of which rows turn out to be unreadable are left out of it."""
    try:
        return _is_settled(batch)
    except UnreadableRowsError as error:
        errors = batch.staged.leave_out_unreadable()
        if not errors:
            raise (error.__cause__ or error) from None
        batch.unfit |= {slice_key[:2]: found for slice_key, found in errors.items()}
        return False


def _is_settled(batch: Batch) -> bool:
    """Take a snapshot, plan and commit. Return whether no other snapshot is needed.

    A slice stands in the ledger of every existing month that it concerns. A month that a concurrent publisher has made
    meanwhile is in the next snapshot: of two publishers one commits last and sees the months of the other, so neither
    needs to wait.
    """
    before = snapshot(batch.folder)
    if before.holds_teams:
        msg = (
            f"table {batch.folder.name} holds the teams: give the figures another one with table= of SeiPublishOperator"
        )
        batch.unfit |= dict.fromkeys((entry.export for entry in batch.entries.values()), TableDefinitionError(msg))
        return True
    plan = _plan(batch, before)
    with closing(_changes(batch, before, plan)) as changes:
        put = commit(before, changes, plan.schema, damaged=before.damaged)
    if not put and plan.schema == before.schema:
        return True
    return not (
        # A month that was put is not behind any more, and months put under a schema that is no longer the newest are.
        set(put).intersection(plan.schema.behind)
        or read_schema(batch.folder).columns != plan.schema.columns
        or plan.schema.definition.get("granularity") in CROSSES_MONTHS
        or set(months(batch.folder)) - plan.visited.keys() - set(before.months)
    )


def _plan(batch: Batch, before: Snapshot) -> _Plan:
    tells_policy = any(file.slice.definition.get(PERSONAL_DATA) for file in batch.staged.files.values())
    schema = _widened(batch, with_stored_policy(before) if tells_policy else before.schema)
    existing, granularity = set(before.months), str(schema.definition.get("granularity"))
    held: Ledgers = dict.fromkeys(existing, ())
    if granularity == "sprint":
        held = {month: footer.ledger for month, footer in before.footers(existing).items()}
    files = [file for key, file in batch.staged.files.items() if batch.entries[key].export not in batch.unfit]
    own = slices_by_month(files, held)
    visited = {month: [batch.entries[key] for key in own.get(month, ())] for month in {*own, *batch.already.months}}
    if granularity in CROSSES_MONTHS:
        footers = before.footers(months_to_look_at({*existing, *own}, visited, granularity))
        ledgers = {month: (*footer.ledger, *visited.get(month, ())) for month, footer in footers.items()}
        visited = {month: [*entries, *entries_reaching(month, ledgers)] for month, entries in visited.items()}
    before.footers(visited)
    for month in visited.keys() & before.damaged.keys():
        batch.refused |= {entry.export: before.damaged[month] for entry in visited.pop(month)}
    fresh = {month: not_held(entries, before.ledger(month)) for month, entries in visited.items()}
    for month, entries in fresh.items():
        fresh[month], full = within_footer(entries, before.ledger(month), f"{batch.folder.name}, month {month:%Y-%m},")
        batch.refused |= {entry.export: error for entry, error in full}
    schema, outdated = outdated_months(before, schema, visited)
    return _Plan(schema, fresh, outdated)


def _widened(batch: Batch, before: TableSchema) -> TableSchema:
    """Add the slices that fit to the schema, and note the others, the new columns, and those that all slices lack."""
    schema = replace(before, format=FORMAT)
    if batch.schema and (schema.columns, schema.definition) == (batch.schema.columns, batch.schema.definition):
        return schema
    for file in sorted(batch.staged.files.values(), key=lambda file: file.created_at):
        try:
            schema = schema.with_definition(file.slice)
        except TableDefinitionError as error:
            batch.unfit[file.slice.scope, file.export_id] = error
    schema, unfit = infer_types(batch.staged, batch.folder.name, schema, batch.unfit.keys())
    schema = schema.with_team_id() if schema.columns else schema
    batch.unfit |= unfit
    known = {column.name for column in before.columns}
    seen = {column.name for columns in batch.staged.columns.values() for column in columns}
    if batch.schema is None and batch.staged.files:
        lacking = {column.name for column in before.columns} - seen - {TEAM_ID}
        batch.missing_columns = [column.name for column in before.columns if column.name in lacking]
    if known:
        batch.new_columns += [column.name for column in schema.columns if column.name not in known]
    batch.schema = schema
    return schema


def _changes(batch: Batch, before: Snapshot, plan: _Plan) -> Generator[tuple[date, Content]]:
    """Merge the months to put, one at a time, and note what each month of the batch holds once it is put."""
    for month in sorted({*plan.visited, *plan.outdated}):
        fresh = plan.visited.get(month, ())
        if not fresh and month not in plan.outdated:
            batch.note(month, before.ledger(month))
            continue
        with scratch_folder() as scratch:
            try:
                content, superseded = _content(batch, before, plan, month, scratch)
            except DamagedObjectError as error:
                before.damaged[month] = error
                content, superseded = None, []
            if content is not None:
                yield month, content
            if month in before.damaged:
                batch.refused |= {entry.export: before.damaged[month] for entry in fresh}
                continue
            if month in plan.visited:
                batch.note(month, before.ledger(month) if content is None else content.ledger, superseded)
            if isinstance(content, Merged) and content.figures:
                then, now = content.figures
                names_teams = plan.schema.definition.get("report") != "contributor_report"
                batch.note_restated(month, then.restated_by(now, names_teams=names_teams))


def _content(
    batch: Batch, before: Snapshot, plan: _Plan, month: date, scratch: Path
) -> tuple[Content | None, list[Superseded]]:
    """Return the new content of a month, None if it stays as it is, and the slices that are superseded there."""
    target, fresh = arrow_schema(plan.schema), plan.visited.get(month, ())
    current = before.rows(month, scratch)
    if current:
        current.require_castable(target)
    if not fresh and current:
        return Rewritten(current, target), []
    held = current.ledger if current else ()
    own = ({entry.slice_key for entry in fresh} & batch.staged.files.keys()) - {entry.slice_key for entry in held}
    with_rows = {key for key in own if month in batch.staged.files[key].months}
    ids = batch.team_ids if plan.schema.has_team_id else {}
    pieces = (with_team_ids(of_slices(rows, own, month), ids) for rows in batch.staged.pieces(with_rows, month=month))
    rows = (shared_text_encoded(cast_columns(piece, plan.schema)) for piece in pieces)
    with closing(read_ahead(rows)) as staged:
        merged = merge(
            held,
            fresh,
            current.placed if current else None,
            staged,
            schema=target,
            granularity=str(plan.schema.definition.get("granularity")),
            month=month,
            moving_on=sprints_moving_on(month, plan.visited, held),
            scratch=scratch,
            figures=current is not None and next_month(month) <= batch.published_at.date(),
        )
    is_same = current is not None and tuple(merged.ledger) == held and month not in plan.outdated
    of_batch = [lost for lost in merged.superseded if (lost["scope"], lost["export_id"]) in batch.exports]
    return None if is_same else merged, of_batch


def _mark_published(done: Sequence[_Staged], in_files: Mapping[str, frozenset[SliceId]]) -> None:
    """Mark slices as published; `in_files` are all slices of each file that may hold others."""
    own: dict[str, set[SliceId]] = defaultdict(set)
    for manifest, path in done:
        own[str(path)].add(slice_id(manifest))
    others = {path: in_files.get(path, frozenset()) - ids for path, ids in own.items()}
    mark_published([manifest for manifest, _ in done], [path for _, path in done], others)


def _path_within(root: LakePath, manifest: Manifest) -> LakePath:
    """Open the manifest's path through the lake's own path object, which carries the credentials of the store."""
    path = str(manifest["path"])
    for prefix in (str(root), root.path):
        inside = prefix.rstrip("/") + "/"
        parts = path.removeprefix(inside).split("/")
        if path.startswith(inside) and parts[0] == "_staging" and not {"", ".", ".."}.intersection(parts):
            return root / path.removeprefix(inside)
    msg = (
        f"the slice of {manifest['scope']} is staged at {path}, outside the lake {root} or its folder _staging: "
        "give the export and the publish task the same lake"
    )
    raise StagingError(msg)
