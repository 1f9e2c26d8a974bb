"""Stores that a lake may use, and what each kind guarantees (DESIGN, decisions 14 and 17)."""

from __future__ import annotations

import pytest
from airflow.sdk import ObjectStoragePath
from airflow.sdk.io import attach
from lake_bench import STORES, at, team_row
from s3fs import S3FileSystem
from upath import UPath

from sei_provider import lake
from sei_provider.lake import ConflictError, UnsupportedStoreError
from sei_provider.lake.storage.backend import MISSING
from sei_provider.lake.storage.store import fetch, names, put_bytes, read

JAN = "2026-01-01"
everywhere = pytest.mark.parametrize("store", STORES, indirect=True)
conditional = pytest.mark.parametrize("store", ["s3"], indirect=True)


def s3_by_airflow(path, options):
    """As a worker opens it, but for the amazon provider that turns a connection into a file system."""
    attach("s3", conn_id="lake_of_tests", fs=S3FileSystem(**options))
    return ObjectStoragePath(f"s3://lake_of_tests@sei/{path.name}/by-airflow")


OPENED = {
    "path": lambda path, _: str(path),
    "address": lambda path, _: f"file://{path}",
    "airflow": lambda path, _: ObjectStoragePath(f"file://{path}"),
    "airflow-s3": s3_by_airflow,
}


@pytest.mark.parametrize("kind", OPENED)
def test_the_lake_may_be_a_path_an_address_or_airflows_own_path_object(bench, kind, s3_options):
    root = OPENED[kind](bench.folder, s3_options)
    path = UPath(root) if isinstance(root, str) else root
    (bench.folder / "body").write_text(f"{bench.header}\n{team_row('Eng/A', JAN, 4)}\n")
    manifest = lake.stage(
        bench.folder / "body",
        folder=path / "_staging" / "task",
        slice=bench.slice(),
        request="f00d",
        export_id="exp_9",
        created_at=at(9),
        run_id="r",
        exported_at=at(9),
        aliases=bench.aliases,
    )
    assert lake.staged(path / "_staging" / "task") == {"f00d": manifest}
    lake.publish(root, [manifest], published_at=at(10))
    assert lake.read_table(root, bench.table)["pr_merged"].to_pylist() == [4.0]
    lake.discard(path / "_staging" / "task")
    assert lake.staged(path / "_staging" / "task") == {}


@pytest.mark.parametrize("store", ["memory"], indirect=True)
@pytest.mark.parametrize("step", ["stage", "publish"])
def test_a_store_that_cannot_keep_two_writers_apart_requires_single_writer(bench, step):
    staged = bench.stage("team:1", [team_row("Eng/A", JAN)], age=1)
    bench.single_writer = False
    with pytest.raises(UnsupportedStoreError, match=r"memory://.*only local disk and S3 can.*single_writer=True"):
        bench.publish(staged) if step == "publish" else bench.stage("team:1", [], age=2)


def test_a_store_whose_puts_are_not_atomic_is_refused_even_to_a_single_writer(bench):
    bench.root, bench.single_writer = UPath("http://localhost/lake"), True
    with pytest.raises(UnsupportedStoreError, match="puts to a http store are not atomic; use local disk, S3"):
        bench.stage("team:1", [], age=1)


@everywhere
def test_a_name_that_begins_like_another_is_never_touched(bench):
    bench.export("team:1", [team_row("Eng/A", JAN)], age=1)
    table, task = bench.lake / f"{bench.table}_unprocessed", bench.lake / "_staging" / "task_unprocessed"
    for path in (table / "month=2026-02" / "data.parquet", task / "f00d-exp_9.parquet", task / "f00d-exp_9.json"):
        put_bytes(path, b"not ours")
    bench.export("team:1", [team_row("Eng/A", JAN)], age=2)
    lake.discard(bench.staging)
    assert list(lake.ledger(bench.lake, bench.table)) == ["2026-01"]
    assert names(bench.lake / bench.table / "") == names(bench.lake / bench.table)
    assert sorted(set(bench.objects("").values())).count(b"not ours") == 1
    assert len([data for data in bench.objects("").values() if data == b"not ours"]) == 3


@pytest.mark.parametrize("store", ["memory", "s3"], indirect=True)
def test_what_another_process_wrote_is_seen_though_the_folder_was_listed_before(bench):
    folder = bench.lake / "listed"
    put_bytes(folder / "a", b"1")
    assert names(folder) == ["a"]
    assert folder.fs.ls(folder.path)
    other = UPath(str(folder), **folder.storage_options, skip_instance_cache=True)
    put_bytes(other / "b", b"2")
    put_bytes(other / "a", b"longer than before")
    assert names(folder) == ["a", "b"]
    assert read(folder / "a", lambda data: data.read()) == b"longer than before"


@everywhere
def test_an_object_that_is_not_there_has_no_content_no_version_and_no_name(bench, tmp_path):
    path = bench.lake / "nothing" / "here"
    assert read(path, lambda data: data.read()) is None
    fetched = fetch(path, tmp_path / "object")
    assert (fetched.file, fetched.version) == (None, MISSING)
    assert names(path.parent) == []


@conditional
def test_a_put_on_s3_goes_through_only_in_place_of_the_version_that_was_read(bench, tmp_path):
    path = bench.lake / "object"
    put_bytes(path, b"1", if_match=MISSING)
    with pytest.raises(ConflictError, match="changed by another writer"):
        put_bytes(path, b"2", if_match=MISSING)
    version = fetch(path, tmp_path / "object").version
    put_bytes(path, b"3", if_match=version)
    with pytest.raises(ConflictError):
        put_bytes(path, b"4", if_match=version)
    assert read(path, lambda data: data.read()) == b"3"
    path.unlink()
    with pytest.raises(ConflictError):
        put_bytes(path, b"5", if_match=version)
    assert read(path, lambda data: data.read()) is None


@conditional
def test_reading_from_s3_starts_again_when_the_object_is_replaced_meanwhile(bench):
    path = bench.lake / "object"
    put_bytes(path, b"old" * 10)
    calls = []

    def slowly(data):
        calls.append(1)
        if len(calls) == 1:
            put_bytes(path, b"new" * 20)
        return data.read()

    assert read(path, slowly) == b"new" * 20
    assert len(calls) == 2


@conditional
def test_a_botocore_that_knows_no_conditions_is_refused_rather_than_trusted(bench, monkeypatch):
    from botocore.model import StructureShape

    put_bytes(bench.lake / "object", b"1")
    members = StructureShape.members._fget
    monkeypatch.setattr(
        StructureShape,
        "members",
        property(lambda shape: {name: member for name, member in members(shape).items() if name != "IfNoneMatch"}),
    )
    with pytest.raises(UnsupportedStoreError, match="upgrade s3fs and aiobotocore"):
        put_bytes(bench.lake / "other", b"1", if_match=MISSING)
