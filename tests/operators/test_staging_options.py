"""Options of staging: keep raw files, quarantine bad rows, drop or hash personal data."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from sei_provider.sandbox.control import SandboxControl
from tests.connections import connect
from tests.operators.conftest import Task

DEVELOPERS = {"report": "productivity", "level": "developer", "scopes": ["11"]}


def test_raw_files_are_kept_as_sei_sent_them(sandbox: SandboxControl, lake: Path, tmp_path: Path) -> None:
    manifests = Task(lake, state=None, raw_path=str(tmp_path / "raw")).run()
    kept = sorted((tmp_path / "raw" / "sprint_team_monthly" / "2026-01-01_2026-02-28").iterdir())
    assert [path.read_bytes() for path in kept] == [sandbox.bytes(each["export_id"]) for each in manifests]
    assert all(path.name.endswith(".csv.gz") for path in kept)


def test_without_raw_nothing_but_staging_is_written(sandbox: SandboxControl, lake: Path) -> None:
    Task(lake, state=None).run()
    assert [path.name for path in lake.iterdir()] == ["_staging"]


def test_people_can_be_left_out_and_raw_copies_with_them(
    sandbox: SandboxControl, lake: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (manifest,) = Task(lake, state=None, **DEVELOPERS, personal_data="drop", raw_path=str(tmp_path / "raw")).run()
    columns = set(pq.read_schema(manifest["path"]).names)
    assert "coding_days" in columns
    assert not columns & {"developer", "developer_email"}
    assert not (tmp_path / "raw").exists()
    assert "No raw copies are kept" in capsys.readouterr().out


def test_people_can_be_hashed_under_the_connections_secret(
    sandbox: SandboxControl, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(AirflowFailException, match="personal_data_secret in the connection 'sei_default'"):
        Task(lake, state=None, **DEVELOPERS, personal_data="hash").run()
    hashes = []
    for secret in ("a secret of sixteen", "a secret of sixteen", "another secret, longer"):
        connect(monkeypatch, sandbox.base_url, personal_data_secret=secret)
        (manifest,) = Task(lake / secret / str(len(hashes)), state=None, **DEVELOPERS, personal_data="hash").run()
        hashes.append(pq.read_table(manifest["path"])["developer"].to_pylist())
    assert all(re.fullmatch("[0-9a-f]{64}", each) for each in hashes[0])
    assert hashes[0] == hashes[1] != hashes[2]
