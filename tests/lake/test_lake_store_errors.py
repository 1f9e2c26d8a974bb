"""A wrong key, a missing bucket, a store that does not answer: one error each, within a minute, and never a key."""

from __future__ import annotations

import traceback
from datetime import timedelta
from functools import partial

import pytest
from lake_bench import Bench, team_row
from s3_servers import Server, serving, silent
from stores import open_store

from sei_provider import lake
from sei_provider.lake import StoreError
from sei_provider.lake.storage import object_store
from sei_provider.lake.storage.store import fetch, last_change, names, put_bytes, read, remove_each
from tests.plain_http import closed_endpoint

SECRET = "bm90LXRoZS1yaWdodC1rZXk="
SIGNED = "sv=2024-11-04&sr=c&sig=bm90LXRoZS1yaWdodC1rZXk%3D"


def calls(root, tmp_path):
    """Everything that the lake asks of a store."""
    path = root / "table" / "object"
    return {
        "read": lambda: read(path, lambda data: data.read()),
        "fetch": lambda: fetch(path, tmp_path / "object"),
        "write": lambda: put_bytes(path, b"1"),
        "write under a condition": lambda: put_bytes(path, b"1", if_match=""),
        "list": lambda: names(root / "table"),
        "list with times": lambda: last_change(root / "table"),
        "remove": lambda: remove_each([path]),
        "read a table": lambda: lake.read_table(root, "table"),
        "cover": lambda: lake.coverage(root, "table"),
    }


def errors_of(root, tmp_path):
    found = {}
    for name, call in calls(root, tmp_path).items():
        try:
            call()
        except StoreError as error:
            whole = "".join(traceback.format_exception(error))
            assert "bm90LXRo" not in whole, "the key is in no message, nor in what it was raised from"
            assert "AWSAccessKeyId" not in whole
            found[name] = str(error)
    return found


def host_of(endpoint):
    return endpoint.partition("//")[2].partition("/")[0]


WRONG_KEYS = {
    "s3 wrong key": ("s3", Server, {"status": 403, "code": "InvalidAccessKeyId"}, {"secret_access_key": SECRET}),
    "s3 wrong secret": ("s3", Server, {"status": 403, "code": "SignatureDoesNotMatch"}, {"session_token": SECRET}),
    "s3 forbidden": ("s3", Server, {"status": 403, "code": "AccessDenied"}, {}),
    "s3 expired": ("s3", Server, {"status": 400, "code": "ExpiredToken"}, {"session_token": SECRET}),
}


@pytest.mark.parametrize("case", WRONG_KEYS)
def test_a_wrong_key_is_an_error_that_names_bucket_and_host(tmp_path, case):
    kind, server, answer, options = WRONG_KEYS[case]
    with serving(server, **answer) as endpoint:
        found = errors_of(open_store(kind, endpoint, "lake", **options), tmp_path)
    assert len(found) == 9
    for message in found.values():
        assert f"{host_of(endpoint)} refuses the credentials for bucket 'sei'" in message
        assert answer["code"] in message
        assert "write access" in message


@pytest.mark.parametrize("key", [{"account_key": SECRET}, {"sas_key": SIGNED}], ids=["account key", "signature"])
def test_a_wrong_key_of_azure_is_an_error_that_names_container_and_host(tmp_path, azure_endpoint, key):
    found = errors_of(open_store("azure", azure_endpoint, "lake", **key), tmp_path)
    assert len(found) == 9
    for message in found.values():
        assert f"{host_of(azure_endpoint)} refuses the credentials for bucket 'sei'" in message


@pytest.mark.parametrize("kind", ["s3", "azure"])
def test_a_missing_bucket_is_an_error_and_no_empty_lake(tmp_path, kind, request):
    endpoint = request.getfixturevalue(f"{kind}_endpoint")
    root = open_store(kind, endpoint, "lake", bucket="missing")
    found = errors_of(root, tmp_path)
    assert found.keys() >= calls(root, tmp_path).keys() - {"remove"}, "to remove what is not there is no error"
    for message in found.values():
        assert f"there is no bucket 'missing' at {host_of(endpoint)}" in message


def test_a_server_that_fails_is_an_error_with_its_status_and_code(tmp_path):
    quick = {"retry_config": {"max_retries": 0}}
    with serving(Server, status=500, code="InternalError") as endpoint:
        found = errors_of(open_store("s3", endpoint, "lake", **quick), tmp_path)
    assert len(found) == 9
    assert all("answered 500 InternalError for bucket 'sei'; run the task again" in each for each in found.values())


@pytest.mark.timeout(60)
@pytest.mark.parametrize("kind", ["s3", "azure"])
def test_a_store_that_is_not_there_is_one_error_within_a_minute(tmp_path, kind):
    endpoint = closed_endpoint()
    root = open_store(kind, endpoint, "lake")
    with pytest.raises(StoreError, match=rf"{host_of(endpoint)} does not answer \(bucket 'sei'\).*endpoint"):
        lake.read_table(root, "table")


@pytest.mark.timeout(60)
@pytest.mark.parametrize("read_timeout", ["500ms", pytest.param(None, marks=pytest.mark.slow)])
def test_a_store_that_accepts_and_never_answers_is_one_error_within_a_minute(monkeypatch, read_timeout):
    if read_timeout:
        monkeypatch.setitem(object_store._CLIENT, "read_timeout", read_timeout)
        monkeypatch.setitem(object_store._RETRY, "retry_timeout", timedelta(seconds=1))
    with silent() as endpoint:
        root = open_store("s3", endpoint, "lake")
        with pytest.raises(StoreError, match=rf"{host_of(endpoint)} does not answer"):
            lake.read_table(root, "table")


def test_a_publisher_that_is_refused_loses_nothing(bench):
    staged = bench.stage("team:1", [team_row("Eng/A", "2026-01-01")], age=1)
    with serving(Server) as endpoint:
        closed_lake = Bench(bench.folder, root=open_store("s3", endpoint, "lake"))
        staged_there = {**staged, "path": f"{closed_lake.lake}/_staging/task/f00d-exp_1.parquet"}
        for step in (partial(closed_lake.publish, staged_there), partial(closed_lake.stage, "team:1", [], age=2)):
            with pytest.raises(StoreError, match=r"cannot write s3://sei/lake.*refuses the credentials"):
                step()
    bench.publish(staged)
    assert bench.rows("team") == [("A",)]
