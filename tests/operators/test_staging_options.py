"""Options of staging: keep raw files, quarantine bad rows, drop or hash personal data."""

from __future__ import annotations

import gzip
import io
import re
from pathlib import Path
from typing import IO, Any

import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from sei_provider.api import Export, SeiClient
from sei_provider.api.errors import SeiInputError
from sei_provider.hooks.sei import SeiHook
from sei_provider.operators._arguments import listed_headers
from sei_provider.operators._base import SeiExportError
from sei_provider.operators.export import SeiExportOperator
from sei_provider.sandbox.control import SandboxControl
from sei_provider.testing import connect
from tests.operators.conftest import Task, publish
from tests.operators.test_publish_and_check import check

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
        (manifest,) = Task(lake / str(len(hashes)), state=None, **DEVELOPERS, personal_data="hash").run()
        hashes.append(pq.read_table(manifest["path"])["developer"].to_pylist())
    assert all(re.fullmatch("[0-9a-f]{64}", each) for each in hashes[0])
    assert hashes[0] == hashes[1] != hashes[2]


def test_issue_15_6_a_column_that_nobody_declared_is_told_by_check_until_it_is_named(
    sandbox: SandboxControl, lake: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    download = SeiClient.download_export

    def with_a_manager(client: SeiClient, export: Export, file: IO[bytes], **limits: Any) -> int:
        text = io.BytesIO()
        download(client, export, text, **limits)
        body = text.getvalue()
        head, *rows = (gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body).decode().splitlines()
        rows = [f"{head},Manager,Planted Person", *(f"{row},Planted Person,7" for row in rows)]
        return file.write("\n".join(rows).encode())

    monkeypatch.setattr(SeiClient, "download_export", with_a_manager)
    arguments = {**DEVELOPERS, "personal_data": "drop"}
    result = publish(lake, Task(lake, state=None, **arguments).run(), ["11"])
    capsys.readouterr()
    check(result)
    told = capsys.readouterr().out
    assert re.search("2 columns that nobody has declared, .*: Manager, column [0-9]+. Name each in columns=", told)
    assert "Planted" not in str(result) + told
    named = Task(lake, state=None, **arguments, personal_columns='["Manager", "Planted Person"]').run()
    check(publish(lake, named, ["11"]))
    assert "nobody has declared" not in capsys.readouterr().out
    with pytest.raises(SeiExportError, match="unknown_columns='refuse'"):
        Task(lake, state=None, **arguments, unknown_columns="refuse").run()
    with pytest.raises(SeiInputError, match="unknown_columns"):
        Task(lake, state=None, **arguments, unknown_columns="keep")


@pytest.mark.parametrize("rendered", [["Manager"], '["Manager"]', "['Manager']", "Manager", ("Manager",)], ids=repr)
def test_issue_15_6_personal_columns_may_come_from_a_template(lake: Path, rendered: object) -> None:
    assert "personal_columns" in SeiExportOperator.template_fields
    assert listed_headers(rendered) == ["Manager"]
    assert listed_headers(None) == listed_headers("") == []


def test_issue_15_6_personal_columns_of_another_kind_are_refused() -> None:
    with pytest.raises(SeiInputError, match="must be a list"):
        listed_headers("7")


@pytest.mark.parametrize("secret", ["aaaaaaaaaaaaaaaa", "short", "abcdabcdabcdabcd", "passwordpassword"])
def test_issue_15_13_a_weak_secret_is_refused_before_any_call(
    sandbox: SandboxControl, lake: Path, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    connect(monkeypatch, sandbox.base_url, personal_data_secret=secret)
    with pytest.raises(AirflowFailException, match=r"personal_data_secret.*import secrets") as caught:
        Task(lake, state=None, **DEVELOPERS, personal_data="hash").run()
    assert secret not in str(caught.value)
    assert sandbox.requests() == []
    good, said = SeiHook().test_connection()
    assert (good, "import secrets" in said) == (False, True)
