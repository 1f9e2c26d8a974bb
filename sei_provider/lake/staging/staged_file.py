"""Staged Parquet files, read back in pieces: of one slice or several, all rows or those of a month."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date
from itertools import accumulate
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq

from sei_provider.lake.arrow_values import to_array, to_scalar
from sei_provider.lake.columns import LINEAGE, Column, arrow_type
from sei_provider.lake.damage import STAGED, parsing
from sei_provider.lake.errors import DamagedObjectError
from sei_provider.lake.model import SliceId, SliceKey
from sei_provider.lake.periods import checked_day
from sei_provider.lake.staging.staged_footer import CHUNK_KEY, Described, StagedFile, describe, require_text

ROW_GROUP_BYTES = 6 << 20
"""Size in memory of a row group, about. Small groups take more time and space to compress; large ones count several
times towards peak memory, because one is compressed while the next is collected."""

_COLUMN_CHUNK_BYTES = 4 << 10
"""Size in memory of a column in a row group, at least: the footer takes about 250 bytes for each."""

DICTIONARY_BYTES = 128 << 10
"""Limit of a column's dictionary in a row group; beyond it values are written plain. A dictionary of a million names
takes a fifth of the time to write and saves nothing."""

_LINEAGE_TYPES = (pa.string(), pa.string(), pa.timestamp("us", "UTC"), pa.string())
_KEPT_BYTES = 32 << 20
_SMALL_BYTES = 1 << 20
_ARRAY_BYTES = 1 << 10
"""Memory of a column of a table beside its values, about."""
_MAX_ARRAYS = 12_000
"""Columns of all tables that are joined into one, about."""
_FILES_PER_TABLE = 200
_FILES_PER_THREAD = 20
_OPENED_AHEAD = 3


_Part: TypeAlias = tuple[bytes, date | None]
"""Columns and month of rows that are kept together."""


class StagedFiles:
    """Staged files on local disk, of one slice or several. Rows of small files stay in memory, within bounds.

    Rows kept in memory are concatenated, because a table of a few rows takes a hundred times the memory of its rows.
    Rows of large files are read by the row groups that hold them. `wanted` names the slices in hand of a file, if not
    all: of the others nothing is read.
    """

    def __init__(self, paths: Iterable[Path], wanted: Mapping[Path, Collection[SliceId]] | None = None) -> None:
        self.files: dict[SliceKey, StagedFile] = {}
        self.columns: dict[bytes, Sequence[Column]] = {}
        """Distinct sets of columns in the order of the files; the key is a hash of the footer entry."""
        self.columns_key: dict[SliceKey, bytes] = {}
        """Which of these sets each slice has."""
        self.chunks: dict[Path, frozenset[SliceId]] = {}
        """All slices of each file of several, in hand or not."""
        self._known: dict[tuple[Any, ...], Column] = {}
        self.damaged: dict[Path, DamagedObjectError] = {}
        """Files that cannot be parsed, as far as they were read."""
        self._room = _KEPT_BYTES
        self._kept: dict[_Part, list[pa.Table]] = defaultdict(list)
        self._loose: dict[_Part, list[tuple[StagedFile, pa.Table]]] = defaultdict(list)
        self._large: dict[Path, list[tuple[SliceKey, _Run]]] = defaultdict(list)
        paths = list(paths)
        for path, opened in zip(paths, _open_each(paths, wanted or {}), strict=True):
            if isinstance(opened, DamagedObjectError):
                self.damaged[path] = opened
                continue
            try:
                with parsing(path, STAGED):
                    self._add(opened)
            except DamagedObjectError as error:
                self.damaged[path] = error
        for part in self._loose:
            self._join(part)

    def pieces(
        self,
        slice_keys: Collection[SliceKey] | None = None,
        columns: Collection[str] | None = None,
        month: date | None = None,
    ) -> Iterator[pa.Table]:
        """Yield rows in pieces of bounded size: at least those of `slice_keys`, or of all files if it is None.

        `columns` leaves out other columns, and files that have none of these. `month` leaves out the rows of other
        months, but not in files of 751f940, whose row groups hold rows of several.
        """
        for (_, of_month), tables in self._kept.items():
            if month is None or of_month in {month, None}:
                yield from _of_columns(pa.concat_tables(tables), columns)
        for parts in _by_columns(self._large_runs(slice_keys, columns, month)):
            yield from _of_columns(_joined(parts), columns)

    def _large_runs(
        self, slice_keys: Collection[SliceKey] | None, columns: Collection[str] | None, month: date | None
    ) -> Iterator[tuple[StagedFile, pa.Table]]:
        for path, runs in self._large.items():
            by_group: dict[int, list[tuple[SliceKey, _Run]]] = defaultdict(list)
            for slice_key, run in runs:
                if (slice_keys is None or slice_key in slice_keys) and (month is None or run.month in {month, None}):
                    by_group[run.group].append((slice_key, run))
            if not by_group:
                continue
            with pa.OSFile(str(path)) as data, pq.ParquetFile(data, pre_buffer=False) as file:
                names = None if columns is None else [name for name in file.schema.names if name in columns]
                if names == []:
                    continue
                for group, found in sorted(by_group.items()):
                    rows = file.read_row_group(group, columns=names, use_threads=False)
                    for slice_key, run in found:
                        part = run.of(rows)
                        if part.num_columns:
                            yield self.files[slice_key], part

    def _add(self, opened: _Opened) -> None:
        if opened.is_chunk:
            self.chunks[opened.path] = opened.slice_ids
        is_kept = opened.groups is not None and opened.size <= self._room
        self._room -= opened.size if is_kept else 0
        for described, runs in opened.slices:
            staged, columns_key = described.staged, hashlib.sha256(described.columns).digest()
            slice_key = staged.slice_key
            # SEI reuses one export for identical requests, so two tasks may have staged it: its rows count once.
            if (known := self.files.get(slice_key)) is not None:
                self.files[slice_key] = replace(
                    known, run_id=min(known.run_id, staged.run_id), runs=known.runs | staged.runs
                )
                continue
            if columns_key not in self.columns:
                self.columns[columns_key] = [self._column(column) for column in json.loads(described.columns)]
            self.files[slice_key] = staged
            self.columns_key[slice_key] = columns_key
            if not is_kept:
                self._large[opened.path] += ((slice_key, run) for run in runs)
                continue
            for run in runs:
                part = columns_key, run.month
                self._loose[part].append((staged, run.of((opened.groups or {})[run.group])))
                if len(self._loose[part]) == _FILES_PER_TABLE:
                    self._join(part)

    def _column(self, values: Sequence[Any]) -> Column:
        """Return one object for equal columns: of 400 files with 2,000 columns each there are 800,000."""
        column = Column(*values)
        require_text(column.name, column.header)
        arrow_type(column)
        return self._known.setdefault(tuple(values), column)

    def _join(self, part: _Part) -> None:
        if loose := self._loose[part]:
            self._kept[part].append(_joined(loose))
            loose.clear()


@dataclass(frozen=True, slots=True)
class _Run:
    """Rows of one slice in one row group."""

    group: int
    month: date | None
    """Month of all these rows, as far as it is known."""
    first: int
    rows: int | None
    """None if all rows of the group are the slice's."""
    names: Sequence[str] | None
    """Columns of the slice; None if these are the columns of the file."""

    def of(self, group: pa.Table) -> pa.Table:
        """Return the run's rows and columns of its group, which may have been read in part."""
        rows = group if self.rows is None else group.slice(self.first, self.rows)
        return rows if self.names is None else rows.select([name for name in self.names if name in rows.schema.names])


@dataclass(frozen=True, slots=True)
class _Opened:
    path: Path
    is_chunk: bool
    slice_ids: frozenset[SliceId]
    """All slices of the file, in hand or not."""
    slices: Sequence[tuple[Described, Sequence[_Run]]]
    """Slices in hand."""
    groups: Mapping[int, pa.Table] | None
    """Row groups with rows of these; None if they are large."""
    size: int
    """Bytes of these row groups by the footer: asking Arrow takes as long as reading them."""


def _open_each(
    paths: Sequence[Path], wanted: Mapping[Path, Collection[SliceId]]
) -> Iterator[_Opened | DamagedObjectError]:
    """Open files in their order.

    In threads, because half of the work is Arrow's; several at a time, because a thread that waits for Python's lock
    after each file gains nothing; not far ahead, because opened files are held in memory.
    """
    parts = (paths[first : first + _FILES_PER_THREAD] for first in range(0, len(paths), _FILES_PER_THREAD))
    opening: deque[Future[list[_Opened | DamagedObjectError]]] = deque()
    with ThreadPoolExecutor(2, thread_name_prefix="sei-lake") as pool:
        for part in parts:
            opening.append(pool.submit(lambda part: [_open_or_error(path, wanted.get(path)) for path in part], part))
            if len(opening) > _OPENED_AHEAD:
                yield from opening.popleft().result()
        while opening:
            yield from opening.popleft().result()


def _open_or_error(path: Path, wanted: Collection[SliceId] | None) -> _Opened | DamagedObjectError:
    try:
        with parsing(path, STAGED):
            return _open(path, wanted)
    except DamagedObjectError as error:
        return error


def _open(path: Path, wanted: Collection[SliceId] | None) -> _Opened:
    # As a file of Arrow's: finding out what kind of path it is takes pyarrow a tenth of the time.
    with pa.OSFile(str(path)) as data, pq.ParquetFile(data, pre_buffer=False) as file:
        metadata, names = file.metadata, file.schema_arrow.names
        found = list(describe(metadata.metadata))
        is_chunk = CHUNK_KEY in metadata.metadata
        if len(set(names)) < len(names):
            msg = "a column stands twice in it"
            raise ValueError(msg)
        in_hand = [each for each in found if not is_chunk or wanted is None or each.slice_id in wanted]
        months = [_month(metadata.row_group(number), names) for number in range(metadata.num_row_groups)]
        slices = [(each, list(_runs(each, metadata, months))) for each in in_hand]
        for each, runs in slices:
            starts = [checked_day(month, "the first day of a row") for month in each.staged.months]
            if runs and not starts:
                msg = "its rows have no period"
                raise ValueError(msg)
        numbers = sorted({run.group for _, runs in slices for run in runs})
        groups = [metadata.row_group(number) for number in numbers]
        size = sum(group.total_byte_size + group.num_columns * _ARRAY_BYTES for group in groups)
        rows = None
        if size <= _SMALL_BYTES:
            rows = {number: file.read_row_group(number, use_threads=False) for number in numbers}
        return _Opened(path, is_chunk, frozenset(each.slice_id for each in found), slices, rows, size)


def _runs(described: Described, metadata: pq.FileMetaData, months: Sequence[date | None]) -> Iterator[_Run]:
    """Yield the runs of a slice, each within one row group."""
    counts = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
    if described.ranges is None:
        yield from (_Run(number, months[number], 0, None, None) for number, count in enumerate(counts) if count)
        return
    ends = list(accumulate(counts))
    for first, rows in described.ranges:
        number = bisect_right(ends, first)
        before = ends[number] - counts[number]
        if rows <= 0 or first < before or first + rows > ends[number]:
            msg = "it lists rows that it does not hold"
            raise ValueError(msg)
        yield _Run(number, months[number], first - before, rows, described.names)


def _month(group: pq.RowGroupMetaData, names: Sequence[str]) -> date | None:
    """Return the month of all rows of a row group, if its statistics tell one."""
    if "start_date" not in names:
        return None
    statistics = group.column(names.index("start_date")).statistics
    if statistics is None or not statistics.has_min_max or not isinstance(statistics.min, date):
        return None
    first, last = statistics.min.replace(day=1), statistics.max.replace(day=1)
    return first if first == last and not statistics.null_count else None


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
    numbers = (to_scalar(number, pa.int32()) for number in range(len(parts)))
    counted = zip(numbers, parts, strict=True)
    file_of_row = pa.concat_arrays([pa.repeat(number, len(part)) for number, (_, part) in counted])
    lineage = zip(*(file.lineage for file, _ in parts), strict=True)
    for name, kind, values in zip(LINEAGE, _LINEAGE_TYPES, lineage, strict=True):
        rows = rows.append_column(name, to_array(values, kind).take(file_of_row))
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
        least = row_group_bytes(table.num_columns)
        step = max(1, len(table) * least // max(total, 1))
        for first in range(0, len(table), step):
            waiting.append(table.slice(first, step))
            size += total * len(waiting[-1]) // len(table)  # asking each slice is slow
            if size >= least:
                yield pa.concat_tables(waiting)
                waiting, size = [], 0
    if waiting:
        yield pa.concat_tables(waiting)


def row_group_bytes(columns: int) -> int:
    """Return the size in memory from which a row group is written."""
    return max(ROW_GROUP_BYTES, columns * _COLUMN_CHUNK_BYTES)
