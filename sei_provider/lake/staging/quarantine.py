"""Rows that do not fit, put aside with the place and the reason, so that the others can be taken.

Knows the CSV and its columns, not the tables. Read what was put aside with any Parquet reader.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from sei_provider.lake.arrow_values import to_array, to_table
from sei_provider.lake.bounds import MAX_HIERARCHY_CHARS, MAX_ROWS_ASIDE
from sei_provider.lake.errors import CsvError, TooManyError
from sei_provider.lake.model import Slice
from sei_provider.lake.staging.csv_records import Record
from sei_provider.lake.staging.csv_validation import looks_like
from sei_provider.lake.staging.erased import NOBODY, ErasedPeople
from sei_provider.lake.staging.pii import FileColumns

SCHEMA = pa.schema(
    [
        pa.field("line", pa.int64()),  # of the CSV, the header's first is 1
        pa.field("column", pa.string()),  # the lake's name; null if the row as a whole does not fit
        pa.field("text", pa.string()),  # the cell; null if the column names a person
        pa.field("reason", pa.string()),
        pa.field("row", pa.string()),  # JSON, {SEI's header: cell}; a list of cells if they are not as many as headers
        pa.field("scope", pa.string()),
        pa.field("export_id", pa.string()),
    ]
)

_NO_VALUE = frozenset({"", "—", "-", "--", "?", "n/a", "na", "n.a.", "nan", "nil", "none", "null", "inf", "unknown"})
"""Texts that stand for no value in a number or a date, and name nobody."""

BATCH_ROWS = 10_000
BATCH_CHARACTERS = 4 << 20
"""Rows wait in memory until they are this many, or have this many characters."""

_MAX_PATHS = 10_000
"""Of a file with bad rows of more teams the rest are unknown ones."""


class Quarantine:
    """The rows of one export that do not fit, as a Parquet file.

    `root` stands before the team in the path of a row without a hierarchy, as in the rows that are staged.
    """

    def __init__(
        self,
        file: Path,
        columns: FileColumns,
        slice_: Slice,
        export_id: str,
        erased: ErasedPeople = NOBODY,
        *,
        root: str = "",
    ) -> None:
        self.count = 0
        self.paths: set[str] = set()
        """Hierarchies of these rows, as far as they can be read."""
        self.has_unknown_paths = False
        self._root = root
        self.last: CsvError | None = None
        """The fault of the last row."""
        self._columns = columns
        self._erased = erased
        self._slice = slice_
        self._export_id = export_id
        self._waiting: list[Mapping[str, object]] = []
        self._waiting_characters = 0
        self._writer = pq.ParquetWriter(file, SCHEMA, compression="zstd")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def add(self, record: Record, fault: CsvError) -> None:
        """Keep one row, unless it names a person who was erased. Raises `TooManyError` if they are too many."""
        if self.count >= MAX_ROWS_ASIDE:
            msg = (
                f"more than {MAX_ROWS_ASIDE:,} rows do not fit, so the file was read no further: the last is at line "
                f"{fault.line}. See the first ones with on_bad_value='fail'"
            )
            raise TooManyError(msg)
        if self._erased and any(map(self._erased.match, record.cells)):
            return
        row = _put_aside(record, fault, self._columns)
        path = _path(record, self._columns, self._root) if len(self.paths) < _MAX_PATHS else None
        if path is None:
            self.has_unknown_paths = True
        else:
            self.paths.add(path)
        self._waiting.append(row)
        self._waiting_characters += sum(len(value) for value in row.values() if isinstance(value, str))
        self.count += 1
        self.last = fault
        if len(self._waiting) == BATCH_ROWS or self._waiting_characters >= BATCH_CHARACTERS:
            self._flush()

    def close(self) -> None:
        """Finish the file; a second call does nothing."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            lineage = {"scope": self._slice.scope, "export_id": self._export_id}
            self._writer.write_table(to_table(({**row, **lineage} for row in self._waiting), SCHEMA))
            self._waiting = []
            self._waiting_characters = 0


def unnamed(rows: pa.Table, match: Callable[[str], bool]) -> pa.Array:
    """Return the mask of the rows in quarantine that do not name a person."""

    def is_named(text: str | None, row: str | None) -> bool:
        kept = json.loads(row) if row else []
        cells = kept.values() if isinstance(kept, dict) else kept
        return any(match(cell) for cell in (text, *cells) if isinstance(cell, str))

    pairs = zip(rows["text"].to_pylist(), rows["row"].to_pylist(), strict=True)
    return to_array((not is_named(text, row) for text, row in pairs), pa.bool_())


def _put_aside(record: Record, fault: CsvError, file: FileColumns) -> Mapping[str, object]:
    cells = list(_readable(record.cells))
    row: object = None
    text = None
    if len(cells) == len(file.columns) and not (file.masks and _may_be_shifted(record, file)):
        by_name = {column.name: file.mask(column.name, cell) for column, cell in zip(file.columns, cells, strict=True)}
        row = {column.header or column.name: by_name[column.name] for column in file.columns}
        text = by_name[fault.column] if fault.column and fault.column not in file.personal else None
    elif not file.masks:
        row = cells
    # Otherwise the row's cells may stand in other columns than their own, so any of them may be a person's.
    return {
        "line": fault.line,
        "column": fault.column,
        "text": text,
        "reason": str(fault),  # no error shows a person
        "row": None if row is None else json.dumps(row, ensure_ascii=False),
    }


def _path(record: Record, file: FileColumns, root: str) -> str | None:
    """Return the hierarchy of a row as it would be staged, or None if its cells may stand in other columns."""
    if len(record.cells) != len(file.columns) or record.stray_quote is not None:
        return None
    cells = {column.name: cell for column, cell in zip(file.columns, _readable(record.cells), strict=True)}
    team, path = cells["team"], cells.get("team_hierarchy")
    if (file.masks and _may_be_shifted(record, file)) or not team or team not in record.cells:
        return None
    if len(path or team) > MAX_HIERARCHY_CHARS:
        return None
    if not path:
        return f"{root}{file.mask('team', team)}"
    return file.mask("team_hierarchy", path) if path in record.cells and f"/{path}".endswith(f"/{team}") else None


def _may_be_shifted(record: Record, file: FileColumns) -> bool:
    """Return whether a cell seems to stand in another column than its own: text for a number, an address for a team.

    A team that is empty, or that is not the end of its hierarchy, is a sign too.
    """
    cells = {column.name: cell for column, cell in zip(file.columns, record.cells, strict=True)}
    return (
        record.stray_quote is not None
        or not cells["team"].strip()
        or not f"/{cells.get('team_hierarchy') or cells['team']}".endswith(f"/{cells['team']}")
        or file.may_be_shifted(record.cells)
        or any(
            not (looks_like(column.type, cell) or cell.strip().casefold() in _NO_VALUE)
            for cell, column in zip(record.cells, file.columns, strict=True)
            if column.type in ("float64", "date32")
        )
    )


def _readable(cells: Sequence[str]) -> Iterator[str]:
    for cell in cells:
        yield cell.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
