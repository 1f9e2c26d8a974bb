"""Result of a batch with a fault: a few words, counts, and the violations of what must always hold."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowFailException

from dev.expected import Row, rows_in, rows_sent
from sei_provider.api import SeiError
from sei_provider.api.reports import REPORTS
from sei_provider.api.request import ExportRequest, Scope
from sei_provider.lake import LakeError, default_table, ledger
from sei_provider.operators._base import SeiExportError
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.faults.table import EVERY_FAULT, CallFault
from tests.faults.table import END, OPTIONS, START, STRUCK, Outcome, Scenario

if TYPE_CHECKING:
    from tests.faults.runs import Task

SHOWN = 60
"""Characters of an error that are shown."""
OURS = (SeiExportError, SeiError, LakeError, AirflowFailException)
ADDED_TO_LEGACY = {"team_hierarchy", "start_date", "end_date"}
"""Columns that a legacy CSV does not have."""


def look(task: Task, sandbox: SandboxControl, lake: str) -> Outcome:
    """Look at what a task has told, at the sandbox's record, and at the lake."""
    landed = _landed(task)
    legacy = REPORTS[task.scenario.report].legacy
    made = sandbox.reports() if legacy else sandbox.exports()
    # The newest of each team and range: what was split has two ranges.
    sent = {_slice(each["body"]): each["id"] for each in made if legacy or each["sent"]}
    table = _table(task.scenario.report)
    there = rows_in(lake, table) if (Path(lake) / table).exists() else Counter[Row]()
    expected = rows_sent(sandbox, [id_ for (team, _), id_ in sent.items() if team in landed])
    if legacy:
        there, expected = _values(there), _values(expected)
    elif task.scenario.report == "time_in_status":
        there = _without_dates(there)
    return Outcome(
        scenario=task.scenario,
        said=_said(task, landed),
        requests=len(sandbox.requests()),
        exports=len(made),
        scopes=len(task.scopes),
        rows=there.total(),
        expected=expected.total(),
        wrong=[
            *_wrong_rows(there, expected),
            *_wrong_end(task, landed),
            *_wrong_places(task, landed, lake, table),
            *([] if legacy else _wrong_exports(task.scenario, Counter(_team(each["body"]) for each in made))),
        ],
    )


def _wrong_rows(there: Counter[Any], expected: Counter[Any]) -> Iterator[str]:
    if there != expected:
        yield f"rows lost: {(expected - there).total()}, rows too many: {(there - expected).total()}"


def _wrong_end(task: Task, landed: set[str]) -> Iterator[str]:
    if task.error and not isinstance(task.error, OURS):
        yield f"not ours: {task.error!r}"
    if (lost := {*task.scopes} - {STRUCK} - landed) and not _strikes_all(task.scenario):
        yield f"did not land although no fault struck them: {sorted(lost)}"
    if _passed(task.scenario) and STRUCK not in landed:
        yield "the fault passed, and it did not land"


def _wrong_places(task: Task, landed: set[str], lake: str, table: str) -> Iterator[str]:
    missing = {_bare(lack["scope"]) for lack in task.missing}
    if missing != {*task.scopes} - landed:
        yield f"published as missing: {sorted(missing)}"
    for month, entries in (ledger(lake, table) if landed else {}).items():
        if Counter(_bare(entry["scope"]) for entry in entries) != Counter(landed):
            yield f"ledger of {month}: {[entry['scope'] for entry in entries]}"
    files = [path for path in Path(lake).glob("_staging/**/*") if path.is_file()]
    if left := [str(path) for path in files if not path.name.startswith("published-")]:
        yield f"left in staging: {left}"


def _wrong_exports(scenario: Scenario, per_team: Counter[str]) -> Iterator[str]:
    if twice := [team for team, number in per_team.items() if team != STRUCK and number > 1]:
        yield f"exports made twice of {twice}"
    # A create whose answer was lost is sent again, and SEI gives the same export.
    if _passed(scenario) and per_team[STRUCK] > 1:
        yield f"{per_team[STRUCK]} exports of the team that the fault struck"


def _strikes_all(scenario: Scenario) -> bool:
    """Return True if the fault concerns every scope: lists belong to no team, and a 429 is waited for."""
    fault = EVERY_FAULT[scenario.fault]
    return scenario.calls == ("list",) and isinstance(fault, CallFault) and fault.status == HTTPStatus.TOO_MANY_REQUESTS


def _passed(scenario: Scenario) -> bool:
    return scenario.once and EVERY_FAULT[scenario.fault].transient


def _landed(task: Task) -> set[str]:
    """Return the teams whose rows all landed; a team that was split has several manifests."""
    bad = {_bare(manifest["scope"]) for manifest in task.manifests if manifest["error"]}
    return {_bare(manifest["scope"]) for manifest in task.manifests} - bad


def _bare(label: str) -> str:
    return label.removeprefix("team:")


def _team(body: Mapping[str, Any]) -> str:
    return str(body["scope"]["teamId"] if "scope" in body else body["collectionId"])


def _slice(body: Mapping[str, Any]) -> tuple[str, str]:
    return _team(body), json.dumps(body.get("dateRange") or [body.get("dateStart"), body.get("dateEnd")])


def _table(report: str) -> str:
    request = ExportRequest(
        report=report,
        scope=Scope(team_id=STRUCK),
        start=START,  # type: ignore[arg-type]  # it takes text, too
        end=END,  # type: ignore[arg-type]
        granularity="monthly",
        options=OPTIONS.get(report, {}),
    )
    return default_table(report, request.level, request.granularity)


def _without_dates(rows: Counter[Row]) -> Counter[Row]:
    """Rows without the dates that time in status does not have: its labels tell them apart."""
    dates = {"start_date", "end_date"}
    return Counter(frozenset(cell for cell in row if cell[0] not in dates) for row in rows.elements())


def _values(rows: Counter[Row]) -> Counter[Any]:
    """Rows without the names of their columns, which a legacy report's have anew in the lake."""
    return Counter(frozenset(value for name, value in row if name not in ADDED_TO_LEGACY) for row in rows.elements())


def _said(task: Task, landed: set[str]) -> str:
    if STRUCK in landed:
        return "landed" if task.tries == 1 else f"landed by try {task.tries}"
    errors = [each["error"] for each in task.manifests if each["error"] and _bare(each["scope"]) == STRUCK]
    text = errors[0] if errors else str(task.error)
    # Else the same error would not read the same for each report, and each time.
    of = f" of team:{STRUCK}, {START} to {END}"
    for pattern, instead in (
        (rf"^(export exp_[0-9a-f]+|the {task.scenario.report}{of}): ", ""),
        (of, ""),
        (task.scenario.report, "…"),
        (r"exp_[0-9a-f]+", "…"),
        (r"\d{4}-\d\d-\d\dT[\d:.]+(\+00:00|Z)?", "…"),
        (r"127\.0\.0\.1:\d+", "…"),
        (r"\|", "/"),
    ):
        text = re.sub(pattern, instead, text)
    return f"error: {text[:SHOWN].strip()}"
