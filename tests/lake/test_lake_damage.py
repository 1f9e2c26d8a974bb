"""Damaged objects beside the months: each is one error that names it, or is made anew, and all else goes on."""

from __future__ import annotations

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lake_bench import at, team_row

from sei_provider import lake

JAN = "2026-01-01"
KEY = b"5a1d9c07e3f84b26"


def _foreign(path):
    pq.write_table(pa.table({"a": [1]}), path)


def _flip(path):
    data = bytearray(path.read_bytes())
    data[8 : len(data) : 61] = bytes(byte ^ 0x55 for byte in data[8 : len(data) : 61])
    path.write_bytes(bytes(data))


def _cut(path):
    path.write_bytes(path.read_bytes()[:-9])


DAMAGE = {
    "empty": lambda path: path.write_bytes(b""),
    "text": lambda path: path.write_bytes(b"no Parquet"),
    "cut": _cut,
    "flipped": _flip,
    "foreign": _foreign,
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_damaged_staged_file_is_refused_by_itself_and_names_what_to_clear(bench, kind):
    bad = bench.stage("team:1", [team_row("Eng/A", JAN)], age=1)
    good = bench.stage("team:2", [team_row("Eng/B", JAN)], age=2)
    DAMAGE[kind](bench.path(bad))
    refused = []
    for _ in range(2):
        published = lake.publish(
            bench.lake, [bad, good], published_at=at(9), on_refused=lambda *found: refused.append(found)
        )
        assert [month["month"] for month in published] == ["2026-01"]
    assert bench.rows("team") == [("B",)]
    assert [(manifest["scope"], type(error)) for manifest, error in refused] == [
        ("team:1", lake.DamagedObjectError)
    ] * 2
    assert f"{bad['path']} is damaged" in str(refused[0][1])
    assert str(refused[0][1]).endswith("clear the export task that it came from, so that it is exported again")


FOOTERS = [b"", b"0", b"null", b"[]", b"{}", b"[1]", b"[[1]]", b'"x"', b'[["a","b","c","d"]]', b"[" * 100_000]
REWRITTEN = [(name, value) for name in ("slice", "columns", "paths", "periods") for value in FOOTERS]
WELL_FORMED = [(name, value) for name in ("columns", "paths") for value in (b"[]", b"{}")]


@pytest.mark.parametrize(
    ("name", "value"), [each for each in REWRITTEN if each not in WELL_FORMED], ids=lambda value: repr(value[:20])
)
def test_a_staged_file_that_somebody_has_rewritten_is_refused_by_itself(bench, name, value):
    bad = bench.stage("team:1", [team_row("Eng/A", JAN)], age=1)
    good = bench.stage("team:2", [team_row("Eng/B", JAN)], age=2)
    path = bench.path(bad)
    rows = pq.read_table(path)
    footer = pq.ParquetFile(path).metadata.metadata | {f"sei.{name}".encode(): value}
    pq.write_table(rows.replace_schema_metadata({k: v for k, v in footer.items() if k.startswith(b"sei")}), path)
    refused = []
    lake.publish(bench.lake, [bad, good], published_at=at(9), on_refused=lambda *found: refused.append(found))
    assert [(manifest["scope"], type(error)) for manifest, error in refused] == [("team:1", lake.DamagedObjectError)]
    assert bench.rows("team") == [("B",)]


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"{}", b"[1]", b"null", b'"text"', b"\xff\xfe", b'[{"scope": 1}]', b"[" * 100_000],
    ids=lambda content: repr(content[:20]),
)
@pytest.mark.parametrize("name", ["{}", "published-{}"])
def test_a_damaged_manifest_does_not_count_so_its_slice_is_exported_again(bench, name, content):
    path = bench.path(bench.stage("team:1", [team_row("Eng/A", JAN)], age=1))
    (path.parent / name.format(f"{path.stem}.json")).write_bytes(content)
    found = lake.staged(path.parent, published=True).values()
    assert [manifest["scope"] for manifest in found] == ([] if name == "{}" else ["team:1"])


ODD = [1, -1, 10**400, 0.5, True, [], [1], {}, {"a": 1}, None, "", "x", "../x", "\0", "2026-13-99"]


@pytest.mark.parametrize("name", ["{}", "published-{}"])
@pytest.mark.parametrize(
    "field",
    ["scope", "start", "end", "table", "path", "rows", "export_id", "created_at", "error", "request", "reading"],
)
def test_a_manifest_with_anything_in_a_field_is_one_or_counts_not_and_the_others_land(bench, field, name):
    bad = bench.stage("team:1", [team_row("Eng/A", JAN)], age=1)
    good = bench.stage("team:2", [team_row("Eng/B", JAN)], age=2)
    path = bench.path(bad)
    for value in ODD:
        written = json.dumps({**bad, field: value}).encode()
        (path.parent / name.format(f"{path.stem}.json")).write_bytes(written)
        assert all(isinstance(each["scope"], str) for each in lake.staged(path.parent, published=True).values())
    assert bench.publish(good)


@pytest.mark.parametrize("kind", sorted(DAMAGE.keys() - {"foreign"}))
def test_a_person_is_erased_everywhere_else_before_damaged_objects_are_told(bench, kind):
    bench.header = "Developer,Team,Start_Date,PR_MERGED"
    bench.options = {"hash_key": KEY, "on_bad_value": "quarantine"}
    rows = [f"Zoë Quackenbush,A,{JAN},1", f"Zoë Quackenbush,A,{JAN},bad", f"Joe Other,A,{JAN},2"]
    bench.export("team:1", rows, age=1)
    february = [row.replace(JAN, "2026-02-01") for row in rows]
    bench.export("team:1", february, age=2, start="2026-02-01", end="2026-02-28")
    staged = bench.path(bench.stage("team:2", rows, age=3))
    aside = min((bench.folder / "lake" / "_quarantine").rglob("*.parquet"))
    month = bench.folder / "lake" / bench.table / "month=2026-01" / "data.parquet"
    for path in (staged, aside, month):
        DAMAGE[kind](path)
    with pytest.raises(lake.DamagedObjectError, match="the person may still be there: restore or remove each") as found:
        lake.erase(bench.lake, ["Zoë Quackenbush"], hash_key=KEY, erased_at=at(99))
    assert all(str(path) in str(found.value) for path in (staged, aside, month))
    month.unlink()
    assert bench.rows("developer") == [("Joe Other",)]


def test_damaged_pages_of_a_month_are_damage_and_no_failure_of_the_store(bench):
    bench.export("team:1", [team_row(f"Eng/{number}", JAN) for number in range(200)], age=1)
    month = bench.folder / "lake" / bench.table / "month=2026-01" / "data.parquet"
    data = bytearray(month.read_bytes())
    data[4:400] = bytes(396)
    month.write_bytes(bytes(data))
    with pytest.raises(lake.DamagedObjectError, match=r"month=2026-01/data\.parquet is damaged"):
        lake.read_table(bench.lake, bench.table)


@pytest.mark.parametrize(
    "column",
    [
        {"type": "weird"}, {"type": ["float64"]}, {"type": 7}, {"header": 3}, {"header": None}, {"hashed": "yes"},
        {"name": "_scope"}, {"name": "month"}, {"name": ""}, None,
    ],
)  # fmt: skip
def test_a_schema_with_an_impossible_column_or_none_is_rebuilt_from_the_months(bench, column):
    bench.export("team:1", [team_row("Eng/A", JAN)], age=1)
    path = bench.folder / "lake" / "_schemas" / f"{bench.table}.json"
    whole = path.read_bytes()
    schema = json.loads(whole)
    if column is None:
        schema["columns"] = {}
    else:
        changed = schema["columns"].pop("pr_merged") | column
        schema["columns"][changed.pop("name", "pr_merged")] = changed
    path.write_text(json.dumps(schema))
    assert bench.rows("team", "pr_merged") == [("A", 1.0)]
    bench.export("team:2", [team_row("Eng/B", JAN, 2)], age=2)
    assert bench.rows("team", "pr_merged") == [("A", 1.0), ("B", 2.0)]
    typed = {name for name, column in json.loads(whole)["columns"].items() if column["type"]}
    assert typed <= json.loads(path.read_bytes())["columns"].keys()


@pytest.mark.parametrize("name", [".DS_Store", ".keep", "notes.txt", "0123-45"])
def test_foreign_names_among_the_erased_stop_nobody(bench, name):
    folder = bench.folder / "lake" / "_erased"
    folder.mkdir(parents=True)
    (folder / name).write_bytes(b"")
    bench.export("team:1", [team_row("Eng/A", JAN)], age=1)
    assert bench.rows("team") == [("A",)]


def _packed(text):
    return gzip.compress(text.encode() * 500)


@pytest.mark.parametrize(
    "body",
    [b"\x1f\x8b", b"\x1f\x8bno gzip", _packed("A,b\n")[:-9], _packed("A,b\n")[:20] + b"xxxx"],
    ids=["two bytes", "no gzip", "cut off", "overwritten"],  # gzip writes the time, and workers must collect the same
)
def test_a_damaged_raw_copy_is_told_after_the_tables_are_erased(bench, body):
    bench.header = "Developer,Team,Start_Date,PR_MERGED"
    bench.options = {"hash_key": KEY}
    bench.export("team:1", [f"Zoë Quackenbush,A,{JAN},1", f"Joe Other,A,{JAN},2"], age=1)
    raw = bench.folder / "lake" / "raw" / "t" / "2026-01"
    raw.mkdir(parents=True)
    (raw / "a.csv.gz").write_bytes(body)
    (raw / "b.csv.gz").write_bytes(gzip.compress("Developer\nZoë Quackenbush\nJoe\n".encode()))
    options = {"hash_key": KEY, "erased_at": at(99), "raw_path": bench.lake / "raw"}
    with pytest.raises(lake.DamagedObjectError, match=r"a\.csv\.gz cannot be read because of damage"):
        lake.erase(bench.lake, ["Zoë Quackenbush"], **options)
    assert bench.rows("developer") == [("Joe Other",)]
    assert gzip.decompress((raw / "b.csv.gz").read_bytes()) == b"Developer\nJoe\n"
    (bench.folder / "body").write_bytes(body)
    with pytest.raises(lake.TruncatedError, match="raw file is damaged"):
        lake.keep(
            bench.folder / "body", bench.lake / "raw", bench.slice(), export_id="exp_9", lake=bench.lake, hash_key=KEY
        )
