"""Staged Parquet files: the footer entries beside the rows, and reading the rows back in pieces."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from sei_provider.lake.columns import LINEAGE, Column, arrow_type
from sei_provider.lake.damage import STAGED, parsing
from sei_provider.lake.errors import DamagedObjectError
from sei_provider.lake.model import Slice, SliceKey, run_key

SLICE_KEY = b"sei.slice"
"""Footer entry: the slice, its export, its run, and how many rows went to quarantine, as JSON."""
COLUMNS_KEY = b"sei.columns"
"""Footer entry: [name, SEI's header, type or null, whether it is hashed and nobody declared it, whether `columns=`
named it] of each column, as JSON. A column without a type is text until it is published. The lineage columns are left
out: they are the same in every row, and known from the slice."""
PATHS_KEY = b"sei.paths"
"""Footer entry: the distinct [team, team hierarchy] of the rows, as JSON."""
SPRINTS_KEY = b"sei.sprints"
"""Footer entry where periods are sprints: [hierarchy, sprint or its first day, first day, last day], as JSON."""
PERIODS_KEY = b"sei.periods"
"""Footer entry: distinct [hierarchy, start date, sprint] if periods are sprints, otherwise [start date], as JSON."""

ROW_GROUP_BYTES = 6 << 20
"""Size in memory of a row group, about. Small groups take more time and space to compress; large ones count several
times towards peak memory, because one is compressed while the next is collected."""

_COLUMN_CHUNK_BYTES = 4 << 10
"""Size in memory of a column in a row group, at least: the footer takes about 250 bytes for each."""

DICTIONARY_BYTES = 128 << 10
"""Limit of a column's dictionary in a row group; beyond it values are written plain. A dictionary of a million names
takes a fifth of the time to write and saves nothing."""

_KEPT_BYTES = 32 << 20
_SMALL_BYTES = 1 << 20
_ARRAY_BYTES = 1 << 10
"""Memory of a column of a table beside its values, about."""
_MAX_ARRAYS = 12_000
"""Columns of all tables that are joined into one, about."""
_FILES_PER_TABLE = 200
_FILES_PER_THREAD = 20
_OPENED_AHEAD = 3


@dataclass(frozen=True, slots=True)
class StagedFile:
    """One staged slice, without its rows."""

    slice: Slice
    export_id: str
    created_at: datetime
    exported_at: datetime
    run_id: str
    """The run that staged it, the first by name of several that staged one export at one moment."""
    runs: frozenset[str]
    """The same, or all of them, as `run_key` names them."""
    reading: str
    """How the export was read, as a hash; "" if 751f940 staged it."""
    quarantined: int
    unknown_paths: bool
    """True if rows went to quarantine whose team is not known."""
    paths_put_aside: frozenset[str]
    """Hierarchies of the rows that went to quarantine, as far as they are known."""
    teams: frozenset[tuple[str, str]]
    """(Team, hierarchy) of its rows."""
    periods: Sequence[Sequence[str | None]]
    sprint_days: frozenset[tuple[str, str, date, date]]
    """(Hierarchy, sprint, first day, last day)."""

    @property
    def slice_key(self) -> SliceKey:
        """Return what marks its rows once published: scope, export id and time of staging."""
        return self.slice.scope, self.export_id, self.exported_at

    @property
    def lineage(self) -> tuple[str, str, datetime, str]:
        """Return the values of the columns `LINEAGE`, the same in every row."""
        return self.slice.scope, self.export_id, self.exported_at, self.run_id

    @property
    def months(self) -> frozenset[date]:
        """Return the first days of the months that its rows start in."""
        starts = (period[1] if len(period) > 1 else period[0] for period in self.periods)
        return frozenset(date.fromisoformat(str(start)).replace(day=1) for start in starts)


class StagedFiles:
    """Staged files on local disk, one per export. Rows of small files stay in memory, within bounds, and are read once.

    Rows kept in memory are concatenated, because a table of a few rows takes a hundred times the memory of its rows.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self.files: dict[SliceKey, StagedFile] = {}
        self.columns: dict[bytes, Sequence[Column]] = {}
        """Distinct sets of columns in the order of the files; the key is a hash of the footer entry."""
        self.columns_key: dict[SliceKey, bytes] = {}
        """Which of these sets each slice has."""
        self._known: dict[tuple[Any, ...], Column] = {}
        self.damaged: dict[Path, DamagedObjectError] = {}
        """Files that cannot be parsed, as far as they were read."""
        self._room = _KEPT_BYTES
        self._kept: dict[bytes, list[pa.Table]] = defaultdict(list)
        self._loose: dict[bytes, list[tuple[StagedFile, pa.Table]]] = defaultdict(list)
        self._large: dict[SliceKey, Path] = {}
        paths = list(paths)
        for path, opened in zip(paths, _open_each(paths), strict=True):
            if isinstance(opened, DamagedObjectError):
                self.damaged[path] = opened
                continue
            try:
                with parsing(path, STAGED):
                    self._add(opened)
            except DamagedObjectError as error:
                self.damaged[path] = error
        for key in self._loose:
            self._join(key)

    def pieces(
        self, slice_keys: Collection[SliceKey] | None = None, columns: Collection[str] | None = None
    ) -> Iterator[pa.Table]:
        """Yield rows in pieces of bounded size: at least those of `slice_keys`, or of all files if it is None.

        `columns` leaves out other columns, and files that have none of these.
        """
        for tables in self._kept.values():
            yield from _of_columns(pa.concat_tables(tables), columns)
        for parts in _by_columns(self._large_groups(slice_keys, columns)):
            yield from _of_columns(_joined(parts), columns)

    def _large_groups(
        self, slice_keys: Collection[SliceKey] | None, columns: Collection[str] | None
    ) -> Iterator[tuple[StagedFile, pa.Table]]:
        for slice_key, path in self._large.items():
            if slice_keys is None or slice_key in slice_keys:
                with pa.OSFile(str(path)) as data, pq.ParquetFile(data, pre_buffer=False) as file:
                    names = None if columns is None else [name for name in file.schema.names if name in columns]
                    if names == []:
                        continue
                    for number in range(file.num_row_groups):
                        yield self.files[slice_key], file.read_row_group(number, columns=names, use_threads=False)

    def _add(self, opened: _Opened) -> None:
        staged, rows = opened.staged, opened.rows
        # SEI reuses one export for identical requests, so two tasks may have staged it: its rows count once.
        if (known := self.files.get(staged.slice_key)) is not None:
            self.files[staged.slice_key] = replace(
                known, run_id=min(known.run_id, staged.run_id), runs=known.runs | staged.runs
            )
            return
        if opened.columns_key not in self.columns:
            self.columns[opened.columns_key] = [self._column(column) for column in json.loads(opened.columns)]
        self.files[staged.slice_key] = staged
        self.columns_key[staged.slice_key] = opened.columns_key
        if rows is None or opened.size > self._room:
            self._large[staged.slice_key] = opened.path
        elif len(rows):
            self._room -= opened.size
            self._loose[opened.columns_key].append((staged, rows))
            if len(self._loose[opened.columns_key]) == _FILES_PER_TABLE:
                self._join(opened.columns_key)

    def _column(self, values: Sequence[Any]) -> Column:
        """Return one object for equal columns: of 400 files with 2,000 columns each there are 800,000."""
        column = Column(*values)
        _require_text(column.name, column.header)
        arrow_type(column)
        return self._known.setdefault(tuple(values), column)

    def _join(self, columns_key: bytes) -> None:
        if loose := self._loose[columns_key]:
            self._kept[columns_key].append(_joined(loose))
            loose.clear()


@dataclass(frozen=True, slots=True)
class _Opened:
    path: Path
    staged: StagedFile
    rows: pa.Table | None
    """None if the file is large."""
    size: int
    """Bytes of the rows by the footer: asking Arrow takes as long as reading them."""
    columns: bytes
    """Footer entry `COLUMNS_KEY`, unparsed."""

    @property
    def columns_key(self) -> bytes:
        """Return a hash of the columns."""
        return hashlib.sha256(self.columns).digest()


def _open_each(paths: Sequence[Path]) -> Iterator[_Opened | DamagedObjectError]:
    """Open files in their order.

    In threads, because half of the work is Arrow's; several at a time, because a thread that waits for Python's lock
    after each file gains nothing; not far ahead, because opened files are held in memory.
    """
    parts = (paths[first : first + _FILES_PER_THREAD] for first in range(0, len(paths), _FILES_PER_THREAD))
    opening: deque[Future[list[_Opened | DamagedObjectError]]] = deque()
    with ThreadPoolExecutor(2, thread_name_prefix="sei-lake") as pool:
        for part in parts:
            opening.append(pool.submit(lambda part: [_open_or_error(path) for path in part], part))
            if len(opening) > _OPENED_AHEAD:
                yield from opening.popleft().result()
        while opening:
            yield from opening.popleft().result()


def _open_or_error(path: Path) -> _Opened | DamagedObjectError:
    try:
        with parsing(path, STAGED):
            return _open(path)
    except DamagedObjectError as error:
        return error


def _open(path: Path) -> _Opened:
    # As a file of Arrow's: finding out what kind of path it is takes pyarrow a tenth of the time.
    with pa.OSFile(str(path)) as data, pq.ParquetFile(data, pre_buffer=False) as file:
        footer = file.metadata.metadata
        value = json.loads(footer[SLICE_KEY])
        slice_ = Slice.from_json(value)
        if policy := value.get("personal_data"):
            slice_ = replace(slice_, definition={**slice_.definition, "personal_data": policy})
        staged = StagedFile(
            slice=slice_,
            export_id=value["export_id"],
            created_at=datetime.fromisoformat(value["created_at"]),
            exported_at=datetime.fromisoformat(value["exported_at"]),
            run_id=value["run_id"],
            runs=frozenset([run_key(value["run_id"], value.get("clear_number", 0))]),
            reading=value.get("reading", ""),
            quarantined=value["quarantined"],
            unknown_paths=value.get("unknown_paths", value["quarantined"] > 0),
            paths_put_aside=frozenset(value.get("paths_put_aside", ())),
            teams=frozenset((team or "", path) for team, path in json.loads(footer[PATHS_KEY])),
            periods=json.loads(footer[PERIODS_KEY]),
            sprint_days=frozenset(
                (path, sprint, date.fromisoformat(first), date.fromisoformat(last))
                for path, sprint, first, last in json.loads(footer.get(SPRINTS_KEY, b"[]"))
            ),
        )
        _require_text(slice_.table, slice_.report, slice_.scope, slice_.granularity)
        _require_text(staged.export_id, staged.run_id, staged.reading, *staged.paths_put_aside)
        _require_text(*chain.from_iterable(staged.teams))
        names = file.schema_arrow.names
        if len(set(names)) < len(names) or (file.metadata.num_rows and not staged.months) or staged.quarantined < 0:
            msg = "a column stands twice in it, its rows have no period, or it tells of less than no rows"
            raise ValueError(msg)
        groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
        size = sum(group.total_byte_size + group.num_columns * _ARRAY_BYTES for group in groups)
        if not groups:  # pyarrow 18 cannot read a file without row groups
            rows = file.schema_arrow.empty_table()
        else:
            rows = file.read(use_threads=False) if size <= _SMALL_BYTES else None
        return _Opened(path, staged, rows, size, footer[COLUMNS_KEY])


def _require_text(*values: object) -> None:
    for value in values:
        if not isinstance(value, str):
            msg = f"text is wanted where a {type(value).__name__} is"
            raise TypeError(msg)


def _by_columns(groups: Iterable[tuple[StagedFile, pa.Table]]) -> Iterator[list[tuple[StagedFile, pa.Table]]]:
    """Collect groups of few rows, with columns of one type each: each table of thousands of columns takes time."""
    waiting: list[tuple[StagedFile, pa.Table]] = []
    size = arrays = 0
    known: dict[str, pa.DataType] = {}
    for file, rows in groups:
        types = dict(zip(rows.schema.names, rows.schema.types, strict=True))
        size, arrays = size + rows.nbytes, arrays + len(types)
        is_other = any(known.get(name, kind) != kind for name, kind in types.items())
        if waiting and (is_other or size > ROW_GROUP_BYTES or arrays > _MAX_ARRAYS):
            yield waiting
            waiting, known, size, arrays = [], {}, rows.nbytes, len(types)
        waiting.append((file, rows))
        known |= types
    if waiting:
        yield waiting


def _joined(parts: Sequence[tuple[StagedFile, pa.Table]]) -> pa.Table:
    """Concatenate rows of files, with null for a column that one lacks, and append the lineage columns."""
    tables = pa.concat_tables([part for _, part in parts], promote_options="default")
    rows = tables.combine_chunks().replace_schema_metadata()
    file_of_row = pa.concat_arrays([pa.repeat(number, len(part)) for number, (_, part) in enumerate(parts)])
    for name, values in zip(LINEAGE, zip(*(file.lineage for file, _ in parts), strict=True), strict=True):
        rows = rows.append_column(name, pa.array(values).take(file_of_row))
    return rows


def _of_columns(rows: pa.Table, columns: Collection[str] | None) -> Iterator[pa.Table]:
    wanted = [name for name in rows.schema.names if columns is None or name in columns]
    if wanted:
        yield rows.select(wanted)


def by_bytes(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Yield the same rows in tables of about `ROW_GROUP_BYTES`, larger ones if there are many columns."""
    waiting: list[pa.Table] = []
    size = 0
    for table in tables:
        total = table.nbytes
        least = max(ROW_GROUP_BYTES, table.num_columns * _COLUMN_CHUNK_BYTES)
        step = max(1, len(table) * least // max(total, 1))
        for first in range(0, len(table), step):
            waiting.append(table.slice(first, step))
            size += total * len(waiting[-1]) // len(table)  # asking each slice is slow
            if size >= least:
                yield pa.concat_tables(waiting)
                waiting, size = [], 0
    if waiting:
        yield pa.concat_tables(waiting)
