"""Types of the columns of staged slices: checked against their table, inferred where nothing declares them, and cast.

A schema and the staged slices give a wider schema, or an error for a slice. Nothing is written here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from typing import TypeAlias

import pyarrow as pa
import pyarrow.compute as pc

from sei_provider.lake.arrow_values import NO_TEXT, to_array, to_scalar
from sei_provider.lake.bounds import MAX_COLUMNS
from sei_provider.lake.column_mapping import TYPE_NAMES, loose_header
from sei_provider.lake.columns import (
    DIMENSIONS,
    LINEAGE,
    MAX_DIGITS,
    PLAIN_NUMBER,
    RATED,
    TEAM_ID,
    TEXT_SUFFIXES,
    Column,
    ColumnType,
)
from sei_provider.lake.distinct import factorize
from sei_provider.lake.errors import LakeError, SchemaError, TableDefinitionError, columns_argument
from sei_provider.lake.header import free_name
from sei_provider.lake.staging.staged_file import StagedFiles
from sei_provider.lake.staging.staged_footer import StagedFile
from sei_provider.lake.tables.conversion import dates, numbers, without_dash
from sei_provider.lake.tables.schema import TableSchema
from sei_provider.plural import plural

Pair: TypeAlias = tuple[str, str]
"""Scope and export id of a slice."""


def infer_types(
    staged: StagedFiles, table: str, schema: TableSchema, left_out: Collection[Pair] = ()
) -> tuple[TableSchema, dict[Pair, LakeError]]:
    """Add the columns of staged slices to the schema, and infer the types of those that have none yet.

    A type that the table has is kept. Returns also the slices that do not fit, by scope and export: a value has not the
    type of its column, `columns=` declares another type than the table's, or another header meets the table's in one
    name. The error names table, column and the way out; a value is never replaced by null. These slices and those of
    `left_out` add nothing to the schema.
    """
    slices: dict[bytes, list[StagedFile]] = defaultdict(list)
    for slice_key, file in staged.files.items():
        if _pair(file) not in left_out:
            slices[staged.columns_key[slice_key]].append(file)
    known = {column.name: column for column in schema.columns}
    unfit: dict[Pair, LakeError] = {}
    for key, files in slices.items():
        columns = staged.columns[key]
        if _misfit(columns, files[0], known):
            unfit |= {_pair(file): error for file in files if (error := _misfit(columns, file, known))}
            continue
        added = [column for column in columns if column.name not in known or known[column.name].type is None]
        total = len(known) + sum(column.name not in known for column in added)
        if total > MAX_COLUMNS:
            unfit |= {_pair(file): _too_many(file, total) for file in files}
            continue
        known |= {column.name: column for column in added}
    unfit |= _unfit_slices(staged, {name: column.type for name, column in known.items()}, table)
    others = {*left_out, *unfit}
    keys = [key for key, files in slices.items() if not others.issuperset(map(_pair, files))]
    schema = schema.with_columns(column for key in keys for column in staged.columns[key])
    text = {column.name for key in keys for column in staged.columns[key] if column.type is None}
    undecided = {column.name for column in schema.columns if column.type is None} & text
    types: dict[str, ColumnType | None] = {name: "string" for name in undecided if _is_text(name)}
    types |= _inferred(staged, frozenset(undecided - types.keys()), others)
    return schema.with_types(types), unfit


def cast_columns(rows: pa.Table, schema: TableSchema) -> pa.Table:
    """Cast staged text to the types of the table. `infer_types` has checked that every value fits."""
    types = {column.name: column.type for column in schema.columns}
    is_rated = schema.definition.get("report") in RATED
    names, columns = rows.schema.names, rows.columns
    for index, (name, values) in enumerate(zip(names, columns, strict=True)):
        if not pa.types.is_string(values.type) or name in LINEAGE:
            continue
        kind = types.get(name)
        if kind in _CASTS:
            columns[index] = _CASTS[kind](values)
        elif kind is None or name.endswith("_rating") or (is_rated and name not in DIMENSIONS and name != TEAM_ID):
            columns[index] = without_dash(values)
    return pa.Table.from_arrays(columns, names)  # at once: setting one column copies the list of all


def _pair(file: StagedFile) -> Pair:
    return file.slice.scope, file.export_id


def _is_text(name: str) -> bool:
    return name.endswith(TEXT_SUFFIXES) or name == "id"


def _misfit(columns: Sequence[Column], file: StagedFile, known: Mapping[str, Column]) -> SchemaError | None:
    """Return why the columns of a slice cannot stand in a table."""
    slice_, export = file.slice, f"export {file.export_id} of {file.slice.scope}"
    documented = {*DIMENSIONS, *(metric.lower() for metric in slice_.metrics)}
    for column in columns:
        there = known.get(column.name)
        if there is None:
            continue
        if there.type is not None and column.hashed is not there.hashed:
            return _otherwise_hashed(column, there, slice_.table, export)
        if column.type and there.type and column.type != there.type:
            return _other_type(column, there.type, slice_.table, export)
        if column.is_named or column.header == there.header or column.name in documented or not there.header:
            continue
        if loose_header(column.header) != loose_header(there.header):
            msg = (
                f"{export} has another header than the table {slice_.table} for column {column.name!r}: tell the two "
                "apart with "
                f"{columns_argument({column.header: free_name(column.name, known)})}, or, if they are one, write "
                f"{columns_argument({column.header: column.name})}"
            )
            return SchemaError(msg)
    return None


def _too_many(file: StagedFile, total: int) -> SchemaError:
    msg = (
        f"table {file.slice.table} would have {total:,} columns with export {file.export_id} of {file.slice.scope}, "
        f"and a table takes {MAX_COLUMNS:,}: publish this export to another table with table="
    )
    return SchemaError(msg)


def _otherwise_hashed(column: Column, there: Column, table: str, export: str) -> TableDefinitionError:
    held, brought = ("hashes", "clear values") if there.hashed else ("clear values", "hashes")
    msg = (
        f"column {column.name!r} of table {table} holds {held}, but {export} holds {brought}: name the column "
        "otherwise with columns=, or publish this export to another table with table="
    )
    return TableDefinitionError(msg)


def _other_type(column: Column, there: ColumnType, table: str, export: str) -> SchemaError:
    new, old = TYPE_NAMES[column.type or "string"], TYPE_NAMES[there]
    msg = (
        f"column {column.name!r} of table {table} is {old}, and {export} brings {new}: keep the table's type with "
        f"{columns_argument({column.header: (column.name, old)})}, or {_retyped(table, column.name, new)}"
    )
    return SchemaError(msg)


def _retyped(table: str, column: str, new: str) -> str:
    return f"change the table's once by `airflow sei retype {table} {column} {new} --lake …`"


def _unfit_slices(staged: StagedFiles, types: Mapping[str, ColumnType | None], table: str) -> dict[Pair, LakeError]:
    """Read every value of the columns that are numbers or dates in the table and text in staged files."""
    headers = {
        column.name: column.header for columns in staged.columns.values() for column in columns if not column.type
    }
    wanted = sorted(name for name in headers if types.get(name) in _FITS)
    found: dict[Pair, LakeError] = {}
    for rows in staged.pieces(columns={*wanted, "_scope", "_export_id"}) if wanted else ():
        for name in wanted:
            if name not in rows.schema.names or not pa.types.is_string(rows[name].type):
                continue
            kind = types[name]
            bad = pc.and_(pc.is_null(_FITS[kind](rows[name])), pc.is_valid(without_dash(rows[name])))
            for pair, count in _counted(rows.filter(bad)):
                found.setdefault(pair, _unfit(table, Column(name, headers[name], kind), pair, count))
    return found


def _counted(rows: pa.Table) -> Iterator[tuple[Pair, int]]:
    codes, pairs = factorize(rows, ["_scope", "_export_id"])
    for code, count in Counter(codes.to_pylist()).items():
        yield pairs[code], count


def _unfit(table: str, column: Column, pair: Pair, count: int) -> SchemaError:
    # The value is not shown: the column is none of SEI's documented metrics, so it may name a person.
    kind, other, ways = "date", "something else", []
    if column.type == "float64":
        kind = "number"
        other += f", or numbers with leading zeros, an exponent or more than {MAX_DIGITS} digits, which would change"
        ways = [f"read them as numbers all the same with {columns_argument({column.header: (column.name, 'float64')})}"]
    apart = columns_argument({column.header: (f"{column.name}_text", "string")})
    ways += [f"keep them in a column of their own with {apart}", _retyped(table, column.name, "string")]
    msg = (
        f"column {column.name!r} of table {table} is a {kind}, but {plural(count, 'row')} of export {pair[1]} of "
        f"{pair[0]} {'holds' if count == 1 else 'hold'} {other}: {', '.join(ways)}, or publish this export to another "
        "table with table="
    )
    return SchemaError(msg)


def _inferred(staged: StagedFiles, names: frozenset[str], left_out: Collection[Pair]) -> dict[str, ColumnType | None]:
    """Read every value of the columns that may become numbers."""
    found: dict[str, ColumnType | None] = dict.fromkeys(names)
    if not names:
        return found
    for rows in staged.pieces(columns=names | {"_scope", "_export_id"}):
        if left_out:
            pairs = zip(rows["_scope"].to_pylist(), rows["_export_id"].to_pylist(), strict=True)
            rows = rows.filter(to_array((pair not in left_out for pair in pairs), pa.bool_()))  # noqa: PLW2901
        for name in names.intersection(rows.schema.names):
            if found[name] == "string" or not pa.types.is_string(rows[name].type):
                continue
            values = without_dash(rows[name])
            if _plain_numbers(values).null_count != values.null_count:
                found[name] = "string"
            elif len(values) > values.null_count:
                found[name] = "float64"
    return found


def _plain_numbers(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Parse the numbers that float64 keeps as they are written; any other text becomes null."""
    digits = pc.utf8_length(pc.replace_substring_regex(text, r"^-?0*[.]?|[.]", ""))
    is_short = pc.less_equal(digits, to_scalar(MAX_DIGITS, digits.type))
    is_plain = pc.and_(pc.match_substring_regex(text, f"^{PLAIN_NUMBER}$"), is_short)
    return pc.if_else(is_plain, text, NO_TEXT).cast(pa.float64())


def _faithful_numbers(text: pa.ChunkedArray) -> pa.ChunkedArray:
    """Parse as `_plain_numbers`, and longer numbers too if they come back: an older table may be full of averages."""
    found = _plain_numbers(text)
    plain = pc.match_substring_regex(text, f"^{PLAIN_NUMBER}$")
    rest = pc.if_else(pc.and_(pc.is_null(found), plain), text, NO_TEXT)
    if rest.null_count == len(rest):
        return found
    longer = [None if cell is None or not _comes_back(cell) else float(cell) for cell in rest.to_pylist()]
    return pc.coalesce(found, pa.chunked_array([to_array(longer, pa.float64())]))


def _comes_back(number: str) -> bool:
    return Decimal(number) == Decimal(repr(float(number)))


_Parser: TypeAlias = Callable[[pa.ChunkedArray], pa.ChunkedArray]
_CASTS: Mapping[ColumnType | None, _Parser] = {"float64": numbers, "date32": dates}
_FITS: Mapping[ColumnType | None, _Parser] = {"float64": _faithful_numbers, "date32": dates}
