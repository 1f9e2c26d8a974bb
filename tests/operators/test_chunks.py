"""A task stages its exports in chunks, and a death loses one chunk at most (DESIGN, decision 7)."""

from __future__ import annotations

import gzip
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from dev.processes import wait_until
from sei_provider import lake as sei_lake
from sei_provider.api.client import SeiClient
from sei_provider.api.errors import SeiAuthError
from sei_provider.api.export import Export
from sei_provider.operators import _staging
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.data.organisation import Organisation
from sei_provider.sandbox.server import serve
from sei_provider.testing import connect
from tests.operators.chunk_task import StateFile
from tests.operators.conftest import Task
from tests.tasks import TaskState

SCOPES = [team.id for team in Organisation(32).leaves][:30]


def downloads(sandbox: SandboxControl) -> Counter[Any]:
    return Counter(request["export_id"] for request in sandbox.requests() if request["kind"] == "download")


@pytest.mark.slow
def test_issue_19_a_task_killed_while_a_chunk_is_staged_makes_no_export_again_and_fetches_that_chunk_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, state = tmp_path / "lake", tmp_path / "state.json"
    with serve(teams=32, seconds=0) as sandbox:
        connect(monkeypatch, sandbox.base_url)
        sandbox.fault("slow_body", team=SCOPES[-1], call="download", times=1)
        command = [sys.executable, "-m", "tests.operators.chunk_task", str(lake), str(state), *SCOPES]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as task:

            def is_in_its_second_chunk() -> bool:
                there = [len(sei_lake.staged(str(folder))) for folder in lake.glob("_staging/*")]
                return there == [25] and len(downloads(sandbox)) == len(SCOPES)

            wait_until(is_in_its_second_chunk, what="25 slices staged and 5 on their way", seconds=100, processes=[])
            task.kill()
        fetched = downloads(sandbox)
        sandbox.clear_faults()
        again = Task(lake, state=StateFile(state), scopes=SCOPES)
        again.tries = 1
        manifests = again.run()
        assert len(sandbox.exports()) == len(SCOPES)
        assert not any(export["reused"] for export in sandbox.exports())
        assert sorted((downloads(sandbox) - fetched).values()) == [1] * 5, "what was staged is not fetched again"
    assert [manifest["scope"] for manifest in manifests] == [f"team:{scope}" for scope in SCOPES]
    sei_lake.publish(lake, manifests, published_at=datetime.now(UTC))
    assert len(set(sei_lake.read_table(lake, manifests[0]["table"])["_scope"].to_pylist())) == len(SCOPES)
    assert not [path for path in lake.glob("_staging/*/*") if not path.name.startswith("published-")]


def test_what_was_downloaded_before_an_error_that_affects_all_is_staged(
    sandbox: SandboxControl, lake: Path, state: TaskState, monkeypatch: pytest.MonkeyPatch
) -> None:
    download, scopes = SeiClient.download_export, iter(range(3))

    def refused_third(client: SeiClient, export: Export, *args: Any, **options: Any) -> Any:
        if next(scopes, 0) == 2:
            msg = "the key is wrong"
            raise SeiAuthError(msg, status=401)
        return download(client, export, *args, **options)

    monkeypatch.setattr(SeiClient, "download_export", refused_third)
    task = Task(lake, state=state)
    with pytest.raises(AirflowFailException, match="the key is wrong"):
        task.run()
    assert len(task.pushed["return_value"]) == 2
    assert len(task.run()) == 3
    assert max(downloads(sandbox).values()) == 1


@pytest.mark.parametrize(
    ("limit", "value"),
    [("_CHUNK_SECONDS", 0.0), ("_CHUNK_BYTES", 1), ("_CHUNK_FILES", 1)],
    ids=["age", "size", "count"],
)
def test_a_chunk_is_staged_once_it_is_old_or_large_enough(
    sandbox: SandboxControl, lake: Path, state: TaskState, monkeypatch: pytest.MonkeyPatch, limit: str, value: float
) -> None:
    monkeypatch.setattr(_staging, limit, value)
    manifests = Task(lake, state=state).run()
    assert len({manifest["path"] for manifest in manifests}) == 3, "as soon as each came"


def test_a_chunk_is_as_old_as_its_first_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, staged = [0.0], []
    monkeypatch.setattr(_staging, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(_staging.Stager, "_stage", lambda _, files: staged.append(len(files)) or [])
    file = tmp_path / "file"
    file.touch()

    def files() -> Iterator[Any]:
        for now[0] in (0.0, 6.0, 11.0, 12.0):
            yield file, None, None

    assert list(_staging.Stager(folder=None, run_id="run").stage_each(files())) == []
    assert staged == [3, 1]


def test_a_chunk_is_staged_while_the_task_waits_for_its_next_file(
    sandbox: SandboxControl, lake: Path, state: TaskState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_staging, "_CHUNK_SECONDS", 0.5)
    download, scopes = SeiClient.download_export, iter(range(3))

    def slow_third(client: SeiClient, export: Export, *args: Any, **options: Any) -> Any:
        if next(scopes) == 2:
            there = lambda: [len(sei_lake.staged(str(folder))) for folder in lake.glob("_staging/*")] == [2]  # noqa: E731
            wait_until(there, what="the first two are staged", seconds=15, processes=[])
        return download(client, export, *args, **options)

    monkeypatch.setattr(SeiClient, "download_export", slow_third)
    assert [manifest["error"] for manifest in Task(lake, state=state).run()] == [None] * 3


def test_bad_rows_and_raw_copies_of_a_chunk_are_kept_for_each_export(
    sandbox: SandboxControl, lake: Path, state: TaskState, monkeypatch: pytest.MonkeyPatch
) -> None:
    download, more = SeiClient.download_export, gzip.compress(b"one cell\n")

    def with_a_bad_row(client: SeiClient, export: Export, file: IO[bytes], **options: Any) -> Any:
        found = download(client, export, file, **options)
        if export.id == min(each["id"] for each in sandbox.exports()):
            file.write(more)
        return found

    monkeypatch.setattr(SeiClient, "download_export", with_a_bad_row)
    manifests = Task(lake, state=state, on_bad_value="quarantine", raw_path=str(lake / "raw")).run()
    assert len({manifest["path"] for manifest in manifests}) == 1
    assert sorted(manifest.get("quarantined", 0) for manifest in manifests) == [0, 0, 1]
    (bad,) = (manifest["export_id"] for manifest in manifests if manifest.get("quarantined"))
    sent = [sandbox.bytes(each["export_id"]) + more * (each["export_id"] == bad) for each in manifests]
    raw = (lake / "raw" / "sprint_team_monthly" / "2026-01-01_2026-02-28").iterdir()
    assert sorted(path.read_bytes() for path in raw) == sorted(sent)
    aside = [path.name for path in (lake / "_quarantine" / "sprint_team_monthly").iterdir()]
    assert [name.partition("-")[2] for name in aside] == [f"{bad}.parquet"]
