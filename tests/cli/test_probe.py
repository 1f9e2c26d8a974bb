"""`airflow sei probe` against sandboxes: each dialect is found out, failures are told, calls and time are bounded."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from sei_provider.api import SeiAuthError, SeiClient, SeiError, SeiInputError
from sei_provider.api.reports import REPORTS
from sei_provider.cli import survey as surveys
from sei_provider.cli.findings import Findings
from sei_provider.cli.probe import report_text
from sei_provider.cli.survey import Survey
from sei_provider.sandbox.data.dialect import TRAITS
from sei_provider.sandbox.server import serve
from sei_provider.testing import connect
from tests.cli.probe import NAMES, PAGE, TODAY, outputs, survey
from tests.operators.conftest import Task

V2 = [name for name, report in REPORTS.items() if not report.legacy]
QUESTIONS = {
    "team": "Is an export's `teamId` the `refId` of the org tree?",
    "hierarchy": "Where does a team's hierarchy start?",
    "week": "On which day does a week start?",
    "level": "Which field holds the level?",
    "reuse": "What does an identical request get, at once?",
    "statuses": "How are statuses spelled?",
}


def found(asked: Survey) -> dict[str, dict[str, str]]:
    """The answers, by the short name of the question and by report."""
    answers = dict(Findings(asked).answers())
    split = {name: [each.rsplit(" (", 1) for each in answers[text].split("; ")] for name, text in QUESTIONS.items()}
    return {
        name: {report: said for said, *of in parts for report in (of[0][:-1].split(", ") if of else ["all"])}
        for name, parts in split.items()
    }


@pytest.mark.parametrize(
    "traits",
    [
        "",
        "other_columns,no_reuse,weeks_from_sunday",
        "hierarchy_from_scope,older_level_field,upper_case_statuses",
        ",".join(TRAITS),
        *(pytest.param(trait, marks=pytest.mark.slow) for trait in TRAITS),
    ],
)
def test_issue_17_each_trait_of_a_dialect_is_found_out_and_no_other(traits: str) -> None:
    with serve(teams=9, seconds=0, dialect=traits) as sandbox:
        asked = survey(sandbox)
    answers, findings = found(asked), Findings(asked)
    assert set(answers["team"].values()) == {"yes"}
    assert set(answers["hierarchy"].values()) == {
        "at the scope" if "hierarchy_from_scope" in traits else "at the tree's root"
    }
    assert set(answers["week"].values()) == {"Sunday" if "weeks_from_sunday" in traits else "Monday"}
    older = "older_level_field" in traits
    assert {answers["level"][report] for report in ("productivity", "sprint")} == {
        "`aggregationLevel`" if older else "`metricLevel`"
    }
    assert answers["reuse"] == dict.fromkeys(V2, "another export" if "no_reuse" in traits else "the same export")
    if "upper_case_statuses" in traits:
        assert answers["statuses"] == dict.fromkeys(V2, "capitals")
    else:
        assert (answers["statuses"]["productivity"], answers["statuses"]["business_alignment"]) == (
            "lower case",
            "capitals",
        )
    extras = {"level_field": "aggregationLevel"} if older else {}
    assert findings.extras() == extras | ({"week_starts_on": "sunday"} if "weeks_from_sunday" in traits else {})
    others = findings.columns()
    assert (others != {}) is ("other_columns" in traits)
    if others:
        assert others["productivity"]["Squad_Path"] == "team_hierarchy"
        assert others["productivity"]["Employee"] == "developer"
        assert others["sprint"]["Iteration"] == "sprint"


@pytest.mark.parametrize(
    ("report", "asked"),
    [("productivity", {"level": "developer"}), ("sprint", {"level": "sprint", "granularity": "SPRINT"})],
)
def test_issue_17_the_columns_and_extras_that_it_names_make_such_a_cluster_land(
    report: str, asked: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(teams=9, seconds=0, dialect=",".join(TRAITS)) as sandbox:
        findings = Findings(survey(sandbox))
        connect(monkeypatch, sandbox.base_url, **findings.extras())
        columns = findings.columns()[report]
        task = Task(tmp_path / "lake", state=None, report=report, scopes=["12"], columns=columns, **asked)
        (staged,) = task.run()
    assert staged["rows"] > 0


@pytest.mark.usefixtures("no_waiting")
def test_issue_17_a_report_that_fails_is_told_and_the_others_go_on() -> None:
    with serve(teams=9, seconds=0) as sandbox:
        sandbox.fault("fail", report="sprint")
        sandbox.fault("zip", report="business_alignment")
        sandbox.fault("fail", report="contributor_report")
        text = report_text(survey(sandbox))
    for line in (
        "- sprint, team, weekly: the export ended as failed",
        "- business_alignment, weekly: NotCsvError",
        "- contributor_report: HTTP 500",
        "- productivity, team, weekly: plain",
        "- team_report: plain",
    ):
        assert line in text
    assert "{code, message} (sprint)" in text
    assert "Metrics could not be computed" not in text


def test_issue_17_a_report_that_the_key_may_not_read_is_told_and_the_others_go_on() -> None:
    with serve(teams=9, seconds=0) as sandbox:
        sandbox.fault("redirect_to_login", report="productivity", call="create")
        text = report_text(survey(sandbox))
    assert "- productivity, developer, weekly: HTTP 302" in text
    assert "- sprint, sprint, weekly: packed by gzip" in text
    assert "the same export (sprint, business_alignment" in text


class TickingClock:
    """A clock that goes on by a hundredth of a second whenever it is read, and by the pauses: the machine's is not."""

    def __init__(self) -> None:
        self._now = time.time()

    def time(self) -> float:
        self._now += 0.01
        return self._now

    def sleep(self, seconds: float) -> None:
        self._now += seconds


def test_issue_17_an_export_that_never_ends_leaves_time_for_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surveys, "time", TickingClock())
    monkeypatch.setattr(surveys, "_LONGEST_PAUSE", 0.1)
    monkeypatch.setattr(surveys, "_FIRST_PAUSE", 0.1)
    with serve(teams=9, seconds=0, dialect="older_level_field") as sandbox:
        sandbox.fault("never", report="business_alignment")
        asked = survey(sandbox, seconds=8)
    assert "- business_alignment, weekly: did not end in time" in report_text(asked)
    assert Findings(asked).extras() == {"level_field": "aggregationLevel"}
    assert found(asked)["reuse"]["productivity"] == "the same export"


def test_issue_17_calls_are_counted_and_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(teams=9, seconds=0) as sandbox:
        whole = survey(sandbox)
        assert len(sandbox.requests()) == whole.calls <= 100
    monkeypatch.setattr(surveys, "MAX_CALLS", 12)
    with serve(teams=9, seconds=0) as sandbox:
        cut = survey(sandbox)
        assert len(sandbox.requests()) == cut.calls == 12
    text = report_text(cut)
    assert "not asked for: calls or time were used up" in text or "did not end in time" in text


def test_issue_17_a_refused_key_ends_the_probe_at_its_first_call() -> None:
    with serve(teams=9, seconds=0) as sandbox:
        with pytest.raises(SeiAuthError, match="HTTP 401"):
            survey(sandbox, api_key="an-old-key")
        assert len(sandbox.requests()) == 1


def test_issue_17_without_org_trees_the_team_is_named_and_what_needs_a_tree_stays_open() -> None:
    with serve(teams=9, seconds=0, dialect="other_columns") as sandbox:
        with pytest.raises(SeiInputError, match="--team"):
            survey(sandbox, account_identifier=None)
        asked = survey(sandbox, account_identifier=None, team="12")
    answers = found(asked)
    assert all(each.startswith("cannot be told: the org trees were not read") for each in answers["team"].values())
    assert set(answers["hierarchy"].values()) == {"cannot be told"}
    assert set(answers["week"].values()) == {"Monday"}
    assert Findings(asked).columns()["sprint"]["Squad"] == "team", "by its header"


def test_issue_17_a_team_that_a_report_does_not_take_is_told() -> None:
    with serve(teams=9, seconds=0) as sandbox, pytest.MonkeyPatch.context() as patch:
        patch.setattr(surveys, "MAX_CALLS", 20)
        text = report_text(survey(sandbox, team="team_abc123"))
    assert "- team_report: not asked for, because it does not take such a request for this team" in text
    assert "- sprint, team, weekly: HTTP 404" in text
    assert "abc123" not in text


def test_issue_17_an_inner_team_has_the_same_answers() -> None:
    with serve(teams=9, seconds=0, dialect="other_columns") as sandbox:
        asked = survey(sandbox, team="10")
    assert set(found(asked)["hierarchy"].values()) == {"at the tree's root"}
    assert Findings(asked).columns()["productivity"]["Squad_Path"] == "team_hierarchy"


def test_issue_17_where_rows_have_no_dates_each_granularity_is_asked_for_its_labels() -> None:
    labels = {"WEEKLY": "W03 2026", "MONTHLY": "Jan 2026", "QUARTERLY": "2026-Q1"}
    asked: dict[str, str] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        *_, before_last, last = request.url.path.split("/")
        if "/ba/" not in request.url.path:
            return httpx.Response(403)
        if request.method == "POST":
            asked[export_id := f"exp_{len(asked)}"] = json.loads(request.content)["options"]["granularity"]
            return httpx.Response(202, json={"exportId": export_id, "createdAt": "2026-03-18T05:00:00Z"})
        if last == "download":
            return httpx.Response(
                200, text=f"granularity,team,team_hierarchy,a_hours\n{labels[asked[before_last]]},T,T,1\n"
            )
        reply = {"exportId": last, "status": "completed", "createdAt": "2026-03-18T05:00:00Z"}
        return httpx.Response(200, json=reply)

    settings = {**NAMES, "api_key": "sandbox", "requests_per_minute": 20_000}
    with SeiClient(base_url="https://sei.test", transport=httpx.MockTransport(answer), **settings) as client:
        found = Survey(client, names=NAMES, today=TODAY, deadline=time.time() + 60)
        found.find_team("12")
        found.ask_everything()
    answers = dict(Findings(found).answers())
    assert answers["Which dates have rows?"] == "none (business_alignment)"
    assert [answers[f"How is a period labelled, {each}?"] for each in ("weekly", "monthly", "quarterly")] == [
        "`W9 yyyy` (business_alignment)",
        "`Mon yyyy` (business_alignment)",
        "`yyyy-Q9` (business_alignment)",
    ]


def test_issue_17_the_page_shows_what_a_probe_says_of_three_dialects() -> None:
    assert PAGE.read() == PAGE.with_part(outputs()), "run python -m tests.cli.probe --write"


def test_errors_have_names_that_tell_nothing_of_the_customer() -> None:
    told: Any = surveys.told(SeiError("about Team Falcon"))
    assert told == "SeiError"
