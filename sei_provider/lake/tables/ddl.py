"""DDL of a table for other tools: views of DuckDB, tables of Spark. Reads schema and footers, and no rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import pyarrow as pa

from sei_provider.lake.column_metadata import HEADER_KEY, SOURCE_KEY, UNIT_KEY
from sei_provider.lake.errors import LakeAddressError, UnknownTableError
from sei_provider.lake.storage.address import split_address
from sei_provider.lake.storage.backend import Lake
from sei_provider.lake.storage.store import lake_path
from sei_provider.lake.tables.footer import read_footers
from sei_provider.lake.tables.layout import months, table_folder
from sei_provider.lake.tables.month_schema import arrow_schema
from sei_provider.lake.tables.stored_schema import known_table
from sei_provider.lake.tables.teams import read_teams
from sei_provider.printable import printable

Dialect = Literal["duckdb", "spark"]

_SECRET = re.compile(r"[^/]*://([^/@]*:[^/@]*@|[^?]*\?.)", re.DOTALL)
_MONTH = "month"
_LEAF = "is_leaf"
_ADDED: Mapping[str, str] = MappingProxyType(
    {
        "team_id": "id of the team; null where publishing is not certain of it",
        "team_depth": "how many teams lie above the team in its tree",
        _LEAF: "true if no team lies below the team: sum over these only, since an inner team's row holds theirs",
        "_scope": "scope of the export that the row comes from, as in team:456",
        "_export_id": "id of the export",
        "_exported_at": "when SEI made the export",
        "_run_id": "run that exported it",
        _MONTH: "partition: the month in which the row's period begins, as in 2026-01",
    }
)
_TYPES: Mapping[Dialect, Mapping[pa.DataType, str]] = MappingProxyType(
    {
        "duckdb": {
            pa.string(): "VARCHAR",
            pa.date32(): "DATE",
            pa.float64(): "DOUBLE",
            pa.int32(): "INTEGER",
            pa.int64(): "BIGINT",
            pa.bool_(): "BOOLEAN",
            pa.timestamp("us", "UTC"): "TIMESTAMP WITH TIME ZONE",
        },
        "spark": {
            pa.string(): "STRING",
            pa.date32(): "DATE",
            pa.float64(): "DOUBLE",
            pa.int32(): "INT",
            pa.int64(): "BIGINT",
            pa.bool_(): "BOOLEAN",
            pa.timestamp("us", "UTC"): "TIMESTAMP",
        },
    }
)


@dataclass(frozen=True, slots=True)
class _Table:
    """Parts of the statements."""

    name: str
    folder: str
    """The table's folder, as the reader reaches it."""
    fields: tuple[pa.Field, ...]
    in_files: frozenset[str]
    """Columns that at least one file has."""
    has_months: bool


def table_ddl(lake: Lake, table: str, *, dialect: Dialect, location: str) -> str:
    """Return the statements by which DuckDB or Spark reads a table: its columns with types, comments and partition.

    `location` is the address of the lake by which the reader reaches it, as `reader_location` returns it. A second
    view, `<table>_leaf_teams`, has the rows of leaf teams only, over which sums do not count twice (DESIGN, decision
    16); a table of teams has none. Raises `UnknownTableError`.
    """
    root = lake_path(lake)
    folder = f"{location.rstrip('/')}/{table}"
    teams = read_teams(root, table)
    if teams is not None:
        described = _Table(table, folder, tuple(teams.schema), frozenset(teams.schema.names), has_months=False)
    else:
        schema = known_table(root, table)
        existing = months(table_folder(root, table))
        if not existing:
            msg = (
                f"table {table} of the lake {root} has no month yet, so there is nothing to read: publish into it first"
            )
            raise UnknownTableError(msg)
        footers = read_footers(table_folder(root, table), existing).values()
        in_files = frozenset(name for footer in footers if footer.schema is not None for name in footer.schema.names)
        fields = (*arrow_schema(schema), pa.field(_MONTH, pa.string()))
        described = _Table(table, folder, fields, in_files | {_MONTH}, has_months=True)
    return _WRITERS[dialect](described)


def reader_location(address: str, dialect: Dialect) -> str:
    """Return the address by which DuckDB or Spark reaches a lake, without the Airflow connection in it.

    Raises `LakeAddressError` where the address alone does not tell it.
    """
    scheme, place, key = split_address(address)
    container = place.rpartition("@")[2]  # before it stands an Airflow connection, which only Airflow knows
    if scheme in {"", "file"}:
        return key if dialect == "duckdb" else f"file://{key}"
    if scheme in {"s3", "gs"}:
        scheme = "s3a" if (scheme, dialect) == ("s3", "spark") else scheme
        return "/".join([f"{scheme}://{container}", *filter(None, [key])])
    if scheme == "abfs" and dialect == "duckdb":
        return "/".join([f"az://{container}", *filter(None, [key])])
    msg = (
        f"the address of the lake does not tell how {dialect} reaches it: give that by --location, such as "
        "abfss://container@account.dfs.core.windows.net/lake"
    )
    raise LakeAddressError(msg)


def checked_location(location: str) -> str:
    """Return a location that a user gives. Raises `LakeAddressError` for one that holds a secret, without naming it."""
    if _SECRET.match(location):
        msg = (
            "--location holds a password or a signature, and would put it into the statements: give the bare address, "
            "and the secret to the tool itself, as by DuckDB's CREATE SECRET"
        )
        raise LakeAddressError(msg)
    return location


def _duckdb(table: _Table) -> str:
    types, view = _TYPES["duckdb"], _named(table.name)
    lines = []
    for field in table.fields:
        # A month may still have text where the table has numbers; what is no number is null, as in `read_table`.
        value = _named(field.name) if field.name in table.in_files else "NULL"
        lines.append(f"  TRY_CAST({value} AS {types[field.type]}) AS {_named(field.name)}")
    files, options = f"{_glob(table.folder)}/data.parquet", ""
    if table.has_months:
        files = f"{_glob(table.folder)}/month=*/data.parquet"
        options = ", hive_partitioning = true, hive_types = {'month': VARCHAR}, union_by_name = true"
    columns = ",\n".join(lines)
    statements = [f"CREATE OR REPLACE VIEW {view} AS SELECT\n{columns}\nFROM read_parquet({_text(files)}{options})"]
    comments = ((f"{view}.{_named(field.name)}", _comment(field)) for field in table.fields)
    statements += [f"COMMENT ON COLUMN {column} IS {_text(said)}" for column, said in comments if said]
    if table.has_months:
        statements.append(_leaf_teams(view, _named(f"{table.name}_leaf_teams")))
    return "".join(f"{statement};\n" for statement in statements)


def _spark(table: _Table) -> str:
    def text(value: str) -> str:
        # A backslash escapes in Spark, which puts the environment's variable in place of `${env:NAME}` first.
        escaped = value.replace("\\", "\\\\").replace("'", "\\'").replace("${", "$\\{")
        return f"'{escaped}'"

    name = _named(table.name, "`")
    lines = []
    for field in table.fields:
        said = _comment(field)
        comment = f" COMMENT {text(said)}" if said else ""
        lines.append(f"  {_named(field.name, '`')} {_TYPES['spark'][field.type]}{comment}")
    columns = ",\n".join(lines)
    partitions = f"\nPARTITIONED BY ({_named(_MONTH, '`')})" if table.has_months else ""
    statements = [
        f"CREATE TABLE IF NOT EXISTS {name} (\n{columns}\n) USING PARQUET{partitions}\nLOCATION {text(table.folder)}"
    ]
    if table.has_months:
        leaves = _named(f"{table.name}_leaf_teams", "`")
        statements += [f"MSCK REPAIR TABLE {name}", _leaf_teams(name, leaves)]
    return "".join(f"{statement};\n" for statement in statements)


def _leaf_teams(table: str, view: str) -> str:
    return f"CREATE OR REPLACE VIEW {view} AS SELECT * FROM {table} WHERE {_LEAF}"  # noqa: S608 - both are quoted


_WRITERS: Mapping[Dialect, Callable[[_Table], str]] = {"duckdb": _duckdb, "spark": _spark}


def _comment(field: pa.Field) -> str:
    """Return SEI's header, the unit and the source of a column, on one line; "" if none is known."""
    known = {key: value.decode() for key, value in (field.metadata or {}).items()}
    header, unit, source = (known.get(key, "") for key in (HEADER_KEY, UNIT_KEY, SOURCE_KEY))
    if "@" in header:
        header = ""  # may be an address
    parts = [part for part in (header, f"in {unit}" if unit else "", source) if part]
    return printable("; ".join(parts) if header or unit else _ADDED.get(field.name, source))


def _named(name: str, mark: str = '"') -> str:
    return mark + name.replace(mark, mark * 2) + mark


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _glob(path: str) -> str:
    """Return a pattern that only this path matches."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in path)
