"""Layout of a table: where its months and its schema lie in the lake, and which names are not ours.

Paths and names only. Reads no object.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

from sei_provider.lake.model import checked_table_name
from sei_provider.lake.storage.backend import LakePath
from sei_provider.lake.storage.store import names

FORMAT = 2
"""Version of what lies on disk. Raise it with each change that an older version of this package cannot read. Since 2 a
ledger is kept in columns, since 1 the schema lies outside its table's folder."""
FORMAT_KEY = b"sei.format"
"""Footer entry of a month: the version of its format; a month without it was written by 751f940, format 0."""
LEDGER_KEY = b"sei.ledger"
DEFINITION_KEY = b"sei.definition"
"""Footer entry of a month: the definition of its table, from which a lost schema is rebuilt."""

_MONTH = re.compile(r"month=([1-9][0-9]{3})-(0[1-9]|1[0-2])")
DATA = "data.parquet"
"""Name of the object with the rows: of a month in its folder, of a table of teams in the table's own."""
OLD_SCHEMA = "_schema.json"
"""Name of the schema in the table's folder, where 751f940 put it."""
OLD_NAMES = (OLD_SCHEMA, "_lock")
"""Names that 751f940 put into a table's folder; Polars cannot read a folder that has them."""


def table_folder(root: LakePath, table: str) -> LakePath:
    """Return the folder of a table. Raises `TableNameError` for a name that could lead out of the lake or meet ours."""
    return root / checked_table_name(table)


def months(folder: LakePath) -> list[date]:
    """Return the first days of the months that a table has folders for, in order; foreign names are passed over."""
    return months_among(names(folder))


def months_among(listed: Iterable[str]) -> list[date]:
    """Return the first days of the months among the names in a table's folder."""
    found = (_MONTH.fullmatch(name) for name in listed)
    return [date(int(match[1]), int(match[2]), 1) for match in found if match]


def object_path(folder: LakePath, month: date) -> LakePath:
    """Return the path of a month's object."""
    return folder / f"month={month:%Y-%m}" / DATA


def schema_path(folder: LakePath) -> LakePath:
    """Return the path of a table's schema. It lies outside the table's folder, where readers would stumble over it."""
    return folder.parent / "_schemas" / f"{folder.name}.json"


def foreign_names(folder: LakePath) -> list[str]:
    """Return the names in a table's folder and in its months that nothing of ours has, such as an editor's backup."""
    found = [name for name in names(folder) if not _MONTH.fullmatch(name) and name not in OLD_NAMES]
    return found + [
        f"month={month:%Y-%m}/{name}"
        for month in months(folder)
        for name in names(folder / f"month={month:%Y-%m}")
        if name != DATA
    ]
