"""Months that another program has written anew, with the ledger that publish left in them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from lake_bench import at, team_row
from upath import UPath

from sei_provider import lake
from sei_provider.lake import DamagedObjectError

JAN, FEB = "2026-01-01", "2026-02-01"


def object_of(bench, month="2026-01"):
    return bench.lake / bench.table / f"month={month}" / "data.parquet"


def write_anew(bench, change, groups=None):
    """Write the rows of January as `change` returns them, in row groups of (first row, rows)."""
    path = object_of(bench)
    footer = pq.read_metadata(path).metadata
    rows = change(pq.ParquetFile(path).read().replace_schema_metadata())
    with pq.ParquetWriter(path, rows.schema) as writer:
        for first, count in groups or [(0, len(rows))]:
            writer.write_table(rows.slice(first, count))
        writer.add_key_value_metadata({key: value for key, value in footer.items() if key != b"ARROW:schema"})


def with_cells(rows, name, cells):
    return rows.set_column(rows.schema.get_field_index(name), name, pa.array(cells, rows.schema.field(name).type))


def as_type(kind):
    def changed(rows):
        names = [field.name for field in rows.schema if pa.types.is_string(field.type)]
        for name in names:
            rows = rows.set_column(rows.schema.get_field_index(name), name, rows[name].cast(kind))
        return rows

    return changed


@pytest.mark.parametrize("team", ["Eng", None], ids=["team", "no team"])
def test_a_month_with_row_groups_without_rows_and_a_cell_without_its_team_is_merged(bench, team):
    """Staging never lets in a row without its team."""
    bench.export("team:1", [team_row("Eng", JAN), team_row("Eng/1", JAN)], age=1)
    write_anew(bench, lambda rows: with_cells(rows, "team", [team, "1"]), [(0, 0), (0, 1), (1, 0), (1, 1)])
    assert pq.read_metadata(object_of(bench)).num_row_groups == 4
    bench.export("team:2", [team_row("Eng/2", JAN)], age=2)
    assert bench.rows("team_hierarchy", "team", "team_depth", "is_leaf") == [
        ("Eng", team, 0, False),
        ("Eng/1", "1", 1, True),
        ("Eng/2", "2", 1, True),
    ]


def can_write(kind):
    """Older versions of pyarrow write no views."""
    try:
        pq.write_table(pa.table({"cell": pa.array(["a"], kind)}), pa.BufferOutputStream())
    except pa.ArrowNotImplementedError:
        return False
    return True


FORMS = {
    "large text": as_type(pa.large_string()),
    **({"text views": as_type(pa.string_view())} if can_write(pa.string_view()) else {}),
    "categories": as_type(pa.dictionary(pa.int32(), pa.string())),
    "another order of rows": lambda rows: rows.take(pc.sort_indices(rows, sort_keys=[("team", "descending")])),
    "another order of columns": lambda rows: rows.select(rows.schema.names[::-1]),
    "nothing that is computed": lambda rows: rows.drop_columns(["team_depth", "is_leaf", "team_id", "end_date"]),
}


@pytest.mark.parametrize("form", FORMS)
def test_a_month_in_another_form_is_merged_as_if_publish_had_left_it(bench, form):
    expected = []
    for changed in (False, True):
        bench.root = UPath(bench.folder / f"lake-{changed}")
        bench.export("team:1", [team_row(f"Eng/{n}", JAN, n) for n in range(3)], age=1)
        bench.export("team:1", [team_row(f"Eng/{n}", JAN, n) for n in range(1, 4)], age=2)
        if changed:
            write_anew(bench, FORMS[form])
        bench.export("team:2", [team_row("Eng/2", JAN, 9), team_row("Ops", JAN)], age=3)
        expected.append(pq.ParquetFile(object_of(bench)).read())
    assert expected[0] == expected[1]
    assert expected[0].schema == expected[1].schema


@pytest.mark.parametrize("name", ["team_hierarchy", "start_date"])
@pytest.mark.parametrize("absent", [False, True], ids=["one cell", "the column"])
def test_a_month_whose_rows_do_not_tell_team_or_period_is_damage_of_that_month_alone(bench, name, absent):
    both = {"start": JAN, "end": "2026-02-28"}
    bench.export("team:1", [team_row("Eng/A", day) for day in (JAN, FEB)] + [team_row("Eng/B", JAN)], age=1, **both)
    cells = pq.ParquetFile(object_of(bench)).read()[name].to_pylist()
    write_anew(bench, lambda rows: rows.drop_columns(name) if absent else with_cells(rows, name, [None, *cells[1:]]))
    left = object_of(bench).read_bytes()
    new = bench.stage("team:2", [team_row("Eng/C", day) for day in (JAN, FEB)], age=2, **both)
    refused = []
    (february,) = lake.publish(bench.lake, [new], published_at=at(50), on_refused=lambda *one: refused.append(one))
    assert (february["month"], february["rows"]) == ("2026-02", 2)
    ((manifest, error),) = refused
    assert (manifest["scope"], type(error)) == ("team:2", DamagedObjectError)
    assert f"{object_of(bench)} is damaged and cannot be read (" in str(error)
    assert name in str(error)
    assert object_of(bench).read_bytes() == left
    assert lake.staged(bench.staging).keys() == {"f00d"}
