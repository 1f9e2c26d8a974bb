"""Stored schema of a table: `<lake>/_schemas/<table>.json`, or what 751f940 wrote, or what the months tell."""

from __future__ import annotations

from dataclasses import replace

from sei_provider.lake.errors import UnknownTableError
from sei_provider.lake.model import is_table_name
from sei_provider.lake.storage.backend import LakePath
from sei_provider.lake.storage.scratch import scratch_folder
from sei_provider.lake.storage.store import fetch, names, put_bytes, read
from sei_provider.lake.tables.footer import read_footers
from sei_provider.lake.tables.layout import OLD_SCHEMA, months, schema_path, table_folder
from sei_provider.lake.tables.month_schema import columns_of
from sei_provider.lake.tables.schema import TableSchema


def known_table(root: LakePath, table: str) -> TableSchema:
    """Read the schema of a table; raises `UnknownTableError`, which names the existing tables."""
    schema = read_schema(table_folder(root, table))
    if not schema.columns:
        existing = ", ".join(table_names(root)) or "none yet"
        msg = f"the lake {root} has no table {table!r}; tables: {existing}"
        raise UnknownTableError(msg)
    return schema


def has_table(root: LakePath, table: str) -> bool:
    """Tell whether the lake has a table of this name, by one read."""
    return bool(read_schema(table_folder(root, table)).columns)


def table_names(root: LakePath) -> list[str]:
    """Return the names of the tables of a lake."""
    return [name for name in names(root) if is_table_name(name) and read_schema(root / name).columns]


def read_schema(folder: LakePath) -> TableSchema:
    """Read the schema of a table; a table that does not exist yet has an empty one.

    One that is lost or damaged is rebuilt from the footers of the months.
    """
    return read(schema_path(folder), lambda data: TableSchema.from_bytes(data.read())) or _other_schema(folder)


def fetch_schema(folder: LakePath) -> tuple[TableSchema, str]:
    """Fetch the schema of a table as `read_schema` does, with the version of its object."""
    with scratch_folder() as scratch:
        fetched = fetch(schema_path(folder), scratch / "schema")
        stored = TableSchema.from_bytes(fetched.file.read_bytes()) if fetched.file else None
        return stored or _other_schema(folder), fetched.version


def put_schema(folder: LakePath, schema: TableSchema, *, if_match: str) -> None:
    """Put the schema, before the data that needs it. Raises `ConflictError` if it was put since."""
    put_bytes(schema_path(folder), schema.to_bytes(), if_match=if_match)


def _other_schema(folder: LakePath) -> TableSchema:
    if old := read(folder / OLD_SCHEMA, lambda data: TableSchema.from_bytes(data.read())):
        return old
    rebuilt = TableSchema()
    for footer in read_footers(folder, months(folder), damaged={}).values():
        if footer.schema is not None:
            rebuilt = rebuilt.joined(TableSchema(columns_of(footer.schema), footer.definition))
    return replace(rebuilt, format=0) if rebuilt.columns else rebuilt
