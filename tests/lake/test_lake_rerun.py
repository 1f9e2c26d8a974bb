"""Publishing is idempotent, also after dying in between (DESIGN, decisions 7 and 14)."""

from __future__ import annotations

import pytest
from lake_bench import STORES, at, team_row

from sei_provider import lake
from sei_provider.lake import StagingError
from sei_provider.lake.storage.store import put_bytes, read, remove_each

everywhere = pytest.mark.parametrize("store", STORES, indirect=True)

JAN, FEB = "2026-01-01", "2026-02-01"
BOTH = {"start": "2026-01-01", "end": "2026-02-28"}


@everywhere
def test_publishing_leaves_nothing_in_staging_but_a_mark_which_a_later_try_of_the_task_finds(bench):
    manifest = bench.stage("team:1", [team_row("Eng/A", JAN)], age=1)
    published = bench.publish(manifest)
    assert lake.staged(bench.staging) == {}
    [mark] = [path for path in bench.objects("") if "/_staging/" in path]
    assert "/published-" in mark
    [marked] = lake.staged(bench.staging, published=True).values()
    assert marked == {**manifest, "published": True}
    assert bench.publish(marked, minute=2000) == published
    later = bench.stage("team:1", [team_row("Eng/A", JAN)], age=2)
    assert [*lake.staged(bench.staging, published=True).values()] == [later]
    bench.publish(marked, later, minute=2001)
    assert [*lake.staged(bench.staging, published=True).values()] == [{**later, "published": True}]
    lake.discard(bench.staging)
    assert lake.staged(bench.staging, published=True) == {}
    assert [path for path in bench.objects("") if "/_staging/" in path] == []


@everywhere
def test_a_slice_that_is_marked_as_published_counts_as_done_though_no_ledger_holds_it_any_more(bench):
    bench.export("team:1", [team_row("Eng/A", JAN)], age=1)
    [marked] = lake.staged(bench.staging, published=True).values()
    remove_each([bench.lake / bench.table / "month=2026-01" / "data.parquet"])
    assert bench.publish(marked) == []


@everywhere
def test_publishing_the_same_slice_again_writes_nothing(bench):
    first = bench.stage("team:1", [team_row("Eng/A", JAN)], age=1, **BOTH)
    published = bench.publish(first)
    before = bench.objects()
    again = bench.stage("team:1", [team_row("Eng/A", JAN)], age=1, **BOTH)
    assert bench.publish(again, minute=2000) == published
    assert bench.objects() == before


@everywhere
def test_publishing_again_after_staging_is_gone_says_the_same(bench):
    manifests = [bench.stage(f"team:{n}", [team_row(f"Eng/{n}", JAN)], age=n, **BOTH) for n in (1, 2)]
    published = bench.publish(*manifests)
    before = bench.objects()
    assert bench.publish(*manifests, minute=2000) == published
    assert bench.objects() == before


@everywhere
def test_a_slice_gone_from_staging_and_in_no_ledger_is_an_error_that_names_it(bench):
    bench.export("team:1", [team_row("Eng/A", JAN)], age=1)
    lost = bench.stage("team:7", [team_row("Eng/B", JAN)], age=2)
    good = bench.stage("team:8", [team_row("Eng/C", JAN)], age=3)
    remove_each([bench.path(lost)])
    with pytest.raises(StagingError, match=r"team:7 2026-01-01 to 2026-01-31 \(export exp_2\)"):
        bench.publish(lost, good)
    assert bench.owners() == {"Eng/A": ["exp_1"]}
    assert read(bench.path(good), lambda _: True)


@everywhere
def test_a_slice_gone_from_staging_whose_place_a_newer_one_took_counts_as_done(bench):
    old = bench.stage("team:1", [team_row("Eng/A", JAN)], age=1)
    bench.publish(old)
    bench.export("team:1", [team_row("Eng/A", JAN)], age=2)
    (again,) = bench.publish(old)
    assert [lost["export_id"] for lost in again["superseded"]] == ["exp_1"]
    assert bench.owners() == {"Eng/A": ["exp_2"]}


def test_a_path_outside_the_lake_is_refused(bench):
    manifest = bench.stage("team:1", [], age=1)
    with pytest.raises(StagingError, match="outside the lake"):
        lake.publish(bench.folder / "elsewhere", [manifest], published_at=at(9))


@everywhere
def test_one_export_staged_by_two_tasks_lands_once(bench):
    first = bench.stage("team:1", [team_row("Eng/A", JAN)], age=1)
    other = bench.lake / "_staging" / "other" / "f00d-exp_1.parquet"
    put_bytes(other, read(bench.path(first), lambda data: data.read()))
    bench.publish(first, {**first, "path": str(other)})
    assert bench.owners() == {"Eng/A": ["exp_1"]}
    assert read(other, lambda _: True) is None


@everywhere
def test_nightly_re_runs_do_not_pile_up_in_the_ledger(bench):
    for night in range(1, 8):
        bench.export("team:1", [team_row("Eng/A", JAN)], age=night, end=f"2026-01-{night + 10}")
    assert [entry["export_id"] for entry in lake.ledger(bench.lake, bench.table)["2026-01"]] == ["exp_7"]


def test_a_publisher_that_dies_between_months_leaves_complete_months_and_a_second_run_does_the_rest(bench):
    bench.export("team:1", [team_row("Eng/A", JAN, 1), team_row("Eng/A", FEB, 1)], age=1, **BOTH)
    february = bench.lake / bench.table / "month=2026-02"
    february.rename(bench.folder / "aside")
    february.write_text("a file where a folder must be: the second put fails")
    new = bench.stage("team:1", [team_row("Eng/A", JAN, 2), team_row("Eng/A", FEB, 2)], age=2, **BOTH)
    with pytest.raises(lake.StoreError, match="month=2026-02"):
        bench.publish(new)
    assert bench.path(new).exists(), "what was not published everywhere stays staged"
    february.unlink()
    (bench.folder / "aside").rename(february)
    assert bench.rows("month", "pr_merged") == [("2026-01", 2.0), ("2026-02", 1.0)]
    assert [(month["month"], month["slices"]) for month in bench.publish(new)] == [("2026-01", 1), ("2026-02", 1)]
    assert bench.rows("month", "pr_merged") == [("2026-01", 2.0), ("2026-02", 2.0)]


def test_a_publisher_that_dies_while_emptying_staging_can_be_run_again(bench):
    manifests = [bench.stage(f"team:{n}", [team_row(f"Eng/{n}", JAN)], age=n) for n in (1, 2)]
    copies = {path.name: path.read_bytes() for path in bench.staging.iterdir()}
    published = bench.publish(*manifests)
    (bench.staging / "f00d-exp_2.parquet").write_bytes(copies["f00d-exp_2.parquet"])
    assert bench.publish(*manifests) == published
    assert {path.suffix for path in bench.staging.iterdir()} == {".json"}
    assert lake.staged(bench.staging) == {}
