"""Erase a person from the objects beside the tables: staged files, quarantine and raw copies."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypedDict

import pyarrow as pa
import pyarrow.parquet as pq

from sei_provider.lake.columns import personal_columns
from sei_provider.lake.damage import ASIDE, parsing
from sei_provider.lake.errors import DamagedObjectError, TruncatedError
from sei_provider.lake.staging.erased import is_last_of, without, without_manager
from sei_provider.lake.staging.org_trees import READING
from sei_provider.lake.staging.quarantine import unnamed
from sei_provider.lake.staging.raw import drop_records
from sei_provider.lake.staging.staged_file import PATHS_KEY, SLICE_KEY
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
            lost = _rewrite(path, lambda rows, report: without(rows, report, match), match, damaged)
            if lost is not None:
                _lower_rows(path.with_suffix(".json"), lost)
                yield Erased(place="staging", path=str(path), rows=lost)


def from_quarantine(root: LakePath, match: Match, damaged: list[str]) -> Iterator[Erased]:
    """Erase a person from quarantine, as `from_staging` does."""
    aside = root / "_quarantine"
    for table in names(aside):
        for name in (name for name in names(aside / table) if name.endswith(".parquet")):
            path = aside / table / name
            lost = _rewrite(path, lambda rows, _: rows.filter(unnamed(rows, match)), match, damaged)
            if lost:
                yield Erased(place="quarantine", path=str(path), rows=lost)


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


def _rewrite(
    path: LakePath, change: Callable[[pa.Table, str], pa.Table], match: Match, damaged: list[str]
) -> int | None:
    """Put a Parquet file without some rows; return how many it lost, None if it stays as it is or is damaged."""
    with scratch_folder() as scratch:
        fetched = fetch(path, scratch / "before").file
        if fetched is None:
            return None
        try:
            with parsing(path, ASIDE):
                lost, changed = _write_without(fetched, scratch / "after", change, match)
        except DamagedObjectError:
            note_damaged(damaged, path)
            return None
        if changed:
            put(path, scratch / "after")
        return lost if changed else None


def _write_without(
    before: Path, after: Path, change: Callable[[pa.Table, str], pa.Table], match: Match
) -> tuple[int, bool]:
    """Write a file without some rows; return how many these are, and whether anything has changed."""
    with pq.ParquetFile(before) as file:
        footer = {key: value for key, value in (file.metadata.metadata or {}).items() if key != b"ARROW:schema"}
        report = str(json.loads(footer.get(SLICE_KEY, b"{}")).get("report"))
        lost, changed = 0, False
        if SLICE_KEY in footer and "team" in personal_columns(report):
            slice_, paths = json.loads(footer[SLICE_KEY]), json.loads(footer[PATHS_KEY])
            aside = slice_.get("paths_put_aside", [])
            slice_["paths_put_aside"] = other_paths(aside, match)
            rest_of_paths = [
                [team, without_manager(path, match)]
                for team, path in paths
                if not (match(team) or is_last_of(path, match))
            ]
            changed = (slice_["paths_put_aside"], rest_of_paths) != (aside, paths)
            footer |= {SLICE_KEY: json.dumps(slice_).encode(), PATHS_KEY: json.dumps(rest_of_paths).encode()}
        with pq.ParquetWriter(
            after, file.schema_arrow.remove_metadata(), compression="zstd", store_schema=False
        ) as writer:
            for number in range(file.num_row_groups):
                rows = file.read_row_group(number).replace_schema_metadata()
                rest = change(rows, report)
                lost += len(rows) - len(rest)
                changed |= not rest.equals(rows)
                writer.write_table(rest, row_group_size=max(1, len(rest)))
            writer.add_key_value_metadata(footer)
    return lost, changed


def _lower_rows(path: LakePath, lost: int) -> None:
    try:
        manifest = read(path, json.load)
    except ValueError:  # a damaged manifest does not count, so its slice is exported again
        return
    if manifest is not None and lost:
        put_bytes(path, json.dumps({**manifest, "rows": manifest["rows"] - lost}, indent=1).encode())
