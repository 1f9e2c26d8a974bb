"""Errors from a downloaded file to a table, as one tree under `LakeError`, with their meaning for retries.

No message names a person or an e-mail address (CONTRACT row 27): a cell is shown only if it looks like a number or a
date, a header of a file that cannot be used only if it is made of the words that headers are made of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from sei_provider.lake.header_words import is_plain_header

_DATA = re.compile(r"[+-]?[0-9][0-9.,]*%?|[0-9]{4}-[0-9]{2}-[0-9]{2}.*", re.DOTALL)
"""A number or a date, which is no header."""
_MAX_HEADERS = 60
"""Headers that a message shows; a file may have a million."""


class LakeError(Exception):
    """Base class of all errors of the lake. An error may be neither transient nor permanent."""

    is_transient: bool = False
    """The same step, done again soon, may succeed."""
    is_permanent: bool = False
    """Every later try of the task meets this error again, until a person corrects something."""
    affects_all_scopes: bool = True
    """The cause is the lake or the machine, so every other scope would meet this error too."""
    invalidates_export: bool = False
    """The export's file cannot be used, so the next try creates a new export."""
    invalidates_export_if_repeated: bool = False
    """As `invalidates_export`, but only at the second try: at the first, the file may have been damaged on its way."""


class BodyError(LakeError):
    """The downloaded file is not one complete CSV; downloading it again may help."""

    is_transient = True
    affects_all_scopes = False
    invalidates_export_if_repeated = True


class EmptyBodyError(BodyError):
    """The file has zero bytes; an empty answer would be a header without rows (CONTRACT row 21)."""


class NotCsvError(BodyError):
    """The file is HTML or JSON instead of CSV (CONTRACT row 24)."""


class TruncatedError(BodyError):
    """The gzip stream ends early, is damaged, or is followed by bytes that are not gzip."""


class TooLargeError(BodyError):
    """The file unpacks to more bytes than `max_file_bytes`; a small gzip can hold terabytes."""

    is_transient = False
    is_permanent = True


class CsvError(LakeError):
    """A line of the CSV is invalid; `line` counts from 1, the header included."""

    is_permanent = True  # the export is complete, and would give the same file again
    affects_all_scopes = False
    invalidates_export = True

    def __init__(self, message: str, *, line: int | None = None, column: str | None = None) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class HeaderError(CsvError):
    """The header does not give the columns that a table needs; `headers` are those seen, "" for what may be a name."""

    def __init__(self, message: str, *, headers: Sequence[str]) -> None:
        super().__init__(f"{message}; headers seen: {_presented_headers(headers)}", line=1)
        self.headers = tuple(header if is_plain_header(header) else "" for header in headers)


class LabelError(CsvError):
    """Rows of several periods tell theirs by a label that cannot be read for certain: export each period by itself."""

    invalidates_export = False


class TableNameError(LakeError):
    """A table's name is no plain name: it could lead out of the lake."""

    is_permanent = True


class ColumnsError(LakeError):
    """The argument `columns` is invalid."""

    is_permanent = True


class TooManyError(CsvError):
    """The file has more columns, teams or sprints than the lake takes, or its table would (`lake.bounds`)."""


class SchemaError(LakeError):
    """A staged value does not fit the type of its column in the table."""


class TableDefinitionError(SchemaError):
    """A slice has another definition than its table (DESIGN, decision 15)."""


class NewerFormatError(LakeError):
    """A newer version of this package wrote the object."""

    is_permanent = True


class DamagedObjectError(LakeError):
    """An object of a table cannot be parsed; the message names it."""

    is_permanent = True
    affects_all_scopes = False


class StagingError(LakeError):
    """A staged file is not where its manifest says, and no ledger holds the slice."""


class PersonalDataError(LakeError):
    """The choice for personal data is unknown, or lacks the key it needs."""

    is_permanent = True


class UnknownTableError(LakeError):
    """The lake does not have this table."""


class UnknownColumnError(LakeError):
    """The table does not have this column."""


class UnsupportedStoreError(LakeError):
    """Puts to this kind of store are not atomic, or do not keep two writers apart."""

    is_permanent = True


class LakeAddressError(LakeError):
    """The address of a lake has a spelling that stores take for another place; the message names the right one."""

    is_permanent = True


class StoreError(LakeError):
    """A disk or store cannot be read or written: it is full, read-only, forbidden or unreachable."""


class LinkError(StoreError):
    """A symbolic link lies below the root of a lake, where none is followed."""

    is_permanent = True


class ConflictError(LakeError):
    """Another writer put the object between our read and our put; nothing was put."""

    is_transient = True


def presented_header(header: str) -> str:
    """Return a header as messages show it: quoted, cut, and withheld if it may be an e-mail address."""
    return "(withheld)" if "@" in header else repr(header if len(header) <= 60 else f"{header[:60]}…")  # noqa: PLR2004


def columns_argument(named: Mapping[str, str | tuple[str, str]]) -> str:
    """Return the argument to write, `columns={'Squad': 'team'}`; a header that may be an address is withheld."""
    entries = (f"{'…' if '@' in header else header!r}: {value!r}" for header, value in named.items())
    return f"columns={{{', '.join(entries)}}}"


def plain_headers(headers: Sequence[str]) -> str:
    """Return the headers that surely name nobody, as messages list them, and how many others there are."""
    plain = [header for header in headers if is_plain_header(header)]
    shown = ", ".join(map(repr, plain[:_MAX_HEADERS]))
    more = len(headers) - min(len(plain), _MAX_HEADERS)
    if not shown:
        return f"{more}, which are withheld, because they may name people"
    return f"{shown} and {more} more, which are withheld, because they may name people" if more else shown


def _presented_headers(headers: Sequence[str]) -> str:
    if any("@" in header or _DATA.fullmatch(header.strip()) for header in headers):  # cells may name people
        return "withheld, because the first line looks like a row of data"
    return plain_headers(headers)
