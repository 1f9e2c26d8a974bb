"""Erase a person from the objects beside the tables: staged files, quarantine and raw copies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypedDict

import pyarrow as pa
import pyarrow.parquet as pq

from sei_provider.lake.arrow_values import empty_table
from sei_provider.lake.columns import personal_columns
from sei_provider.lake.damage import ASIDE, parsing
from sei_provider.lake.errors import DamagedObjectError, TruncatedError
from sei_provider.lake.model import SliceId, slice_id
from sei_provider.lake.staging.chunk import read_chunk, write_chunk
from sei_provider.lake.staging.erased import is_last_of, without, without_manager
from sei_provider.lake.staging.org_trees import READING
from sei_provider.lake.staging.quarantine import unnamed
from sei_provider.lake.staging.raw import drop_records
from sei_provider.lake.staging.staged_footer import CHUNK_KEY, PATHS_KEY, SLICE_KEY, describe
from sei_provider.lake.staging.staged_writer import StagedRows
from sei_provider.lake.storage.backend import LakePath
from sei_provider.lake.storage.scratch import scratch_folder
from sei_provider.lake.storage.store import fetch, names, put, put_bytes, read

Match = Callable[[str], bool]


class Erased(TypedDict):
    """Objects from which a person was erased, and how many rows each lost."""

    place: str
    """`table`, `staging`, `quarantine` or `raw`."""
    path: str
    """A table with its month, or the object."""
    rows: int
    """Rows that it lost; 0 if the person was emptied in rows that stay, as a manager beside a team's figures is."""


def note_damaged(damaged: list[str], path: LakePath) -> None:
    """Add the name of an object that cannot be read, once."""
    if str(path) not in damaged:
        damaged.append(str(path))


def other_paths(paths: Iterable[str], match: Match) -> list[str]:
    """Return the paths that are not the person's, without the person as a manager."""
    return [without_manager(path, match) for path in paths if not is_last_of(path, match)]


def from_staging(root: LakePath, match: Match, damaged: list[str]) -> Iterator[Erased]:
    """Erase a person from staged files; those that cannot be read are added to `damaged`."""
    staging = root / "_staging"
    for task in names(staging):
        files = [name for name in names(staging / task) if name.endswith(".parquet")]
        for name in (name for name in files if not name.startswith(READING)):  # teams, and no people
            path = staging / task / name
            lost = _rewrite(path, _staged_without, match, damaged)
            if lost is not None:
                _lower_rows(path.with_suffix(".json"), lost)
                yield Erased(place="staging", path=str(path), rows=sum(rows for rows, _ in lost.values()))


def from_quarantine(root: LakePath, match: Match, damaged: list[str]) -> Iterator[Erased]:
    """Erase a person from quarantine, as `from_staging` does."""
    aside = root / "_quarantine"
    for table in names(aside):
        for name in (name for name in names(aside / table) if name.endswith(".parquet")):
            path = aside / table / name
            lost = _rewrite(path, _aside_without, match, damaged)
            if lost is not None:
                yield Erased(place="quarantine", path=str(path), rows=sum(rows for rows, _ in lost.values()))


def from_raw(raw: LakePath, match: Match, damaged: list[str]) -> Iterator[Erased]:
    """Erase a person from raw copies, as `from_staging` does."""
    for table in names(raw):
        for period in names(raw / table):
            for name in names(raw / table / period):
                path = raw / table / period / name
                with scratch_folder() as scratch:
                    file = fetch(path, scratch / "before").file
                    try:
                        lost = drop_records(file, scratch / "after", match) if file else 0
                    except TruncatedError:
                        note_damaged(damaged, path)
                        continue
                    if lost:
                        put(path, scratch / "after")
                        yield Erased(place="raw", path=str(path), rows=lost)


_Lost: TypeAlias = Mapping[SliceId | None, tuple[int, list[int]]]
"""By slice of a file, how many rows it lost, and the row groups that hold the others; None for a file of one."""


def _rewrite(
    path: LakePath, write: Callable[[Path, Path, Match], _Lost | None], match: Match, damaged: list[str]
) -> _Lost | None:
    """Put a Parquet file without some rows; return what it lost, None if it stays as it is or is damaged."""
    with scratch_folder() as scratch:
        fetched = fetch(path, scratch / "before").file
        if fetched is None:
            return None
        try:
            with parsing(path, ASIDE):
                lost = write(fetched, scratch / "after", match)
        except DamagedObjectError:
            note_damaged(damaged, path)
            return None
        if lost is not None:
            put(path, scratch / "after")
        return lost


def _staged_without(before: Path, after: Path, match: Match) -> _Lost | None:
    """Write a staged file without a person, unless it does not name the person."""
    with pq.ParquetFile(before) as file:
        footer = file.metadata.metadata or {}
    if CHUNK_KEY in footer:
        return _chunk_without(before, after, match)
    entries, changed = {}, False
    report = str(json.loads(footer.get(SLICE_KEY, b"{}")).get("report"))
    if SLICE_KEY in footer:
        read = {key: json.loads(footer[key]) for key in (SLICE_KEY, PATHS_KEY)}
        rest = _footer_without(read, report, match)
        entries, changed = {key: json.dumps(value).encode() for key, value in rest.items()}, rest != read
    lost, differs = _copy(before, after, lambda rows: without(rows, report, match), entries)
    return {None: (lost, [])} if changed or differs else None


def _aside_without(before: Path, after: Path, match: Match) -> _Lost | None:
    lost, _ = _copy(before, after, lambda rows: rows.filter(unnamed(rows, match)), {})
    return {None: (lost, [])} if lost else None


def _chunk_without(before: Path, after: Path, match: Match) -> _Lost | None:
    slices = read_chunk(before)
    rest = []
    for one in slices:
        report = str(one.entries[SLICE_KEY].get("report"))
        months = {month: [without(table, report, match) for table in tables] for month, tables in one.months.items()}
        rest.append(StagedRows.of(_footer_without(one.entries, report, match), one.schema, months))
    groups = write_chunk(after, rest)
    same = all(
        left.entries == one.entries
        and all(
            pa.concat_tables(left.months.get(month, [empty_table(one.schema)])).equals(pa.concat_tables(tables))
            for month, tables in one.months.items()
        )
        for one, left in zip(slices, rest, strict=True)
    )
    ids = [each.slice_id for each in describe(pq.read_metadata(before).metadata)]
    lost = [one.rows - left.rows for one, left in zip(slices, rest, strict=True)]
    return None if same else dict(zip(ids, zip(lost, groups, strict=True), strict=True))


def _footer_without(entries: Mapping[bytes, Any], report: str, match: Match) -> Mapping[bytes, Any]:
    """Return the footer of a slice without the person, whom only a contributor report names as a team."""
    if "team" not in personal_columns(report):
        return entries
    aside = entries[SLICE_KEY].get("paths_put_aside", [])
    paths = [
        [team, without_manager(path, match)]
        for team, path in entries[PATHS_KEY]
        if not (match(team) or is_last_of(path, match))
    ]
    put_aside = {"paths_put_aside": other_paths(aside, match)} if aside else {}
    return {**entries, SLICE_KEY: {**entries[SLICE_KEY], **put_aside}, PATHS_KEY: paths}


def _copy(
    before: Path, after: Path, change: Callable[[pa.Table], pa.Table], entries: Mapping[bytes, bytes]
) -> tuple[int, bool]:
    """Write a file anew by its row groups; return how many rows it lost, and whether any has changed."""
    with pq.ParquetFile(before) as file:
        footer = {key: value for key, value in (file.metadata.metadata or {}).items() if key != b"ARROW:schema"}
        lost, changed = 0, False
        with pq.ParquetWriter(
            after, file.schema_arrow.remove_metadata(), compression="zstd", store_schema=False
        ) as writer:
            for number in range(file.num_row_groups):
                rows = file.read_row_group(number).replace_schema_metadata()
                rest = change(rows)
                lost += len(rows) - len(rest)
                changed |= not rest.equals(rows)
                writer.write_table(rest, row_group_size=max(1, len(rest)))
            writer.add_key_value_metadata({**footer, **entries})
    return lost, changed


def _lower_rows(path: LakePath, lost: _Lost) -> None:
    """Take from the manifests of a staged file the rows that it has lost."""
    try:
        manifest = read(path, json.load)
    except ValueError:  # a damaged manifest does not count, so its slice is exported again
        return
    if manifest is None or not any(rows for rows, _ in lost.values()):
        return
    if None in lost:
        manifest["rows"] -= lost[None][0]
    else:
        for each in manifest["slices"]:
            rows, groups = lost.get(slice_id(each), (0, each["row_groups"]))
            each |= {"rows": each["rows"] - rows, "row_groups": groups}
    put_bytes(path, json.dumps(manifest, indent=1).encode())
