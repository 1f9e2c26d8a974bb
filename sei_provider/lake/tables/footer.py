"""Footer of a month's object: ledger, columns, definition and format, read without the rows; and what damage is."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from sei_provider.lake.errors import DamagedObjectError
from sei_provider.lake.model import JSON
from sei_provider.lake.storage.backend import LakePath
from sei_provider.lake.storage.store import read_each
from sei_provider.lake.tables.layout import DEFINITION_KEY, FORMAT, FORMAT_KEY, LEDGER_KEY, object_path
from sei_provider.lake.tables.ledger_entry import LedgerEntry
from sei_provider.lake.tables.schema import TableSchema, check_format


@dataclass(frozen=True, slots=True)
class Footer:
    """What a month's object tells without its rows."""

    ledger: tuple[LedgerEntry, ...] = ()
    """Its slices, oldest first."""
    schema: pa.Schema | None = None
    """Its columns; None if the object does not exist."""
    definition: Mapping[str, JSON] = field(default_factory=dict)
    """Definition of its table; empty if 751f940 wrote it."""
    format: int = FORMAT


NO_FOOTER = Footer()


def footer_of(file: pq.ParquetFile) -> Footer:
    """Parse the footer of an open file. Raises `NewerFormatError` if a newer version of this package wrote it."""
    entries = file.metadata.metadata
    version = int(entries.get(FORMAT_KEY, b"0"))
    check_format(version, "a month of the table")
    return Footer(
        ledger=tuple(LedgerEntry.from_json(value) for value in json.loads(entries[LEDGER_KEY])),
        schema=file.schema_arrow,
        definition=json.loads(entries.get(DEFINITION_KEY, b"{}")),
        format=version,
    )


def footer_entries(ledger: Sequence[LedgerEntry], schema: TableSchema) -> dict[bytes, str]:
    """Return what `footer_of` parses, for a month of a table with this schema."""
    return {
        FORMAT_KEY: str(FORMAT),
        LEDGER_KEY: json.dumps([entry.to_json() for entry in ledger]),
        DEFINITION_KEY: json.dumps(dict(schema.definition)),
    }


def read_footers(
    folder: LakePath, wanted: Sequence[date], *, damaged: dict[date, DamagedObjectError] | None = None
) -> dict[date, Footer]:
    """Read the footers of some months; empty where there is no object.

    With `damaged`, a month whose object cannot be parsed is put there and has an empty footer; otherwise it is an
    error.
    """

    def parse(data: BinaryIO) -> Footer | DamagedObjectError:
        try:
            with parsing("one of its objects"):
                return footer_of(pq.ParquetFile(data))
        except DamagedObjectError as error:
            return error

    found: dict[date, Footer] = {}
    paths = [object_path(folder, month) for month in wanted]
    for month, path, footer in zip(wanted, paths, read_each(paths, parse), strict=True):
        if isinstance(footer, DamagedObjectError):
            error = _damaged(path, footer.__cause__)
            if damaged is None:
                raise error
            damaged[month] = error
        found[month] = footer if isinstance(footer, Footer) else NO_FOOTER
    return found


def read_ledgers(
    folder: LakePath, wanted: Sequence[date], *, damaged: dict[date, DamagedObjectError] | None = None
) -> dict[date, tuple[LedgerEntry, ...]]:
    """Read the ledgers of some months without their rows, as `read_footers` does."""
    return {month: footer.ledger for month, footer in read_footers(folder, wanted, damaged=damaged).items()}


@contextmanager
def parsing(path: object) -> Iterator[None]:
    """Raise what the parser of a Parquet file raises for a damaged one as `DamagedObjectError`."""
    try:
        yield
    except (pa.ArrowException, KeyError, ValueError, TypeError) as error:
        raise _damaged(path, error) from error
    except OSError as error:
        # pyarrow raises it without a number for damaged bytes; a disk or a store that fails has one, or its own class.
        if type(error) is not OSError or error.errno is not None:
            raise
        raise _damaged(path, error) from error


def _damaged(path: object, cause: BaseException | None) -> DamagedObjectError:
    msg = (
        f"{path} is damaged and cannot be read ({cause}): restore it from a backup or an older version of the object, "
        "or remove it and export its month again; other months and tables are not affected"
    )
    return DamagedObjectError(msg)
