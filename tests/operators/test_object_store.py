"""The whole way on S3, over a real socket, opened as users do: `s3://connection@bucket/prefix`."""

from __future__ import annotations

import json
from uuid import uuid4

import pytest

from sei_provider.hooks.lake import open_lake
from sei_provider.lake import read_table
from sei_provider.lake.storage.store import names
from sei_provider.operators._base import SeiExportError
from sei_provider.sandbox.control import SandboxControl
from tests.operators.conftest import Task, publish
from tests.tasks import REUSE

SPRINT = "sprint_team_monthly"


@pytest.fixture
def s3_lake(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    extra = {"endpoint_url": s3_endpoint, "region_name": "us-east-1"}
    connection = {"conn_type": "aws", "login": "sandbox", "password": "sandbox", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps(connection))
    return f"s3://lake@sei/{uuid4().hex}/lake"


def test_exports_land_in_s3_and_a_retry_finds_what_is_staged_there(sandbox: SandboxControl, s3_lake: str) -> None:
    sandbox.fault("fail", team="12", times=1)
    task = Task(s3_lake, state=None)  # type: ignore[arg-type]
    with pytest.raises(SeiExportError):
        task.run()
    sandbox.advance(REUSE)
    staged = task.run()
    assert len(sandbox.exports()) == 4
    assert all(manifest["path"].startswith("s3://") for manifest in staged)
    result = publish(s3_lake, staged, ["11", "12", "13"])  # type: ignore[arg-type]
    assert result["missing"] == []
    table = read_table(open_lake(s3_lake), SPRINT)
    assert (table.num_rows, set(table["_scope"].to_pylist())) == (6, {"team:11", "team:12", "team:13"})
    assert "sandbox" not in json.dumps(result), "the store's key is nowhere in what is handed on"
    staging = open_lake(s3_lake) / "_staging"
    left = [name for folder in names(staging) for name in names(staging / folder)]
    assert [name for name in left if not name.startswith("published-")] == []
