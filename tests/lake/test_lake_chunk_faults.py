"""Deaths, damage, erased people and others at work, while several slices share a staged file."""

from __future__ import annotations

import json
from functools import partial

import pyarrow.parquet as pq
import pytest
from chunk_bench import JAN, finished, left, staged_chunk, teams
from lake_bench import at, team_row
from test_lake_kills import Killed, Steps

from sei_provider import lake
from sei_provider.lake import CsvError, DamagedObjectError, NewerFormatError
from sei_provider.lake.staging import chunk, erased, staged_file
from sei_provider.lake.storage import store as stores
from sei_provider.lake.storage.store import names, put_bytes

KEY = b"a key of sixteen bytes or more"


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_death_while_a_chunk_is_staged_leaves_it_whole_or_not_there_and_a_later_try_cleans_up(
    bench, monkeypatch, before
):
    for fatal in (0, 1):
        with monkeypatch.context() as patch:
            Steps(patch, bench, fatal, before=before)
            with pytest.raises(Killed):
                staged_chunk(bench, teams(bench, 3))
        whole = 3 if fatal == 1 and not before else 0
        assert len(lake.staged(bench.staging)) == whole
        assert len(lake.resume(bench.staging)) == whole
        assert len(left(bench)) == (2 if whole else 0), "what has no manifest is removed"


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_a_publisher_killed_at_any_step_loses_nothing_of_a_chunk(bench, monkeypatch, before):
    fatal, root = 0, bench.lake
    while True:
        bench.root = root / f"{fatal}"
        manifests = staged_chunk(bench, teams(bench, 3))
        with monkeypatch.context() as patch:
            steps = Steps(patch, bench, fatal, before=before)
            try:
                bench.publish(*manifests[:2])
                bench.publish(manifests[2])
            except Killed:
                pass
            else:
                break
        bench.publish(*manifests)
        assert bench.owners() == {f"Eng/{n}": [f"exp_{n}"] * 2 for n in (1, 2, 3)}, f"step {fatal}"
        assert lake.staged(bench.staging) == {}, f"step {fatal}"
        assert left(bench) == set(), f"step {fatal}"
        fatal += 1
    assert steps.count > 8


def test_a_person_is_erased_from_a_chunk_and_the_others_stay(bench):
    bench.table, bench.report, bench.definition = "contributor_report_monthly", "contributor_report", {}
    header = "Collection Name,Hierarchy,PR_MERGED"
    bench.columns, bench.header = {"Collection Name": "team", "Hierarchy": "team_hierarchy"}, header
    exports = [
        finished(bench, f"team:{n}", [f"{who},Org/{who},1", f"T{n},Org/T{n},2"], age=n, end="2026-01-31")
        for n, who in enumerate(["Ada Lovelace", "Alan Turing"], 1)
    ]
    manifests = staged_chunk(bench, exports)
    (found,) = lake.erase(bench.lake, ["Ada Lovelace"], hash_key=KEY, erased_at=at(50))
    assert (found["place"], found["rows"]) == ("staging", 1)
    assert [one["rows"] for one in lake.staged(bench.staging).values()] == [1, 2]
    assert b"Ada" not in b"".join(bench.objects(".parquet").values())
    assert lake.erase(bench.lake, ["Ada Lovelace"], hash_key=KEY, erased_at=at(51)) == []
    bench.publish(*lake.staged(bench.staging).values())
    assert bench.rows("team") == [("Alan Turing",), ("T1",), ("T2",)]
    assert left(bench) == set()
    assert manifests[0]["path"] == manifests[1]["path"]


def test_the_manifest_of_a_chunk_without_a_person_tells_where_the_rows_of_the_others_lie(bench, monkeypatch):
    monkeypatch.setattr(chunk, "_CUT_BYTES", 1)
    bench.header = "Squad Path,Team,Start_Date,PR_MERGED,Developer"
    who = {1: "Ada Lovelace", 2: "Alan Turing"}
    staged_chunk(bench, [finished(bench, f"team:{n}", [f"Eng/{n},{n},{JAN},1,{who[n]}"], age=n) for n in who])
    lake.erase(bench.lake, ["Ada Lovelace"], hash_key=KEY, erased_at=at(50))
    assert [(each["rows"], each["row_groups"]) for each in lake.staged(bench.staging).values()] == [(0, []), (1, [0])]


def test_a_person_erased_while_a_chunk_is_staged_is_in_none_of_its_slices(bench, monkeypatch):
    load, calls = erased.ErasedPeople.load, []

    def loading(root, key):
        calls.append(root)
        if len(calls) == 2:
            erased.enter(root, ["Ada"], KEY, erased_at=at(1))
        return load(root, key)

    monkeypatch.setattr(erased.ErasedPeople, "load", loading)
    bench.header = "Squad Path,Team,Start_Date,PR_MERGED,Developer"
    exports = [
        finished(bench, f"team:{n}", [f"Eng/{n},{n},{JAN},1,{who}"], age=n, end="2026-01-31")
        for n, who in enumerate(["Ada", "Alan"], 1)
    ]
    staged_chunk(bench, exports, hash_key=KEY)
    assert [one["rows"] for one in lake.staged(bench.staging).values()] == [0, 1]
    assert len(calls) == 3


class Meanwhile:
    """Have something happen just before one of the steps that change a staging folder."""

    def __init__(self, monkeypatch, bench, number, act):
        self.came = False
        self._number, self._act, self._count = number, act, 0
        kind = type(stores._backend(bench.lake))
        for name in ("put", "remove"):
            monkeypatch.setattr(kind, name, self._counted(getattr(kind, name)))

    def _counted(self, step):
        def counted(store, target, *args):
            if "/_staging/" in str(target):
                mine, self._count = self._count, self._count + 1
                if mine == self._number and not self.came:
                    self.came = True
                    self._act()
            step(store, target, *args)

        return counted


@pytest.mark.parametrize(
    ("store", "first", "second"),
    [
        pytest.param("disk", (0, 1, 2), (0, 1, 2), id="the same slices"),
        pytest.param("disk", (0, 1), (1, 2), id="some of them"),
        pytest.param("disk", (0,), (1, 2), id="others"),
        pytest.param("s3", (0, 1), (1, 2), id="some of them on S3"),
    ],
    indirect=["store"],
)
def test_two_publishers_of_one_chunk_at_once_publish_each_slice_once_and_leave_nothing(
    bench, monkeypatch, first, second
):
    root, number = bench.lake, 0
    while True:
        bench.root = root / f"{number}"
        manifests = staged_chunk(bench, teams(bench, 3, [JAN]))
        with monkeypatch.context() as patch:
            meanwhile = Meanwhile(patch, bench, number, partial(bench.publish, *(manifests[each] for each in second)))
            bench.publish(*(manifests[each] for each in first))
        if not meanwhile.came:
            break
        assert bench.owners() == {f"Eng/{n}": [f"exp_{n}"] for n in (1, 2, 3)}, f"step {number}"
        assert lake.staged(bench.staging) == {}, f"step {number}"
        assert lake.staged(bench.staging, published=True).keys() == {"0001", "0002", "0003"}, f"step {number}"
        assert left(bench) == set(), f"step {number}"
        number += 1
    assert number >= 1


def test_a_worker_taken_for_dead_stages_on_beside_the_next_try_and_nothing_is_lost_or_doubled(bench, monkeypatch):
    """The next try begins by removing what is unfinished in their common folder."""
    root, number = bench.lake, 0
    while True:
        bench.root = root / f"{number}"
        exports, found = teams(bench, 3, [JAN]), []

        def next_try(exports=exports, found=found):
            there = lake.resume(bench.staging)
            found += there.values()
            found += staged_chunk(bench, [export for export in exports if export.request not in there])

        with monkeypatch.context() as patch:
            meanwhile = Meanwhile(patch, bench, number, next_try)
            late = staged_chunk(bench, exports[:2])
        if not meanwhile.came:
            break
        bench.publish(*found)
        bench.publish(*late, minute=1001)
        assert bench.owners() == {f"Eng/{n}": [f"exp_{n}"] for n in (1, 2, 3)}, f"step {number}"
        bench.publish(*lake.staged(bench.staging).values(), minute=1002)
        assert bench.owners() == {f"Eng/{n}": [f"exp_{n}"] for n in (1, 2, 3)}, f"step {number}"
        assert not [name for name in left(bench) if name.endswith(".parquet")], f"step {number}"
        assert lake.staged(bench.staging) == {}, f"step {number}"
        number += 1
    assert number == 2


def test_rows_put_aside_lie_there_before_their_chunk_counts_and_the_others_of_it_land(bench, monkeypatch):
    bench.options = {"on_bad_value": "quarantine"}
    rows = {1: [team_row("Eng/1", JAN), team_row("Eng/1/X", JAN, "bad")], 2: [team_row("Eng/2", JAN, "bad")]}

    def exports():
        return [finished(bench, f"team:{n}", rows.get(n, [team_row("Eng/3", JAN)]), age=n) for n in (1, 2, 3)]

    def aside():
        return names(bench.lake / "_quarantine" / bench.table)

    for fatal in range(3):
        with monkeypatch.context() as patch:
            Steps(patch, bench, fatal, before=False)
            with pytest.raises(Killed):
                staged_chunk(bench, exports())
        assert (len(lake.staged(bench.staging)), aside()) == (2 if fatal == 2 else 0, ["0001-exp_1.parquet"])
    one, error, three = staged_chunk(bench, exports())
    assert isinstance(error, CsvError)
    assert one["path"] == three["path"]
    assert [manifest.get("quarantined") for manifest in (one, three)] == [1, None]
    (month, _) = bench.publish(one, three)
    assert (month["rows"], month["quarantined"]) == (2, 1)
    assert bench.owners() == {"Eng/1": ["exp_1"], "Eng/3": ["exp_3"]}
    assert aside() == ["0001-exp_1.parquet"]


@pytest.mark.parametrize("first", [0, 1], ids=["published", "still to be published"])
def test_a_person_is_erased_from_a_chunk_of_which_a_part_is_published(bench, first):
    bench.table, bench.report, bench.definition = "contributor_report_monthly", "contributor_report", {}
    bench.columns, bench.header = {"Hierarchy": "team_hierarchy"}, "Team,Hierarchy,PR_MERGED"
    manifests = staged_chunk(
        bench,
        [
            finished(bench, f"team:{n}", [f"{who},Org/{who},1", f"T{n},Org/T{n},2"], age=n, end="2026-01-31")
            for n, who in enumerate(["Ada Lovelace", "Alan Turing"], 1)
        ],
    )
    bench.publish(manifests[first])
    found = lake.erase(bench.lake, ["Ada Lovelace"], hash_key=KEY, erased_at=at(50))
    places = [(each["place"], each["rows"]) for each in found]
    assert places == [("staging", 1)] + [("table", 1)] * (first == 0)
    assert b"Ada" not in b"".join(bench.objects("").values())
    bench.publish(*manifests, minute=1001)
    assert bench.rows("team") == [("Alan Turing",), ("T1",), ("T2",)]
    assert b"Ada" not in b"".join(bench.objects("").values())
    assert left(bench) == set()


@pytest.mark.parametrize("kept", [True, False], ids=["small", "large"])
def test_of_a_chunk_with_a_damaged_row_group_the_slices_of_the_others_land(bench, monkeypatch, kept):
    monkeypatch.setattr(chunk, "_CUT_BYTES", 1)
    monkeypatch.setattr(staged_file, "_SMALL_BYTES", 1 << 20 if kept else 0)
    manifests = staged_chunk(bench, teams(bench, 3))
    path = bench.path(manifests[0])
    group = pq.read_metadata(path).row_group(1)
    data = bytearray(path.read_bytes())
    for number in range(group.num_columns):
        column = group.column(number)
        first = column.dictionary_page_offset or column.data_page_offset
        data[first : first + column.total_compressed_size] = bytes(column.total_compressed_size)
    path.write_bytes(bytes(data))
    refused = []
    for minute in (50, 51):
        refused.clear()
        lake.publish(bench.lake, manifests, published_at=at(minute), on_refused=lambda *one: refused.append(one))
        assert [(one["scope"], type(error)) for one, error in refused] == [("team:2", DamagedObjectError)]
        assert f"{path} is damaged" in str(refused[0][1])
        assert bench.owners() == {"Eng/1": ["exp_1"] * 2, "Eng/3": ["exp_3"] * 2}
        assert lake.staged(bench.staging).keys() == {"0002"}


def test_a_chunk_of_a_newer_version_is_refused_and_its_manifest_does_not_count(bench, monkeypatch):
    with monkeypatch.context() as newer:
        newer.setattr(chunk, "STAGED_FORMAT", 3)
        manifests = staged_chunk(bench, teams(bench, 2))
    with pytest.raises(NewerFormatError, match="format 3"):
        bench.publish(*manifests)
    path = bench.path(manifests[0]).with_suffix(".json")
    put_bytes(path, json.dumps({"format": 3, "slices": manifests}).encode())
    assert lake.staged(bench.staging) == {}


@pytest.mark.parametrize(
    "change",
    [
        lambda told: told["slices"][0].update(rows=[[0, 99]]),
        lambda told: told["slices"][0].update(rows=[[-1, 1]]),
        lambda told: told["slices"][0].update(rows="all"),
        lambda told: told["slices"][0].update(columns=7),
        lambda told: told["slices"][0]["sei.slice"].update(scope=7),
        lambda told: told["slices"][1].pop("sei.paths"),
        lambda told: told.update(slices=7),
        lambda told: told.update(format="x"),
        lambda told: told.pop("columns"),
    ],
    ids=["beyond", "before", "text", "columns", "scope", "paths", "slices", "format", "no columns"],
)
def test_a_chunk_whose_footer_somebody_has_rewritten_is_refused_by_itself(bench, change):
    manifests = staged_chunk(bench, teams(bench, 2))
    path = bench.path(manifests[0])
    table = pq.read_table(path)
    told = json.loads(table.schema.metadata[b"sei.chunk"])
    change(told)
    pq.write_table(table.replace_schema_metadata({"sei.chunk": json.dumps(told)}), path)
    good = bench.stage("team:9", [team_row("Eng/9", JAN)], age=9)
    refused = []
    lake.publish(bench.lake, [*manifests, good], published_at=at(50), on_refused=lambda *one: refused.append(one))
    assert [(one["scope"], type(error)) for one, error in refused] == [
        ("team:1", DamagedObjectError),
        ("team:2", DamagedObjectError),
    ]
    assert bench.owners() == {"Eng/9": ["exp_9"]}
