"""An export task as a person sees it: its link to SEI, and a log that tells the story."""

from __future__ import annotations

import json
import logging
from contextlib import nullcontext
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred

from sei_provider.api.reports import REPORTS
from sei_provider.links import SeiExportLink
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.data.organisation import Organisation
from sei_provider.sandbox.server import serve
from sei_provider.testing import connect
from sei_provider.triggers.export import SeiExportTrigger
from tests.operators.conftest import Task
from tests.tasks import TaskState


def link_of(task: Task) -> str:
    return SeiExportLink().get_link(task.operator, ti_key=None)  # type: ignore[arg-type]


def opened(url: str) -> Any:
    headers = {"authorization": "ApiKey sandbox", "Content-Type": "application/json"}
    with urlopen(Request(url, headers=headers), timeout=10) as answer:  # noqa: S310 - the sandbox
        return json.load(answer)


def test_a_task_that_waits_for_one_export_links_to_its_record(sandbox: SandboxControl, lake: Path) -> None:
    task = Task(lake, state=None, scopes=["11"], deferrable=True)
    assert link_of(task) == ""
    with pytest.raises(TaskDeferred):
        task.run()
    assert opened(link_of(task))["exportId"] == sandbox.exports()[0]["id"]
    assert "ApiKey" not in link_of(task)
    assert sandbox.key not in link_of(task)


def test_a_batch_links_to_the_list_of_its_report(sandbox: SandboxControl, lake: Path) -> None:
    task = Task(lake, state=None)
    task.run()
    assert {export["exportId"] for export in opened(link_of(task))["exports"]} == {e["id"] for e in sandbox.exports()}


def test_a_batch_of_a_report_without_a_list_links_to_its_first_export(sandbox: SandboxControl, lake: Path) -> None:
    task = Task(lake, state=None, report="business_alignment")
    task.run()
    assert opened(link_of(task))["exportId"] in {export["id"] for export in sandbox.exports()}


PAGES = {
    "productivity": "productivity",
    "sprint": "productivity",
    "business_alignment": "business-alignment",
    "team_report": "productivity",
    "contributor_report": "productivity",
    "efficiency": "dora",
    "dora_report": "dora",
    "time_in_status": "productivity",
}
"""By CONTRACT, "Pages to look at", which has no page of sprints and none of statuses."""


@pytest.mark.parametrize("report", REPORTS)
def test_issue_17_a_report_has_one_of_the_documented_pages(report: str) -> None:
    assert REPORTS[report].page == PAGES[report]


@pytest.mark.parametrize("deferrable", [True, False])
def test_issue_17_with_account_and_host_a_task_links_to_its_teams_page(
    sandbox: SandboxControl, lake: Path, monkeypatch: pytest.MonkeyPatch, deferrable: bool
) -> None:
    connect(monkeypatch, f"{sandbox.base_url}/", account_identifier="acc_Ount-1")
    for report, team in (("business_alignment", {"teamId": 12}), ("sprint", "13")):
        task = Task(lake, state=None, report=report, scopes=[team, "11"], deferrable=deferrable)
        with pytest.raises(TaskDeferred) if deferrable else nullcontext():
            task.run()
        team_id = "13" if report == "sprint" else "12"
        assert link_of(task) == (
            f"{sandbox.base_url}/ng/account/acc_Ount-1/module/sei/insights/{PAGES[report]}?collectionId={team_id}"
        )


def test_issue_17_the_link_of_a_task_that_fails_leads_to_its_team_too(
    sandbox: SandboxControl, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, sandbox.base_url, account_identifier="acc")
    task = Task(lake, state=None, scopes=["999"])
    with pytest.raises(AirflowFailException, match="HTTP 404"):
        task.run()
    assert link_of(task).endswith("/ng/account/acc/module/sei/insights/productivity?collectionId=999")


def test_issue_17_a_batch_without_a_team_links_to_the_record_of_its_export(
    sandbox: SandboxControl, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, sandbox.base_url, account_identifier="acc")
    task = Task(lake, state=None, scopes=[{"orgTreeName": "Engineering"}])
    task.run()
    assert opened(link_of(task))["exportId"] == sandbox.exports()[0]["id"]


async def test_a_resumed_task_has_its_link_in_its_new_process(
    sandbox: SandboxControl, lake: Path, state: TaskState
) -> None:
    deferred, event = await waited(Task(lake, state=state, deferrable=True))
    again = Task(lake, state=state, deferrable=True)
    again.tries = 1
    again.resume(deferred, event)
    assert link_of(again).startswith(f"{sandbox.base_url}/v2/insights/sprints/exports?")


async def test_the_story_of_a_hundred_exports_takes_a_dozen_lines(
    lake: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO, "sei_provider")
    teams = [team.id for team in Organisation(100).leaves]
    with serve(teams=100, seconds=0) as sandbox:
        connect(monkeypatch, sandbox.base_url)
        task = Task(lake, state=TaskState(), scopes=teams, deferrable=True)
        deferred, event = await waited(task)
        task.resume(deferred, event)
    # Airflow's loggers write to the screen, the others are heard by pytest.
    told = [line for line in capsys.readouterr().out.splitlines() if "[info" in line and "sei_provider" in line]
    told += [record.getMessage() for record in caplog.records]
    story = "\n".join(told)
    for words in (
        "Requesting sprint of 100 scopes, 2026-01-01 to 2026-02-28 (0 staged by an earlier try): team:",
        "Waiting for 100 exports (100 new, 0 reused by SEI, 0 resumed; 0 failed), the oldest created at 20",
        "Polling 100 sprint exports until 20",
        "0 of 100 exports still running",
        "100 exports ended (100 completed); downloading",
        "Staged 200 rows of 100 slices; 0 scopes failed",
    ):
        assert words in story
    assert " and 95 more" in story
    assert max(map(len, told)) < 400
    assert len(told) <= 12


async def waited(task: Task) -> tuple[TaskDeferred, dict[str, Any]]:
    """Run a task until it defers, and its trigger until it fires."""
    with pytest.raises(TaskDeferred) as deferred:
        task.run()
    _, arguments = deferred.value.trigger.serialize()
    (event,) = [event async for event in SeiExportTrigger(**arguments).run()]
    return deferred.value, json.loads(json.dumps(event.payload))


async def test_a_trigger_that_asks_often_tells_little(
    sandbox: SandboxControl, lake: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    sandbox.fault("never", team="12")
    with pytest.raises(TaskDeferred) as deferred:
        Task(lake, state=None, deferrable=True, timeout=2).run()
    _, arguments = deferred.value.trigger.serialize()
    before = len(sandbox.requests())
    capsys.readouterr()
    assert [event async for event in SeiExportTrigger(**arguments | {"polling": {"interval": 0.05}}).run()]
    assert len(sandbox.requests()) - before > 3
    told = capsys.readouterr().out.count("[info") + caplog.text.count("INFO")
    assert told <= 2 * 3
