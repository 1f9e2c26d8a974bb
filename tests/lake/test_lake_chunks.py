"""Small slices of one task share a staged file, cut at months, and one manifest (DESIGN, decisions 7 and 13)."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from chunk_bench import FEB, JAN, finished, left, staged_chunk, teams
from hypothesis import given, settings
from hypothesis import strategies as st
from lake_bench import HEADER, STORES, Bench, at, team_row
from s3_servers import Forwarding, serving
from stores import open_store

from sei_provider import lake
from sei_provider.lake import CsvError
from sei_provider.lake.staging import chunk, month_writer, staged_file
from sei_provider.lake.staging.pii import Privacy
from sei_provider.lake.staging.staged_writer import StagedRows
from tests.examples import examples

everywhere = pytest.mark.parametrize("store", STORES, indirect=True)
YEARS = [f"{year}-{month:02}-01" for year in (2024, 2025) for month in range(1, 13)]


@everywhere
def test_the_slices_of_a_chunk_share_one_file_and_one_manifest_and_each_is_published(bench):
    manifests = staged_chunk(bench, teams(bench, 3))
    (path,) = {manifest["path"] for manifest in manifests}
    assert [manifest["row_groups"] for manifest in manifests] == [[0, 1]] * 3
    assert [(manifest["scope"], manifest["rows"]) for manifest in manifests] == [(f"team:{n}", 2) for n in (1, 2, 3)]
    assert left(bench) == {path.rpartition("/")[2], path.rpartition("/")[2].replace(".parquet", ".json")}
    assert lake.staged(bench.staging) == {f"{n:04}": manifest for n, manifest in enumerate(manifests, 1)}
    months = bench.publish(*manifests)
    assert [(month["month"], month["rows"], month["slices"]) for month in months] == [
        ("2026-01", 3, 3),
        ("2026-02", 3, 3),
    ]
    assert bench.owners() == {f"Eng/{n}": [f"exp_{n}"] * 2 for n in (1, 2, 3)}
    assert left(bench) == set()
    marked = lake.staged(bench.staging, published=True)
    assert marked == {f"{n:04}": {**manifest, "published": True} for n, manifest in enumerate(manifests, 1)}
    assert bench.publish(*marked.values(), minute=2000) == months


def test_row_groups_are_cut_at_months_which_their_statistics_tell(bench):
    (manifest, *_) = staged_chunk(bench, teams(bench, 3, YEARS[:5]))
    metadata = pq.read_metadata(bench.path(manifest))
    days = metadata.schema.names.index("start_date")
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    assert [group.num_rows for group in groups] == [3] * 5
    told = [group.column(days).statistics for group in groups]
    assert [(each.min, each.max) for each in told] == [(date.fromisoformat(day),) * 2 for day in YEARS[:5]]
    opened = staged_file.StagedFiles([bench.path(manifest)])
    assert [sum(map(len, opened.pieces(month=date.fromisoformat(day)))) for day in YEARS[:6]] == [3] * 5 + [0]


def test_row_groups_are_cut_at_slices_that_are_not_tiny(bench, monkeypatch):
    monkeypatch.setattr(chunk, "_CUT_BYTES", 1)
    manifests = staged_chunk(bench, teams(bench, 3))
    assert [manifest["row_groups"] for manifest in manifests] == [[0, 3], [1, 4], [2, 5]]
    bench.publish(*manifests)
    assert bench.owners() == {f"Eng/{n}": [f"exp_{n}"] * 2 for n in (1, 2, 3)}


@pytest.fixture
def rows_read(monkeypatch):
    """Count the rows that are read from staged files, none of which stays in memory."""
    counted = Counter()
    plain = pq.ParquetFile.read_row_group

    def read_row_group(self, *args, **options):
        rows = plain(self, *args, **options)
        counted["rows"] += len(rows) if "_scope" not in rows.schema.names else 0
        return rows

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", read_row_group)
    monkeypatch.setattr(staged_file, "_SMALL_BYTES", 0)
    return counted


@pytest.mark.parametrize("kind", ["chunk", "small", "large"])
def test_issue_19_a_backfill_of_24_months_reads_each_row_once(bench, rows_read, monkeypatch, kind):
    bench.header = bench.header.removesuffix(",Note")  # the type of an unknown column is read before the months
    if kind == "large":
        monkeypatch.setattr(month_writer, "ALONE_BYTES", 0)
    exports = [
        finished(
            bench,
            f"team:{n}",
            [team_row(f"Eng/{n}/{each}", day, each).removesuffix(",") for each in range(20) for day in YEARS],
            age=n,
            start=YEARS[0],
            end="2025-12-31",
        )
        for n in range(1, 3 if kind == "chunk" else 2)
    ]
    manifests = staged_chunk(bench, exports)
    published = bench.publish(*manifests)
    assert len(published) == 24
    assert rows_read["rows"] == sum(month["rows"] for month in published) == 480 * len(exports)


def test_of_a_chunk_only_the_slices_in_hand_are_read_and_the_others_stay_staged(bench, rows_read, monkeypatch):
    monkeypatch.setattr(chunk, "_CUT_BYTES", 1)
    bench.header = bench.header.removesuffix(",Note")
    exports = [finished(bench, f"team:{n}", [f"Eng/{n},{n},{JAN},,1"], age=n, end="2026-01-31") for n in range(1, 4)]
    manifests = staged_chunk(bench, exports)
    bench.publish(manifests[1])
    assert rows_read["rows"] == 1
    assert bench.owners() == {"Eng/2": ["exp_2"]}
    assert lake.staged(bench.staging).keys() == {"0001", "0003"}
    assert lake.staged(bench.staging, published=True).keys() == {"0001", "0002", "0003"}
    assert len(left(bench)) == 2
    bench.publish(manifests[0], minute=1001)
    assert lake.staged(bench.staging).keys() == {"0003"}
    bench.publish(manifests[2], minute=1002)
    assert left(bench) == set(), "the last slice takes the file along"
    assert lake.staged(bench.staging, published=True).keys() == {"0001", "0002", "0003"}
    assert bench.owners() == {f"Eng/{n}": [f"exp_{n}"] for n in (1, 2, 3)}


def test_a_slice_that_does_not_fit_its_table_stays_staged_and_the_rest_of_its_chunk_lands(bench):
    bench.export("team:9", [team_row("Ops/9", JAN, 1, "7")], age=9)
    good, bad = staged_chunk(
        bench,
        [
            finished(bench, "team:1", [team_row("Eng/1", JAN, 1, "8")], age=1),
            finished(bench, "team:2", [team_row("Eng/2", JAN, 1, "eight")], age=2),
        ],
    )
    assert good["path"] == bad["path"]
    refused = []
    lake.publish(bench.lake, [good, bad], published_at=at(50), on_refused=lambda one, _: refused.append(one["scope"]))
    assert refused == ["team:2"]
    assert bench.owners() == {"Ops/9": ["exp_9"], "Eng/1": ["exp_1"]}
    assert lake.staged(bench.staging).keys() == {"0002"}


def test_a_bad_file_is_its_own_error_and_the_others_of_its_chunk_are_staged(bench):
    exports = teams(bench, 3)
    exports[1].file.write_text(f"{HEADER}\n" + team_row("Eng/2", JAN, "many") + "\n")
    one, error, three = staged_chunk(bench, exports)
    assert isinstance(error, CsvError)
    assert one["path"] == three["path"]
    assert lake.staged(bench.staging).keys() == {"0001", "0003"}


def test_a_large_slice_has_a_file_of_its_own(bench, monkeypatch):
    monkeypatch.setattr(month_writer, "ALONE_BYTES", 4 << 10)
    exports = teams(bench, 3)
    with exports[1].file.open("a") as file:
        file.writelines(team_row(f"Eng/2/{n}", day, n) + "\n" for n in range(200) for day in (JAN, FEB))
    small, large, other = staged_chunk(bench, exports)
    assert small["path"] == other["path"] != large["path"]
    assert large["path"].endswith("/0002-exp_2.parquet")
    assert [month["rows"] for month in bench.publish(small, large, other)] == [203, 203]
    assert left(bench) == set()


def rows_with(*others, kind=None, paths=0, file=None):
    """Return a slice's rows of four columns and some others, of text unless `kind` is their type."""
    names = ["team", "team_hierarchy", "start_date", "end_date"]
    schema = pa.schema([*((name, pa.string()) for name in names), *((name, kind or pa.string()) for name in others)])
    return StagedRows({b"sei.paths": "x" * paths}, schema, 1, {}, 0, file)


@pytest.mark.parametrize(
    ("slices", "files"),
    [
        ([rows_with("a"), rows_with("b"), rows_with()], [[0, 1, 2]]),
        ([rows_with("a"), rows_with("a", kind=pa.float64()), rows_with("a")], [[0, 2], [1]]),
        ([rows_with("a"), rows_with(*"bcdef"), rows_with(*"bcdefg")], [[0, 1, 2]]),
        ([rows_with("a"), rows_with(*"bcdefgh"), rows_with("b")], [[0, 2], [1]]),
        ([rows_with(paths=600), rows_with(paths=600), rows_with(paths=300)], [[0, 2], [1]]),
        ([rows_with(file=Path("large")), rows_with(), rows_with(file=Path("large")), rows_with()], [[0], [1, 3], [2]]),
        ([rows_with()] * 27, [[*range(25)], [25, 26]]),
    ],
    ids=["other columns", "another type", "half the columns", "mostly other columns", "long footers", "large", "many"],
)
def test_slices_that_share_a_file_are_small_and_alike(monkeypatch, slices, files):
    monkeypatch.setattr(chunk, "MAX_FOOTER_BYTES", 1000)
    assert chunk.gather(slices) == files


def test_slices_whose_columns_differ_share_a_file_in_which_the_others_are_null(bench):
    columns = {"Plums": ("plums", "float64")}
    exports = [
        finished(bench, "team:1", [f"Eng/1,1,{JAN},3"], age=1, header="Squad Path,Team,Start_Date,Apples_count"),
        finished(bench, "team:2", [f"Eng/2,2,{JAN},4"], age=2, header="Squad Path,Team,Start_Date,Pears_count"),
        finished(bench, "team:3", [f"Eng/3,3,{JAN},5"], age=3, header="Squad Path,Team,Start_Date,Plums"),
    ]
    bench.columns |= columns
    numbers = staged_chunk(bench, exports)
    assert len({manifest["path"] for manifest in numbers}) == 1
    bench.publish(*numbers)
    assert bench.rows("team", "apples_count", "pears_count", "plums") == [
        ("1", 3.0, None, None),
        ("2", None, 4.0, None),
        ("3", None, None, 5.0),
    ]


@everywhere
def test_issue_19_columns_of_files_with_one_header_are_found_once_and_those_of_others_for_each(bench, monkeypatch):
    found = []
    classify = Privacy.classify
    monkeypatch.setattr(
        Privacy, "classify", lambda *args, **options: found.append(len(args[1])) or classify(*args, **options)
    )
    fewer, more = "Squad Path,Team,Start_Date", "Squad Path,Team,Start_Date,Plums_count"
    exports = [
        finished(bench, f"team:{n}", [f"Eng/{n},{n},{JAN},{n}"[: None if header is more else -2]], age=n, header=header)
        for n, header in enumerate([fewer, fewer, more, more, fewer], 1)
    ]
    bench.publish(*staged_chunk(bench, exports))
    assert found == [3, 4, 3]
    assert bench.rows("team", "plums_count") == [("1", None), ("2", None), ("3", 3.0), ("4", 4.0), ("5", None)]


def test_a_slice_that_is_gone_from_its_chunk_counts_as_gone(bench):
    manifests = staged_chunk(bench, teams(bench, 3))
    strange = {**manifests[0], "scope": "team:7", "export_id": "exp_7"}
    with pytest.raises(lake.StagingError, match="team:7"):
        bench.publish(strange, *manifests[1:])
    bench.publish(*manifests)
    assert bench.publish(*manifests, minute=2000), "its file is gone, and the ledgers hold it"


CELLS = st.sampled_from(["1", "2.5", "", "many", "007"])
SLICE = st.fixed_dictionaries(
    {
        "columns": st.lists(st.sampled_from(["Note", "Plums", "Pears_count", "CODING_DAYS"]), unique=True, max_size=3),
        "rows": st.lists(st.tuples(st.sampled_from(YEARS[:4]), st.integers(0, 3), CELLS), max_size=8),
    }
)


@pytest.mark.fuzz
@settings(max_examples=examples(5, costly=50), deadline=None)
@given(slices=st.lists(SLICE, min_size=2, max_size=6), kept=st.booleans(), cut=st.sampled_from([1, 256 << 10]))
def test_a_chunk_gives_the_table_that_files_of_one_slice_give(tmp_path_factory, slices, kept, cut):
    """The judge stages each slice by itself."""
    folder = tmp_path_factory.mktemp("chunks")
    tables, told = [], []
    for how in ("chunk", "alone"):
        (folder / how).mkdir()
        bench = Bench(folder / how)
        exports = [
            finished(
                bench,
                f"team:{n}",
                [
                    ",".join(
                        [
                            f"Eng/{n}/{team}",
                            f"{team}",
                            day,
                            *[cell if name != "CODING_DAYS" else "1" for name in one["columns"]],
                        ]
                    )
                    for day, team, cell in {(day, team): (day, team, cell) for day, team, cell in one["rows"]}.values()
                ],
                age=n,
                header=",".join(["Squad Path", "Team", "Start_Date", *one["columns"]]),
                start=YEARS[0],
                end="2024-04-30",
            )
            for n, one in enumerate(slices, 1)
        ]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(chunk, "_CUT_BYTES", cut)
            patch.setattr(staged_file, "_SMALL_BYTES", 1 << 20 if kept else 0)
            parts = [exports] if how == "chunk" else [[export] for export in exports]
            found = [one for part in parts for one in staged_chunk(bench, part)]
            manifests = [one for one in found if isinstance(one, dict)]
            refused = []
            published = lake.publish(
                bench.lake,
                manifests,
                published_at=at(50),
                on_refused=lambda one, error, refused=refused: refused.append((one["scope"], type(error))),
            )
        told.append(
            (len(manifests), sorted(refused, key=str), [(month["month"], month["rows"]) for month in published])
        )
        tables.append(lake.read_table(bench.lake, bench.table).to_pylist() if published else [])
        assert lake.staged(bench.staging).keys() == {
            one["request"] if "request" in one else f"{int(one['scope'][5:]):04}"
            for one in manifests
            if (one["scope"]) in {scope for scope, _ in refused}
        }
    assert told[0] == told[1]
    assert tables[0] == tables[1]


class Counting(Forwarding):
    """Counts the requests by method and kind."""

    left_out = frozenset()
    calls: Counter[str]

    def reply(self, body):
        self.calls[f"{self.command}{'?' + self.path.partition('?')[2][:6] if '?' in self.path else ''}"] += 1
        return super().reply(body)


def test_issue_19_a_chunk_takes_four_calls_of_s3_and_publish_two_a_staged_file(tmp_path: Path, s3_endpoint):
    calls: Counter[str] = Counter()
    with serving(Counting, endpoint=s3_endpoint, calls=calls) as endpoint:
        bench = Bench(tmp_path, root=open_store("s3", endpoint, f"{tmp_path.name}/lake"))
        exports = teams(bench, 100, [JAN])
        staged_chunk(bench, exports[:25])  # the first asks whether the store honours conditions
        calls.clear()
        manifests = [one for first in (25, 50, 75) for one in staged_chunk(bench, exports[first : first + 25])]
        assert calls.total() == 3 * 4, calls
        manifests += lake.staged(bench.staging).values()
        calls.clear()
        bench.publish(*{one["scope"]: one for one in manifests}.values())
        files = len({one["path"] for one in manifests})
        assert files == 4
        assert calls.total() <= 2 * files + 15, calls
        assert calls["POST?delete"] == 2, "one of the manifests, then one of the files"
    assert len(bench.owners()) == 100
