"""Stores that a lake may use, and what each kind guarantees (DESIGN, decisions 14 and 17)."""

from __future__ import annotations

from uuid import uuid4

import pytest
from lake_bench import STORES, at, team_row
from obstore.store import S3Store
from s3_servers import Forwarding, serving
from stores import open_store
from upath import UPath

from sei_provider import lake
from sei_provider.lake import ConflictError, UnsupportedStoreError
from sei_provider.lake.storage import object_store
from sei_provider.lake.storage.backend import MISSING
from sei_provider.lake.storage.store import fetch, last_change, names, put, put_bytes, read, remove_each

JAN = "2026-01-01"
everywhere = pytest.mark.parametrize("store", STORES, indirect=True)
conditional = pytest.mark.parametrize("store", ["s3", "azure"], indirect=True)
replaced = pytest.mark.parametrize("store", ["s3", "azure", "memory"], indirect=True)


def airflows_own(path, _):
    from airflow.sdk import ObjectStoragePath  # each worker would import Airflow as it collects

    return ObjectStoragePath(f"file://{path}")


OPENED = {
    "path": lambda path, _: str(path),
    "address": lambda path, _: f"file://{path}",
    "airflow": airflows_own,
    "obstore": lambda path, endpoint: S3Store(
        "sei",
        prefix=f"{path.parent.name}/{path.name}",
        endpoint=endpoint,
        access_key_id="sandbox",
        secret_access_key="sandbox",
        client_options={"allow_http": True},
    ),
}


@pytest.mark.parametrize("kind", OPENED)
def test_the_lake_may_be_a_path_an_address_a_store_or_airflows_own_path_object(bench, kind, s3_endpoint):
    root = OPENED[kind](bench.folder, s3_endpoint)
    path = lake.lake_path(root)
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
        columns=bench.columns,
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
    with pytest.raises(
        UnsupportedStoreError, match=r"memory://.*only local disk, S3 and Azure Blob Storage can.*single_writer=True"
    ):
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


@pytest.mark.parametrize("store", ["memory"], indirect=True)
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
def test_a_put_goes_through_only_in_place_of_the_version_that_was_read(bench, tmp_path):
    path = bench.lake / "object"
    put_bytes(path, b"1", if_match=MISSING)
    with pytest.raises(ConflictError, match="changed by another writer"):
        put_bytes(path, b"2", if_match=MISSING)
    version = fetch(path, tmp_path / "object").version
    put_bytes(path, b"3", if_match=version)
    with pytest.raises(ConflictError):
        put_bytes(path, b"4", if_match=version)
    assert read(path, lambda data: data.read()) == b"3"
    remove_each([path])
    with pytest.raises(ConflictError):
        put_bytes(path, b"5", if_match=version)
    assert read(path, lambda data: data.read()) is None
    remove_each([path])


LARGE = 3 << 20
"""Larger than what one request reads."""


@replaced
def test_an_object_that_is_replaced_under_a_ranged_read_is_read_again_from_the_new_version(bench):
    path = bench.lake / "object"
    put_bytes(path, b"old" * LARGE)
    calls = []

    def slowly(data):
        calls.append(1)
        first = data.read(3)
        if len(calls) == 1:
            put_bytes(path, b"new" * LARGE)
        data.seek(-3, 2)
        return first + data.read()

    assert read(path, slowly) == b"newnew"
    assert len(calls) == 2


@pytest.fixture
def forgetful(s3_endpoint):
    """A folder on a server that answers reads whatever version they ask for."""
    with serving(Forwarding, endpoint=s3_endpoint, methods={"GET"}) as endpoint:
        yield open_store("s3", endpoint, f"{uuid4().hex}/lake")


def test_an_object_that_shrinks_is_read_again_from_a_server_that_ignores_conditions_of_reads(forgetful):
    path, calls = forgetful / "object", []
    put_bytes(path, b"old" * LARGE)

    def end(data):
        calls.append(1)
        if len(calls) == 1:
            put_bytes(path, b"new")
        data.seek(-3, 2)
        return data.read()

    assert read(path, end) == b"new"
    assert len(calls) == 2


@replaced
def test_an_object_that_shrinks_under_a_ranged_read_is_no_damaged_object(bench):
    path = bench.lake / "object"
    put_bytes(path, b"old" * LARGE)
    calls = []

    def footer(data):
        calls.append(1)
        data.read(3)
        if len(calls) == 1:
            put_bytes(path, b"new")
        data.seek(-3, 2)
        if data.read(3) != b"new":
            msg = "Page was smaller than expected"
            raise ValueError(msg)
        return True

    assert read(path, footer)


@conditional
def test_an_object_of_many_parts_is_fetched_and_put_as_it_is(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(object_store, "_PARTS_BYTES", 11 << 20)  # obstore's parts have 5 MiB
    source = tmp_path / "source"
    source.write_bytes(bytes(range(256)) * (12 << 12))
    path = bench.lake / "large"
    put(path, source)
    put(path, source, if_match=fetch(path, tmp_path / "before").version)
    assert fetch(path, tmp_path / "after").file.read_bytes() == source.read_bytes()
    put_bytes(path, b"")
    assert fetch(path, tmp_path / "after").file.read_bytes() == b""
    assert read(path, lambda data: data.read()) == b""


@conditional
def test_an_objects_folders_and_names_are_those_of_its_key(bench):
    path = bench.lake / "a b" / "ü%41#?*~[1]" / "x.parquet"
    put_bytes(path, b"1")
    assert names(bench.lake) == ["a b"]
    assert names(bench.lake / "a b") == ["ü%41#?*~[1]"]
    assert str(path.with_suffix(".json")) == f"{bench.lake}/a b/ü%41#?*~[1]/x.json"
    assert path.parents[-1].key == ""
    assert last_change(path.parent) is not None
    remove_each([path, path])
    assert names(bench.lake) == []
