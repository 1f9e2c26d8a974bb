"""DDL: DuckDB and Spark get every column of a table with its type, and a view over which sums do not count twice."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lake_bench import team_row
from sqlglot import exp

from sei_provider import lake
from sei_provider.lake import LakeAddressError, LakeError, UnknownTableError
from sei_provider.lake.columns import Column, snake_case
from sei_provider.lake.tables.ddl import checked_location, reader_location, table_ddl
from sei_provider.lake.tables.month_schema import arrow_schema
from sei_provider.lake.tables.schema import TableSchema
from tests.examples import examples

TABLE = "productivity_team_monthly"


def ddl(folder, dialect="duckdb", table=TABLE):
    return table_ddl(folder, table, dialect=dialect, location=reader_location(str(folder), dialect))


def opened(folder, table=TABLE):
    """Return DuckDB with the views of a table."""
    connection = duckdb.connect()
    connection.execute(ddl(folder, table=table))
    return connection


def rows_of(connection, view, columns):
    """Return the rows of a view as sorted values; times as moments."""
    names = ", ".join('"' + name.replace('"', '""') + '"' for name in columns)
    found = connection.sql(f'SELECT {names} FROM "{view}"').to_arrow_table()  # noqa: S608 - quoted above
    assert found.column_names == list(columns)
    # DuckDB calls the zone of a moment as the machine does.
    kinds = [pa.timestamp("us", "UTC") if pa.types.is_timestamp(kind) else kind for kind in found.schema.types]
    found = found.cast(pa.schema(zip(columns, kinds, strict=True)))
    return sorted(map(repr, found.to_pylist())), kinds


@pytest.fixture
def folder(bench):
    days = {"start": "2026-01-01", "end": "2026-02-28"}
    rows = [team_row(path, day, 3) for path in ("Eng", "Eng/a", "Eng/b") for day in ("2026-01-01", "2026-02-01")]
    bench.export("team:1", rows, age=1, **days)
    bench.header += ",Order Count"  # a column that came late, and that is a word of SQL but for its end
    late = [f"{team_row('Eng', '2026-03-01', 3)},7", f"{team_row('Eng/a', '2026-03-01', 2)},"]
    bench.export("team:1", late, age=2, start="2026-03-01", end="2026-03-31")
    (Path(bench.lake.path) / TABLE / "month=2026-01" / "_put-0").write_text("left by a killed publisher")
    return Path(bench.lake.path)


def test_duckdb_reads_every_month_with_the_types_of_the_table(folder):
    known = lake.read_table(folder, TABLE)
    typed = [name for name in known.column_names if name != "note"]  # no value yet, so no type and no file has it
    rows, _ = rows_of(opened(folder), TABLE, typed)
    assert rows == sorted(map(repr, known.select(typed).to_pylist()))
    assert opened(folder).sql("SELECT DISTINCT month FROM productivity_team_monthly ORDER BY 1").fetchall() == [
        ("2026-01",), ("2026-02",), ("2026-03",),
    ]  # fmt: skip


def test_the_view_of_leaf_teams_has_them_alone(folder):
    found = (
        opened(folder)
        .sql("SELECT DISTINCT team, month FROM productivity_team_monthly_leaf_teams ORDER BY 2, 1")
        .fetchall()
    )
    assert found == [("a", "2026-01"), ("b", "2026-01"), ("a", "2026-02"), ("b", "2026-02"), ("a", "2026-03")]


def test_comments_name_header_unit_and_source(bench):
    bench.header, bench.columns = "Team,Team Hierarchy,Start Date,Lead Time Hours", {}
    bench.export("team:1", ["a,Eng/a,2026-01-01,1.5"], age=1)
    folder = Path(bench.lake.path)
    sql = "SELECT column_name, comment FROM duckdb_columns() WHERE table_name = $1"
    comments = dict(opened(folder).execute(sql, [TABLE]).fetchall())
    said = "Lead Time Hours; in hours; productivity (SEI's documents 001, 002)"
    assert comments["lead_time_hours"] == said
    assert "sum over these only" in comments["is_leaf"]
    assert "partition" in comments["month"]
    found = ((c.name, c.find(exp.CommentColumnConstraint)) for c in columns_in_spark(ddl(folder, "spark")))
    assert {name: said and said.this.this for name, said in found} == comments


def columns_in_spark(text):
    [create, *_] = [each for each in sqlglot.parse(text, dialect="spark") if each]
    return list(create.this.find_all(exp.ColumnDef))


def test_spark_gets_a_partitioned_table_and_the_view(folder):
    create, repair, view = (each for each in sqlglot.parse(ddl(folder, "spark"), dialect="spark") if each)
    kinds = {column.name: column.kind.sql("spark") for column in create.this.find_all(exp.ColumnDef)}
    assert kinds == {
        "team": "STRING", "team_hierarchy": "STRING", "start_date": "DATE", "end_date": "DATE", "team_id": "STRING",
        "pr_merged": "DOUBLE", "order_count": "DOUBLE", "team_depth": "INT", "is_leaf": "BOOLEAN", "_scope": "STRING",
        "_export_id": "STRING", "_exported_at": "TIMESTAMP", "_run_id": "STRING", "month": "STRING",
    }  # fmt: skip
    assert [name.name for name in create.find(exp.PartitionedByProperty).find_all(exp.Identifier)] == ["month"]
    assert create.find(exp.LocationProperty).this.this == f"file://{folder}/{TABLE}"
    assert "REPAIR" in repair.sql("spark").upper()
    assert view.this.name == f"{TABLE}_leaf_teams"


def test_spark_puts_no_variable_of_its_environment_in_place_of_what_a_header_says(bench):
    bench.header += ",${env:HOME} ${system:user.name} $${env:HOME} Count"
    bench.export("team:1", [team_row("Eng/1", "2026-01-01") + ",1"], age=1)
    text = ddl(Path(bench.lake.path), "spark")
    variable = re.compile(r"\$\{(?:(\w+?):)?(\S+?)\}")  # as Spark's ConfigReader finds them
    assert "env:HOME" in text
    assert variable.search(text) is None


def test_a_month_that_still_has_text_is_read_as_read_table_reads_it(folder):
    month = folder / TABLE / "month=2026-02" / "data.parquet"
    rows = pq.read_table(month)
    where = rows.column_names.index("pr_merged")
    texts = pa.array(["3", "4.5", "many"][: len(rows)], pa.string())
    footer = {key: value for key, value in pq.read_metadata(month).metadata.items() if key.startswith(b"sei.")}
    pq.write_table(rows.set_column(where, "pr_merged", texts).replace_schema_metadata(footer), month)
    expected = lake.read_table(folder, TABLE)["pr_merged"].to_pylist()
    found = opened(folder).sql("SELECT pr_merged FROM productivity_team_monthly").fetchall()
    assert sorted(found, key=repr) == sorted([(value,) for value in expected], key=repr)
    assert (None,) in found


@pytest.mark.parametrize("name", ["it's", "a[b]c*?", 'quote"s', "env=prod", "with space", "ü"])
def test_a_lake_may_lie_anywhere(bench, tmp_path, name):
    bench.export("team:1", [team_row("Eng/a", "2026-01-01")], age=1)
    odd = tmp_path / name / "lake"
    odd.parent.mkdir()
    Path(bench.lake.path).rename(odd)
    assert opened(odd).sql("SELECT team, month FROM productivity_team_monthly_leaf_teams").fetchall() == [
        ("a", "2026-01")
    ]
    assert "env" not in opened(odd).table(TABLE).columns
    [create, *_] = sqlglot.parse(ddl(odd, "spark"), dialect="spark")
    assert create.find(exp.LocationProperty).this.this == f"file://{odd}/{TABLE}"


def test_a_table_of_teams_is_one_file(bench):
    folder = Path(bench.lake.path)
    (folder / "teams").mkdir(parents=True)
    seen = datetime(2026, 1, 1, tzinfo=UTC)
    pq.write_table(
        pa.table({"id": ["1"], "leaf": [True], "last_seen": pa.array([seen], pa.timestamp("us", "UTC"))}),
        folder / "teams" / "data.parquet",
    )
    assert opened(folder, "teams").sql("SELECT id, leaf FROM teams").fetchall() == [("1", True)]
    assert "leaf_teams" not in ddl(folder, table="teams")
    [create] = [each for each in sqlglot.parse(ddl(folder, "spark", "teams"), dialect="spark") if each]
    assert create.find(exp.PartitionedByProperty) is None


def test_a_table_that_is_not_there_or_has_no_month_is_an_error(folder):
    with pytest.raises(UnknownTableError, match="tables: productivity_team_monthly"):
        ddl(folder, table="sprint_team_monthly")
    for month in (folder / TABLE).iterdir():
        month.rename(folder / month.name)
    with pytest.raises(UnknownTableError, match="has no month yet"):
        ddl(folder)
    with pytest.raises(LakeError, match="cannot be called"):
        ddl(folder, table="../x")


@pytest.mark.parametrize(
    ("address", "duckdb_reads", "spark_reads"),
    [
        ("/data/lake", "/data/lake", "file:///data/lake"),
        ("file:///data/lake", "/data/lake", "file:///data/lake"),
        ("s3://bucket/a/lake", "s3://bucket/a/lake", "s3a://bucket/a/lake"),
        ("s3a://conn@bucket/lake", "s3://bucket/lake", "s3a://bucket/lake"),
        ("s3://bucket", "s3://bucket", "s3a://bucket"),
        ("gs://conn@bucket/lake", "gs://bucket/lake", "gs://bucket/lake"),
        ("abfs://conn@container/lake", "az://container/lake", None),
    ],
)
def test_the_address_is_the_readers_and_never_holds_a_connection(address, duckdb_reads, spark_reads):
    assert reader_location(address, "duckdb") == duckdb_reads
    if spark_reads is None:
        with pytest.raises(LakeAddressError, match="--location"):
            reader_location(address, "spark")
    else:
        assert reader_location(address, "spark") == spark_reads


@pytest.mark.parametrize("dialect", ["duckdb", "spark"])
def test_an_address_with_a_password_is_refused_and_not_shown(dialect):
    with pytest.raises(LakeAddressError, match="holds a password") as refused:
        reader_location("s3://key:secret@bucket/lake", dialect)
    assert "secret@" not in str(refused.value)


def test_a_location_with_a_secret_is_refused_without_naming_it():
    for location in ("s3://key:geheim@bucket/lake", "https://account/lake?sig=geheim"):
        with pytest.raises(LakeAddressError, match="holds a password") as error:
            checked_location(location)
        assert "geheim" not in str(error.value)
    for location in ("abfss://container@account.dfs.core.windows.net/lake", "//server/lake", r"Z:\lake", "C:/a:b@c?"):
        assert checked_location(location) == location


HOSTILE = [
    "select",
    "order",
    "1",
    "a`b",
    'a"b',
    "a'b",
    "a\\",
    "a;--",
    "ünïcode",
    "数",
    "_",
    "group",
    "a b",
    "%s",
    "{x}",
]
NAMES = st.one_of(
    st.sampled_from(HOSTILE),
    st.text(min_size=1, max_size=12).map(snake_case).filter(bool),
    st.text(st.characters(exclude_categories=("C", "Zl", "Zp")), min_size=1, max_size=8),
)
VALUES = {
    "string": st.text(st.characters(exclude_categories=("C",)), max_size=6),
    "float64": st.floats(allow_nan=False, allow_infinity=False),
    "date32": st.dates(date(1970, 1, 1), date(2200, 1, 1)),
}
OWN = {"month", "team_depth", "is_leaf", "_scope", "_export_id", "_exported_at", "_run_id"}


@st.composite
def tables(draw):
    """Columns with types and headers, and months of which each may lack some."""
    names = draw(st.lists(NAMES, min_size=1, max_size=6, unique_by=lambda name: name.casefold()))
    names = [name for name in names if name.casefold() not in OWN]
    kinds = st.sampled_from(sorted(VALUES))
    columns = tuple(Column(name, draw(NAMES), draw(kinds)) for name in names)
    months = draw(st.lists(st.integers(1, 12), min_size=1, max_size=3, unique=True))
    held = {month: [column for column in columns if draw(st.booleans())] for month in months}
    rows = {
        month: [{c.name: draw(st.none() | VALUES[c.type]) for c in held[month]} for _ in range(draw(st.integers(0, 3)))]
        for month in months
    }
    return columns, held, rows


EVERY_HOSTILE = tuple(Column(name, name, "string") for name in HOSTILE)


@pytest.mark.fuzz
@settings(max_examples=examples(12), deadline=None)
@example((EVERY_HOSTILE, {1: EVERY_HOSTILE, 2: EVERY_HOSTILE[:3]}, {1: [{"select": "x", 'a"b': "y"}], 2: [{"1": "'"}]}))
@given(tables())
def test_any_columns_come_back_as_pyarrow_reads_them(drawn):
    columns, held, rows = drawn
    schema = TableSchema(columns, {"report": "sprint", "granularity": "monthly"})
    with TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "_schemas").mkdir()
        (folder / "_schemas" / f"{TABLE}.json").write_bytes(schema.to_bytes())
        for month, values in rows.items():
            file = folder / TABLE / f"month=2026-{month:02}" / "data.parquet"
            file.parent.mkdir(parents=True)
            own = {"_run_id": uuid4().hex, "is_leaf": True, "_exported_at": datetime(2026, 1, 1, tzinfo=UTC)}
            month_schema = arrow_schema(schema, held[month])
            footer = {b"sei.format": b"0", b"sei.ledger": b"[]"}
            table = pa.Table.from_pylist([value | own for value in values], schema=month_schema)
            pq.write_table(table.replace_schema_metadata(footer), file)
        known = lake.read_table(folder, TABLE)
        found, kinds = rows_of(opened(folder), TABLE, known.column_names)
        assert found == sorted(map(repr, known.to_pylist()))
        assert kinds == known.schema.types
        if not any(re.search(r"[\n\r]", column.name) for column in columns):
            assert [column.name for column in columns_in_spark(ddl(folder, "spark"))] == known.column_names
