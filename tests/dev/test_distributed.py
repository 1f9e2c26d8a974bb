"""Differences that `make distributed` reports; the run itself is tested by the command."""

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from dev import distributed
from dev.emulation.whereabouts import Try, Whereabouts
from dev.processes import BackgroundProcess
from sei_provider.sandbox.control import SandboxControl


def _export(report: str, team: str, number: int = 2) -> dict[str, Any]:
    return {"report": report, "id": f"{report}-{team}-{number}", "body": {"scope": {"teamId": team}}, "sent": True}


EXPORTS = [_export(report, team) for report in distributed.TABLES for team in ("11", "12")]


class _Lake:
    """Rows by export and by table, in place of a sandbox's record and a lake's files."""

    def __init__(self) -> None:
        self.rows = {
            table: Counter([f"{report}-11-2", f"{report}-12-2"]) for report, table in distributed.TABLES.items()
        }

    def sent(self, _sandbox: SandboxControl, export_ids: Iterable[str]) -> Counter[Any]:
        return Counter(export_ids)

    def landed(self, _lake: str, table: str) -> Counter[Any]:
        return self.rows[table]


@pytest.fixture
def lake(monkeypatch: pytest.MonkeyPatch) -> _Lake:
    lake = _Lake()
    monkeypatch.setattr(distributed, "TEAMS", 2)
    monkeypatch.setattr(distributed, "rows_sent", lake.sent)
    monkeypatch.setattr(distributed, "rows_in", lake.landed)
    return lake


def test_a_lake_with_every_row_of_each_teams_newest_export_is_right(lake: _Lake, tmp_path: Path) -> None:
    assert distributed._differences(tmp_path, SandboxControl("http://none"), EXPORTS) == []


def test_a_row_that_is_missing_and_one_too_many_are_wrong(lake: _Lake, tmp_path: Path) -> None:
    lake.rows["sprint_team_monthly"] = Counter(["sprint-11-2", "sprint-11-2"])
    (wrong,) = distributed._differences(tmp_path, SandboxControl("http://none"), EXPORTS)
    assert wrong == "sprint_team_monthly: 1 row missing, 1 too many"


def test_a_team_without_an_export_and_files_left_in_staging_are_wrong(lake: _Lake, tmp_path: Path) -> None:
    fewer = [export for export in EXPORTS if not export["id"].startswith("sprint-12")]
    lake.rows["sprint_team_monthly"] = Counter(["sprint-11-2"])
    (tmp_path / "_staging").mkdir()
    for name in ("left.parquet.json", "published-left.json", "teams-20261126T213852255584.json"):
        (tmp_path / "_staging" / name).touch()
    assert distributed._differences(tmp_path, SandboxControl("http://none"), fewer) == [
        "1 of 2 teams have an export of sprint that was downloaded",
        "1 file left in staging",
    ]


def test_an_export_made_twice_is_wrong(lake: _Lake, tmp_path: Path) -> None:
    again = [_export("sprint", "11", 1), *EXPORTS]
    assert distributed._differences(tmp_path, SandboxControl("http://none"), again) == [
        "3 exports of sprint made for 2 teams"
    ]


def test_one_worker_or_one_triggerer_alone_is_no_proof() -> None:
    seen = Whereabouts()
    seen.tasks["worker-1"].add(Try("export", 1))
    seen.triggers["triggerer-1"].add(Try("export", 1))
    assert len(distributed._too_few(seen)) == 2
    seen.tasks["worker-2"].add(Try("export", 1))
    seen.triggers["triggerer-2"].add(Try("export", 1))
    assert distributed._too_few(seen) == []


def test_one_worker_and_one_triggerer_are_killed_once_and_only_when_busy_with_exports(tmp_path: Path) -> None:
    names = ("worker-1", "worker-2", "triggerer-1", "triggerer-2")
    processes = {
        name: BackgroundProcess(name, ["sleep", "60"], environment={}, log=tmp_path / f"{name}.log") for name in names
    }
    seen, killed = Whereabouts(), set[str]()
    moments: list[tuple[dict[str, list[str]], dict[str, list[str]], int, set[str]]] = [
        ({"worker-1": ["publish_sprint"]}, {}, 500, set()),
        ({"worker-1": ["export_sprint"]}, {}, distributed.EXPORTS_BEFORE_KILL - 1, set()),
        ({"worker-1": ["export_sprint"], "worker-2": ["export_a", "export_b"]}, {}, 500, {"worker-2"}),
        ({"worker-1": ["export_sprint"]}, {"triggerer-1": ["export_a"]}, 500, {"worker-2", "triggerer-1"}),
        ({"worker-1": ["export_sprint"]}, {"triggerer-2": ["export_a"]}, 500, {"worker-2", "triggerer-1"}),
    ]
    try:
        for seen.running, seen.waiting, exports, dead in moments:
            distributed.kill_on_the_way(processes, exports, seen, killed, 0.0)
            assert {name for name, process in processes.items() if process.returncode is not None} == dead
    finally:
        for process in processes.values():
            process.kill()
