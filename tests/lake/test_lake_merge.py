"""A merge of a stored month with new slices gives what a simple model gives, however the month is stored."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lake_bench import team_row
from ownership_model import Entry, OwnerRule, Row

from sei_provider.lake.tables import external_sort
from sei_provider.lake.tables.hierarchy import depths_and_leaves
from sei_provider.lake.tables.ledger_entry import LedgerEntry
from sei_provider.lake.tables.merge import Merged, merge
from sei_provider.lake.tables.ownership import RowPlace, with_names
from sei_provider.lake.tables.row_keys import RowKeys, dense_ranks, distinct, in_order
from tests.examples import examples

JAN = date(2026, 1, 1)
WEEKS = (date(2026, 1, 5), date(2026, 1, 12), date(2026, 1, 19))
NOON = datetime(2026, 2, 1, 12, tzinfo=UTC)
TEAMS = (("Eng", "Eng"), ("CI", "Eng/CI"), ("CI/CD", "Eng/CI/CD"), ("Ä", "Eng/Ä"), ("", "Z"))
SCHEMA = pa.schema(
    [
        ("team", pa.string()),
        ("team_hierarchy", pa.string()),
        ("start_date", pa.date32()),
        ("developer", pa.string()),
        ("developer_email", pa.string()),
        ("merged", pa.float64()),
        ("team_depth", pa.int32()),
        ("is_leaf", pa.bool_()),
        ("_scope", pa.string()),
        ("_export_id", pa.string()),
        ("_exported_at", pa.timestamp("us", "UTC")),
        ("_run_id", pa.string()),
    ]
)
SORTED_BY = ("team_hierarchy", "team", "start_date", "developer", "developer_email")

Cells: TypeAlias = dict[str, Any]

people = st.sampled_from([None, "", "a", "b", "Z", "ä"])
weeks = st.tuples(st.sampled_from(WEEKS), st.sampled_from(WEEKS)).map(sorted)


@st.composite
def slices(draw: st.DrawFn, number: int) -> tuple[Entry, list[Cells]]:
    """Draw one slice and its rows."""
    first, last = draw(weeks)
    inside = [week for week in WEEKS if first <= week <= last]
    made = NOON + timedelta(minutes=draw(st.integers(0, 3)))
    shared = {
        "_scope": f"team:{draw(st.integers(1, 3))}",
        "_export_id": f"exp_{number}",
        "_exported_at": made + timedelta(seconds=30 + number),
        "_run_id": f"run {draw(st.integers(1, 2))}",
    }
    places = st.tuples(st.sampled_from(TEAMS), st.sampled_from(inside), people, people, st.none() | st.integers(0, 3))
    rows = [
        {"team": team, "team_hierarchy": path, "start_date": week, "developer": one, "developer_email": email}
        | {"merged": None if merged is None else float(merged), **shared}
        for (team, path), week, one, email, merged in draw(st.lists(places, max_size=12))
    ]
    entry = Entry(
        scope=shared["_scope"],
        start=first,
        end=last + timedelta(days=6),
        export_id=shared["_export_id"],
        created_at=made,
        staged_at=shared["_exported_at"],
        reading="",
        runs=frozenset([(shared["_run_id"], 0)]),
        rows=frozenset(Row(row["team"], row["team_hierarchy"], row["start_date"]) for row in rows),
    )
    return entry, rows


months = st.integers(0, 4).flatmap(
    lambda count: st.tuples(st.tuples(*(slices(number) for number in range(count + 1))), st.integers(0, count))
)
"""Slices, and how many of them the month holds already."""


def survivors(found: Sequence[tuple[Entry, list[Cells]]]) -> list[Cells]:
    """Return the rows that stay, by the model of decision 12."""
    kept = {
        (one.scope, one.export_id, one.row) for one in OwnerRule([entry for entry, _ in found], "weekly").survivors()
    }
    return [row for entry, rows in found for row in rows if (entry.scope, entry.export_id, place(row)) in kept]


def place(row: Mapping[str, Any]) -> Row:
    return Row(row["team"], row["team_hierarchy"], row["start_date"])


def sort_key(row: Mapping[str, Any]) -> tuple[tuple[bool, Any], ...]:
    return tuple((row[name] is None, row[name] if row[name] is not None else 0) for name in SORTED_BY)


def with_teams(rows: Sequence[Cells]) -> list[Cells]:
    known = depths_and_leaves({(row["team"], row["team_hierarchy"]) for row in rows})
    depths = [known[row["team"], row["team_hierarchy"]] for row in rows]
    return [row | {"team_depth": depth, "is_leaf": leaf} for row, (depth, leaf) in zip(rows, depths, strict=True)]


def ledger_entry(entry: Entry, rows: Sequence[Cells]) -> LedgerEntry:
    bare = LedgerEntry(
        scope=entry.scope,
        start=entry.start,
        end=entry.end,
        export_id=entry.export_id,
        created_at=entry.created_at,
        teams=frozenset(),
        published_at=NOON,
        staged_at=entry.staged_at,
        runs=frozenset(run for run, _ in entry.runs),
    )
    return with_names(bare, [RowPlace(*place(row)) for row in rows], "weekly")


def restated(before: Sequence[Cells], after: Sequence[Cells]) -> tuple[int, list[str]] | None:
    """Return how many sums by team and week differ, and their teams."""
    sums = []
    for rows in (before, after):
        values: dict[tuple[str, date], list[float]] = {}
        for row in rows:
            values.setdefault((row["team_hierarchy"], row["start_date"]), [])
            if row["merged"] is not None:
                values[row["team_hierarchy"], row["start_date"]].append(row["merged"])
        sums.append({key: sum(cells) for key, cells in values.items() if cells})
    changed = [key for key in sums[0].keys() & sums[1].keys() if not math.isclose(sums[0][key], sums[1][key])]
    return (len(changed), sorted({path for path, _ in changed})) if changed else None


def merged(
    stored: list[Cells], held: list[LedgerEntry], new: Sequence[tuple[Entry, list[Cells]]], scratch: str
) -> Merged:
    table = pa.Table.from_pylist(stored, SCHEMA)

    def read(columns: Collection[str]) -> Iterator[pa.Table]:
        for first in range(0, len(table), 3):
            rows = table.slice(first, 3)
            yield rows.select([name for name in SCHEMA.names if name in columns])

    return merge(
        held,
        [ledger_entry(*one) for one in new],
        read if held else None,
        (pa.Table.from_pylist(rows, SCHEMA) for _, rows in new),
        schema=SCHEMA,
        granularity="weekly",
        month=JAN,
        scratch=Path(scratch),
        figures=bool(held),
    )


@pytest.mark.fuzz
@settings(max_examples=examples(60))
@given(months, st.randoms(use_true_random=False), st.sampled_from(["as publish leaves it", "in any order", "erased"]))
def test_a_merge_gives_what_a_simple_model_gives(month, random, stored_as) -> None:
    found, count = month
    stored = sorted(with_teams(survivors(found[:count])), key=sort_key)
    if stored_as == "in any order":  # as an older version, or somebody by hand, may have left it
        random.shuffle(stored)
    elif stored_as == "erased":
        stored = [row | {"developer": None} if row["developer"] == "a" else row for row in stored]
    held = [ledger_entry(*one) for one in found[:count]]
    kept = {(row["_scope"], row["_export_id"], place(row)) for row in survivors(found)}
    new_rows = [row for _, rows in found[count:] for row in rows]
    expected = [row for row in (*stored, *new_rows) if (row["_scope"], row["_export_id"], place(row)) in kept]
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as scratch:
        patch.setattr(external_sort, "RUN_BYTES", random.choice([1, 500, 1 << 20]))
        patch.setattr(external_sort, "_BLOCK_BYTES", 100)
        patch.setattr(external_sort, "MERGE_FAN_IN", 2)
        result = merged(stored, held, found[count:], scratch)
        rows = [row for piece in result.pieces() for row in piece.to_pylist()]
    assert list(map(sort_key, rows)) == sorted(map(sort_key, rows))
    assert sorted(rows, key=repr) == sorted(
        ({**dict.fromkeys(SCHEMA.names), **row} for row in with_teams(expected)), key=repr
    )
    assert result.rows == len(expected)
    by_slice = Counter((row["_scope"], row["_export_id"]) for row in expected)
    assert all(entry.rows == by_slice[entry.export] for entry in result.ledger)
    if held:
        then, now = result.figures or (None, None)
        told = then.restated_by(now, names_teams=True)
        assert (told and (told["figures"], told["teams"])) == restated(stored, expected)


def _one(number: int, path: str, developer: str, minute: int) -> tuple[Entry, list[Cells]]:
    shared = {"_scope": path, "_export_id": f"exp_{number}", "_exported_at": NOON + timedelta(minutes=minute)}
    row = {"team": path, "team_hierarchy": path, "start_date": WEEKS[0], "developer": developer, **shared}
    rows = [row | {"developer_email": None, "merged": 1.0, "_run_id": "run"}]
    entry = Entry(
        scope=path, start=WEEKS[0], end=WEEKS[1], export_id=shared["_export_id"], created_at=NOON,
        staged_at=shared["_exported_at"], reading="", runs=frozenset([("run", 0)]), rows=frozenset(map(place, rows)),
    )  # fmt: skip
    return entry, rows


@pytest.mark.parametrize(("turned", "sorted_rows"), [(False, 1), (True, 9)], ids=["in order", "in another order"])
def test_a_stored_month_is_sorted_again_only_if_it_is_not_in_order(monkeypatch, tmp_path, turned, sorted_rows):
    found = [_one(number, f"Team {number}", "x", number) for number in range(9)]
    stored = [row for _, rows in found[:8] for row in rows]
    add, added = external_sort.ExternalSorter.add, []

    def counting(sorter, rows):
        added.append(len(rows))
        add(sorter, rows)

    monkeypatch.setattr(external_sort.ExternalSorter, "add", counting)
    held = [ledger_entry(*one) for one in found[:8]]
    result = merged(with_teams(stored[::-1] if turned else stored), held, found[8:], str(tmp_path))
    rows = [row["team"] for piece in result.pieces() for row in piece.to_pylist()]
    assert rows == [f"Team {number}" for number in range(9)]
    assert sum(added) == sorted_rows


def test_a_month_whose_rows_have_key_columns_only_is_merged_again_once_it_is_over(bench):
    bench.header = "Squad Path,Team,Start_Date"
    for age, name in enumerate(["b", "a", "b"], 1):
        bench.export(f"team:{name}", [f"Eng/{name},{name},2026-01-01"], age=age)
    assert bench.owners() == {"Eng/a": ["exp_2"], "Eng/b": ["exp_3"]}


@pytest.mark.parametrize("team", ["Eng", None], ids=["team", "no team"])
def test_a_month_that_another_program_wrote_anew_is_merged(bench, team):
    """It may have row groups without rows, and a cell without its team, which staging never lets in."""
    bench.export("team:1", [team_row("Eng", "2026-01-01"), team_row("Eng/1", "2026-01-01")], age=1)
    path = bench.lake / bench.table / "month=2026-01" / "data.parquet"
    footer = pq.read_metadata(path).metadata
    rows = pq.ParquetFile(path).read().replace_schema_metadata()
    rows = rows.set_column(0, "team", pa.array([team, "1"]))
    with pq.ParquetWriter(path, rows.schema, store_schema=False) as writer:
        for first, count in [(0, 0), (0, 1), (1, 0), (1, 1)]:
            writer.write_table(rows.slice(first, count))
        writer.add_key_value_metadata({key: value for key, value in footer.items() if key != b"ARROW:schema"})
    assert pq.read_metadata(path).num_row_groups == 4
    bench.export("team:2", [team_row("Eng/2", "2026-01-01")], age=2)
    assert bench.rows("team_hierarchy", "team", "team_depth", "is_leaf") == [
        ("Eng", team, 0, False),
        ("Eng/1", "1", 1, True),
        ("Eng/2", "2", 1, True),
    ]


cells = st.one_of(st.none(), st.sampled_from(["", "a", "Ä"]))
tables = st.lists(st.tuples(cells, cells, st.none() | st.integers(0, 2)), max_size=8)


def _table(rows: list[tuple[Any, ...]]) -> pa.Table:
    kinds = [pa.string(), pa.string(), pa.int64()]
    columns = list(zip(*rows, strict=True)) or [()] * 3
    return pa.table(
        [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)], names=["a", "b", "n"]
    )


@settings(max_examples=examples(60))
@given(tables)
@example([])
def test_distinct_combinations_and_order_are_python_s(rows) -> None:
    table = _table(rows)
    codes, found = distinct(table, ["a", "n"])
    combinations = [tuple(row.values()) for row in found.to_pylist()]
    assert [combinations[code] for code in codes.to_pylist()] == [(a, n) for a, _, n in rows]
    assert len(set(combinations)) == len(combinations)
    keys = [tuple((cell is None, cell if cell is not None else 0) for cell in row) for row in rows]
    assert in_order([column.combine_chunks() for column in table.columns]) == (keys == sorted(keys))
    ranks = dense_ranks(table, ["a", "b", "n"]).to_pylist()
    assert ranks == [sorted(set(keys)).index(key) for key in keys]


@settings(max_examples=examples(60))
@given(st.lists(tables, max_size=4))
def test_a_key_is_the_same_in_all_pieces(pieces) -> None:
    schema = pa.schema([("team", pa.string()), ("_scope", pa.string()), ("sprint", pa.int64())])
    keys, seen = RowKeys(schema), []
    for rows in pieces:
        seen += keys.encode(_table(rows).rename_columns(schema.names)).to_pylist()
    found = [tuple(row[name] for name in schema.names) for row in keys.table().to_pylist()]
    assert [found[key] for key in seen] == [row for rows in pieces for row in rows]
    assert len(keys) == len(found) == len(set(found))
