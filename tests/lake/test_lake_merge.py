"""A merge of a stored month with new slices gives what a simple model gives, however the month is stored."""

from __future__ import annotations

import math
import tempfile
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ownership_model import Entry, OwnerRule, Row

from sei_provider.lake.distinct import distinct
from sei_provider.lake.tables import external_sort
from sei_provider.lake.tables.hierarchy import depths_and_leaves
from sei_provider.lake.tables.ledger_entry import LedgerEntry
from sei_provider.lake.tables.merge import Merged, merge
from sei_provider.lake.tables.ownership import RowPlace, with_names
from sei_provider.lake.tables.row_keys import RowKeys, dense_ranks, in_order, shared_text_encoded
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
SPRINTS = pa.schema([*SCHEMA, ("end_date", pa.date32()), ("sprint", pa.string())])
SORTED_BY = ("team_hierarchy", "team", "start_date", "sprint", "developer", "developer_email")
KINDS = ("weekly", "sprint", "exact")
"""Periods of a table; `exact` is that of a legacy report, whose slices replace their own scope and range only."""

Cells: TypeAlias = dict[str, Any]

people = st.sampled_from([None, "", "a", "b", "Z", "ä"])
weeks = st.tuples(st.sampled_from(WEEKS), st.sampled_from(WEEKS)).map(sorted)


@st.composite
def slices(draw: st.DrawFn, number: int, kind: str) -> tuple[Entry, list[Cells]]:
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
    if kind == "sprint":
        lasts = st.sampled_from([6, 13, 20]).map(lambda days: timedelta(days=days))
        names = st.sampled_from([None, "S1", "S2"])
        rows = [row | {"end_date": row["start_date"] + draw(lasts), "sprint": draw(names)} for row in rows]
    entry = Entry(
        scope=shared["_scope"],
        start=first,
        end=last + timedelta(days=6),
        export_id=shared["_export_id"],
        created_at=made,
        staged_at=shared["_exported_at"],
        reading="",
        runs=frozenset([(shared["_run_id"], 0)]),
        rows=frozenset(map(place, rows)),
    )
    return entry, rows


def months_of(kind: str) -> st.SearchStrategy[tuple[str, tuple[tuple[Entry, list[Cells]], ...], int]]:
    """Return slices of a kind, and how many of them the month holds already."""
    return st.integers(0, 4).flatmap(
        lambda count: st.tuples(
            st.just(kind), st.tuples(*(slices(number, kind) for number in range(count + 1))), st.integers(0, count)
        )
    )


def survivors(found: Sequence[tuple[Entry, list[Cells]]], kind: str) -> list[Cells]:
    """Return the rows that stay, by the model of decision 12."""
    entries = [entry for entry, _ in found]
    if kind == "exact":
        ranges = {(entry.scope, entry.start, entry.end): entry for entry in sorted(entries, key=age)}
        return [row for entry, rows in found if entry in ranges.values() for row in rows]
    kept = {(one.scope, one.export_id, one.row) for one in OwnerRule(entries, kind).survivors()}
    return [row for entry, rows in found for row in rows if (entry.scope, entry.export_id, place(row)) in kept]


def age(entry: Entry) -> tuple[datetime, str, datetime]:
    return entry.created_at, entry.export_id, entry.staged_at


def place(row: Mapping[str, Any]) -> Row:
    return Row(row["team"], row["team_hierarchy"], row["start_date"], row.get("end_date"), row.get("sprint"))


def sort_key(row: Mapping[str, Any]) -> tuple[tuple[bool, Any], ...]:
    cells = [row.get(name) for name in SORTED_BY]
    return tuple((cell is None, cell if cell is not None else 0) for cell in cells)


def with_teams(rows: Sequence[Cells]) -> list[Cells]:
    known = depths_and_leaves({(row["team"], row["team_hierarchy"]) for row in rows})
    depths = [known[row["team"], row["team_hierarchy"]] for row in rows]
    return [row | {"team_depth": depth, "is_leaf": leaf} for row, (depth, leaf) in zip(rows, depths, strict=True)]


def ledger_entry(entry: Entry, rows: Sequence[Cells], kind: str = "weekly") -> LedgerEntry:
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
        replace_exact_range=kind == "exact",
    )
    return with_names(bare, [RowPlace(*place(row)) for row in rows], kind)


def restated(before: Sequence[Cells], after: Sequence[Cells]) -> tuple[int, list[str]] | None:
    """Return how many sums by team and period differ, and their teams."""
    sums = []
    for rows in (before, after):
        values: dict[tuple[str, date, str | None], list[float]] = {}
        for row in rows:
            if row["merged"] is not None:
                key = row["team_hierarchy"], row["start_date"], row.get("sprint")
                values.setdefault(key, []).append(row["merged"])
        sums.append({key: sum(cells) for key, cells in values.items()})
    changed = [key for key in sums[0].keys() & sums[1].keys() if not math.isclose(sums[0][key], sums[1][key])]
    return (len(changed), sorted({path for path, *_ in changed})) if changed else None


def merged(
    stored: list[Cells],
    held: list[LedgerEntry],
    new: Sequence[tuple[Entry, list[Cells]]],
    scratch: str,
    kind: str = "weekly",
) -> Merged:
    schema = SPRINTS if kind == "sprint" else SCHEMA
    table = pa.Table.from_pylist(stored, schema)

    def read(columns: Collection[str]) -> Iterator[pa.Table]:
        for first in range(0, len(table), 3):
            rows = table.slice(first, 3)
            yield rows.select([name for name in schema.names if name in columns])

    return merge(
        held,
        [ledger_entry(*one, kind) for one in new],
        read if held else None,
        (pa.Table.from_pylist(rows, schema) for _, rows in new),
        schema=schema,
        granularity="monthly" if kind == "exact" else kind,
        month=JAN,
        scratch=Path(scratch),
        figures=bool(held),
    )


@pytest.mark.fuzz
@settings(max_examples=examples(60))
@given(
    st.sampled_from(KINDS).flatmap(months_of),
    st.randoms(use_true_random=False),
    st.sampled_from(["as publish leaves it", "in any order", "erased"]),
)
def test_a_merge_gives_what_a_simple_model_gives(month, random, stored_as) -> None:
    kind, found, count = month
    stored = sorted(with_teams(survivors(found[:count], kind)), key=sort_key)
    if stored_as == "in any order":  # as an older version, or somebody by hand, may have left it
        random.shuffle(stored)
    elif stored_as == "erased":
        stored = [row | {"developer": None} if row["developer"] == "a" else row for row in stored]
    held = [ledger_entry(*one, kind) for one in found[:count]]
    kept = {(row["_scope"], row["_export_id"], place(row)) for row in survivors(found, kind)}
    new_rows = [row for _, rows in found[count:] for row in rows]
    expected = [row for row in (*stored, *new_rows) if (row["_scope"], row["_export_id"], place(row)) in kept]
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as scratch:
        patch.setattr(external_sort, "RUN_BYTES", random.choice([1, 500, 1 << 20]))
        patch.setattr(external_sort, "_BLOCK_BYTES", 100)
        patch.setattr(external_sort, "MERGE_FAN_IN", 2)
        result = merged(stored, held, found[count:], scratch, kind)
        rows = [row for piece in result.pieces() for row in piece.to_pylist()]
    assert list(map(sort_key, rows)) == sorted(map(sort_key, rows))
    assert sorted(rows, key=repr) == sorted(
        ({**dict.fromkeys((SPRINTS if kind == "sprint" else SCHEMA).names), **row} for row in with_teams(expected)),
        key=repr,
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


@pytest.mark.parametrize("swapped", [0, 2], ids=["in one piece", "in two"])
def test_people_of_one_team_whom_a_stored_month_has_in_another_order_are_sorted(tmp_path, swapped):
    entry, (row,) = _one(1, "Team", "x", 1)
    people = list("abcdef")
    people[swapped : swapped + 2] = people[swapped + 1], people[swapped]
    stored = [row | {"developer": who} for who in people]
    result = merged(with_teams(stored), [ledger_entry(entry, stored)], [_one(2, "Z", "x", 2)], str(tmp_path))
    assert [row["developer"] for piece in result.pieces() for row in piece.to_pylist()] == [*"abcdef", "x"]


@pytest.mark.parametrize("gone", [range(3), range(3, 6), range(6, 8), range(8)], ids=["first", "middle", "last", "all"])
def test_pieces_of_a_stored_month_of_which_no_row_stays_leave_the_others(tmp_path, gone):
    found = [_one(number, f"Team {number}", "x", number) for number in range(8)]
    empty = [
        (replace(found[n][0], export_id=f"exp_new_{n}", staged_at=NOON + timedelta(hours=1), rows=frozenset()), [])
        for n in gone
    ]
    held = [ledger_entry(*one) for one in found]
    result = merged(with_teams([row for _, rows in found for row in rows]), held, empty, str(tmp_path))
    rows = [row["team"] for piece in result.pieces() for row in piece.to_pylist()]
    assert rows == [f"Team {number}" for number in range(8) if number not in gone]


@pytest.mark.parametrize("goes", [True, False], ids=["a part goes", "a part comes"])
def test_a_figure_that_rows_of_two_slices_add_up_to_is_restated(tmp_path, goes):
    """Two ranges of a legacy report begin on one day: the longer one is new, or the shorter one has no rows now."""
    (short, rows), (long, others) = _one(1, "Team", "x", 1), _one(2, "Team", "x", 2)
    long = replace(long, end=WEEKS[2])
    empty = replace(short, export_id="exp_3", staged_at=NOON + timedelta(minutes=3), rows=frozenset())
    before = [(short, rows), (long, others)] if goes else [(short, rows)]
    held = [ledger_entry(*one, "exact") for one in before]
    stored = with_teams([row for _, own in before for row in own])
    result = merged(stored, held, [(empty, []) if goes else (long, others)], str(tmp_path), "exact")
    assert sum(piece.num_rows for piece in result.pieces()) == (1 if goes else 2)
    then, now = result.figures
    told = then.restated_by(now, names_teams=True)
    assert (told["figures"], told["largest"], told["teams"]) == (1, 0.5, ["Team"])


def test_a_month_whose_rows_have_key_columns_only_is_merged_again_once_it_is_over(bench):
    bench.header = "Squad Path,Team,Start_Date"
    for age, name in enumerate(["b", "a", "b"], 1):
        bench.export(f"team:{name}", [f"Eng/{name},{name},2026-01-01"], age=age)
    assert bench.owners() == {"Eng/a": ["exp_2"], "Eng/b": ["exp_3"]}


cells = st.one_of(st.none(), st.sampled_from(["", "a", "Ä"]))
tables = st.lists(st.tuples(cells, cells, st.none() | st.integers(0, 2)), max_size=8)


def _table(rows: list[tuple[Any, ...]]) -> pa.Table:
    kinds = [pa.string(), pa.string(), pa.int64()]
    columns = list(zip(*rows, strict=True)) or [()] * 3
    return pa.table(
        [pa.array(column, kind) for column, kind in zip(columns, kinds, strict=True)], names=["a", "b", "n"]
    )


@pytest.mark.fuzz
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


@pytest.mark.fuzz
@settings(max_examples=examples(60))
@given(st.lists(tables, max_size=4), st.booleans())
@example(pieces=[[]], encoded=True)
def test_a_key_is_the_same_in_all_pieces(pieces, encoded) -> None:
    schema = pa.schema([("team", pa.string()), ("_scope", pa.string()), ("sprint", pa.int64())])
    keys, seen = RowKeys(schema), []
    for rows in pieces:
        table = _table(rows).rename_columns(schema.names)
        seen += keys.encode(shared_text_encoded(table) if encoded else table).to_pylist()
    found = [tuple(row[name] for name in schema.names) for row in keys.table().to_pylist()]
    assert [found[key] for key in seen] == [row for rows in pieces for row in rows]
    assert len(keys) == len(found) == len(set(found))
