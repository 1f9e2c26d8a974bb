"""Footer of a month's object: ledger, columns, definition and format, read without the rows."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import BinaryIO, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from sei_provider.lake.damage import damaged_object, parsing
from sei_provider.lake.errors import DamagedObjectError
from sei_provider.lake.model import JSON
from sei_provider.lake.storage.backend import LakePath
from sei_provider.lake.storage.store import read_each
from sei_provider.lake.tables.layout import DEFINITION_KEY, FORMAT, FORMAT_KEY, LEDGER_KEY, object_path
from sei_provider.lake.tables.ledger_columns import decode_ledger, encode_ledger, ledger_table
from sei_provider.lake.tables.ledger_entry import LedgerEntry
from sei_provider.lake.tables.schema import TableSchema, check_format

T = TypeVar("T")
_IN_COLUMNS = 2
"""Format from which on a ledger is kept in columns."""


@dataclass(frozen=True, slots=True)
class Footer:
    """Content of a month's object without its rows."""

    ledger: tuple[LedgerEntry, ...] = ()
    """Its slices, oldest first."""
    schema: pa.Schema | None = None
    """Its columns; None if the object does not exist."""
    definition: Mapping[str, JSON] = field(default_factory=dict)
    """Definition of its table; empty if 751f940 wrote it."""
    format: int = FORMAT
    ledger_text: bytes = field(default=b"", repr=False)
    """The ledger as the object holds it."""


NO_FOOTER = Footer()


def footer_of(file: pq.ParquetFile, known: Footer = NO_FOOTER) -> Footer:
    """Parse the footer of an open file. Raises `NewerFormatError` if a newer version of this package wrote it.

    `known` is the footer that the month had: if its ledger is the same, it is not parsed again.
    """
    text = file.metadata.metadata[LEDGER_KEY]
    return Footer(
        ledger=known.ledger if text == known.ledger_text and _format(file) == known.format else _ledger(file),
        ledger_text=text,
        schema=file.schema_arrow,
        definition=json.loads(file.metadata.metadata.get(DEFINITION_KEY, b"{}")),
        format=_format(file),
    )


def footer_entries(ledger: Sequence[LedgerEntry], schema: TableSchema) -> dict[bytes, str]:
    """Return what `footer_of` parses, for a month of a table with this schema."""
    return {
        FORMAT_KEY: str(FORMAT),
        LEDGER_KEY: encode_ledger(ledger),
        DEFINITION_KEY: json.dumps(dict(schema.definition)),
    }


def read_footers(
    folder: LakePath, wanted: Sequence[date], *, damaged: dict[date, DamagedObjectError] | None = None
) -> dict[date, Footer]:
    """Read the footers of some months; empty where there is no object.

    With `damaged`, a month whose object cannot be parsed is put there and has an empty footer; otherwise it is an
    error.
    """
    return _read(folder, wanted, footer_of, NO_FOOTER, damaged)


def read_ledgers(
    folder: LakePath,
    wanted: Sequence[date],
    *,
    scopes: Collection[str] | None = None,
    damaged: dict[date, DamagedObjectError] | None = None,
) -> dict[date, tuple[LedgerEntry, ...]]:
    """Read the ledgers of some months, or the entries of some scopes in them, as `read_footers` does."""

    def ledger(file: pq.ParquetFile) -> tuple[LedgerEntry, ...]:
        return _ledger(file, scopes)

    return _read(folder, wanted, ledger, (), damaged)


def read_ledger_tables(
    folder: LakePath,
    wanted: Sequence[date],
    columns: Sequence[str],
    *,
    damaged: dict[date, DamagedObjectError] | None = None,
) -> dict[date, pa.Table]:
    """Read some columns of the ledgers of months, which takes a fraction of the memory of their entries.

    A damaged month is treated as in `read_footers`.
    """

    def ledger(file: pq.ParquetFile) -> pa.Table:
        text = file.metadata.metadata[LEDGER_KEY]
        if _format(file) < _IN_COLUMNS:
            text = encode_ledger(_ledger(file)).encode()
        return ledger_table(text, columns)

    return _read(folder, wanted, ledger, ledger_table(encode_ledger(()).encode(), columns), damaged)


def _read(
    folder: LakePath,
    wanted: Sequence[date],
    parse: Callable[[pq.ParquetFile], T],
    missing: T,
    damaged: dict[date, DamagedObjectError] | None,
) -> dict[date, T]:
    """Return what `parse` makes of the object of each month; `missing` where there is none."""

    def parsed(data: BinaryIO) -> T | DamagedObjectError:
        try:
            with parsing("one of its objects"):
                return parse(pq.ParquetFile(data))
        except DamagedObjectError as error:
            return error

    found: dict[date, T] = {}
    paths = [object_path(folder, month) for month in wanted]
    for month, path, read in zip(wanted, paths, read_each(paths, parsed), strict=True):
        found[month] = missing
        if isinstance(read, DamagedObjectError):
            error = damaged_object(path, read.__cause__)
            if damaged is None:
                raise error
            damaged[month] = error
        elif read is not None:
            found[month] = read
    return found


def _format(file: pq.ParquetFile) -> int:
    version = int(file.metadata.metadata.get(FORMAT_KEY, b"0"))
    check_format(version, "a month of the table")
    return version


def _ledger(file: pq.ParquetFile, scopes: Collection[str] | None = None) -> tuple[LedgerEntry, ...]:
    text = file.metadata.metadata[LEDGER_KEY]
    if _format(file) >= _IN_COLUMNS:
        return decode_ledger(text, scopes=scopes)
    entries = (LedgerEntry.from_json(value) for value in json.loads(text))
    return tuple(entry for entry in entries if scopes is None or entry.scope in scopes)
