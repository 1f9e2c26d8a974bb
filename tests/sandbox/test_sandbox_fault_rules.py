"""Rules for faults: the calls that they match, how often they apply, and the rules that are refused."""

from __future__ import annotations

import json
from collections import Counter
from urllib.error import HTTPError

import pytest

from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.faults.table import EVERY_FAULT, TRANSIENT_FAULTS
from sei_provider.sandbox.options import SandboxOptions
from sei_provider.sandbox.server import serve
from tests.sandbox import raw


def statuses(sandbox: SandboxControl, *requests: tuple[str, str, str]) -> list[int]:
    """The statuses of (call, report, team), each status or download for a new export of that report and team."""
    found = []
    for call, report, team in requests:
        export_id = raw.create(sandbox, report, team) if call in {"status", "download"} else ""
        found.append(raw.ask(sandbox, *raw.request(call, report, team, export_id)).status)
    return found


def test_a_fault_is_for_its_call_only(sandbox) -> None:
    sandbox.fault("504", call="status")
    asked = [("create", "sprint", "12"), ("status", "sprint", "12"), ("list", "sprint", "")]
    assert statuses(sandbox, *asked) == [202, 504, 200]


def test_a_fault_is_for_its_report_only(sandbox) -> None:
    sandbox.fault("504", report="sprint", call="status")
    asked = [("status", "sprint", "12"), ("status", "productivity", "12"), ("status", "business_alignment", "12")]
    assert statuses(sandbox, *asked) == [504, 200, 200]


def test_calls_belong_to_the_team_of_what_they_make_or_are_about(sandbox) -> None:
    created = raw.create(sandbox, "sprint", "12")
    sandbox.fault("504", team="12")
    asked = [("create", "sprint", "12"), ("create", "sprint", "13"), ("report", "team_report", "12")]
    assert statuses(sandbox, *asked) == [504, 202, 504]
    assert raw.ask(sandbox, *raw.request("status", export_id=created)).status == 504
    assert raw.ask(sandbox, *raw.request("download", export_id=created)).status == 504
    assert statuses(sandbox, ("list", "sprint", ""), ("status", "sprint", "13")) == [200, 200]


def test_the_team_of_an_org_tree_is_its_name(sandbox) -> None:
    sandbox.fault("504", team="Engineering")
    assert raw.ask(sandbox, "GET", "/v2/org-trees/101/teams").status == 504
    assert raw.ask(sandbox, "GET", "/v2/org-trees/102/teams").status == 200
    assert raw.ask(sandbox, "GET", "/v2/org-trees").status == 200


def test_a_fault_happens_as_often_as_asked(sandbox) -> None:
    sandbox.fault("504", call="list", times=2)
    assert statuses(sandbox, *[("list", "sprint", "")] * 4) == [504, 504, 200, 200]


def test_the_fault_ordered_last_counts(sandbox) -> None:
    sandbox.fault("504", call="list")
    sandbox.fault("500", call="list", times=1)
    assert statuses(sandbox, *[("list", "sprint", "")] * 2) == [500, 504]


def test_one_call_can_have_a_fault_and_make_an_export_that_fails(sandbox) -> None:
    sandbox.fault("fail")
    sandbox.fault("504_after_work", call="create", times=1)
    raw.ask(sandbox, *raw.request("create"))
    assert sandbox.requests()[-1]["fault"] == "504_after_work"
    sandbox.advance(30)
    assert [export["status"] for export in sandbox.exports()] == ["failed"]


def test_calls_about_an_export_are_recorded_with_its_fault(sandbox) -> None:
    sandbox.fault("never", times=1)
    bad, good = (raw.create(sandbox, "sprint", team) for team in ("12", "13"))
    for export_id in (bad, good):
        raw.ask(sandbox, *raw.request("status", export_id=export_id))
    assert [request["fault"] for request in sandbox.requests()] == ["never", None, "never", None]
    assert sandbox.summary()["by_fault"] == {"never": 2}


def faults_met(sandbox: SandboxControl) -> list[str | None]:
    for _ in range(300):
        raw.ask(sandbox, *raw.request("list"))
    return [request["fault"] for request in sandbox.requests()]


def test_a_fault_rate_gives_every_transient_fault_and_the_same_with_the_same_seed() -> None:
    with serve(teams=10, seconds=0, fault_rate=0.5, seed=7) as first, serve(teams=10, fault_rate=0.5, seed=7) as second:
        met = faults_met(first)
        assert met == faults_met(second)
        assert 100 < Counter(met)[None] < 200
        assert set(met) == {None, *TRANSIENT_FAULTS}
        first.clear_faults()
        assert statuses(first, *[("list", "sprint", "")] * 20) == [200] * 20


def test_transient_faults_are_of_single_calls() -> None:
    assert set(TRANSIENT_FAULTS) == {
        *("reset_unseen", "reset_before_answer", "reset_in_body", "wrong_content_length", "json_cut_short"),
        *("429", "429_seconds", "429_date", "503_seconds", "503_date"),
        *("500", "502_html", "504", "500_after_work", "504_after_work"),
    }
    assert all(EVERY_FAULT[name].transient for name in TRANSIENT_FAULTS)


@pytest.mark.parametrize("rate", [0, 1.5])
def test_a_fault_rate_that_is_no_probability_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match=f"fault_rate must be above 0 and at most 1, not {rate}"):
        SandboxOptions(fault_rate=rate)


@pytest.mark.parametrize(
    ("order", "message"),
    [
        ({"name": "reset"}, "fault 'reset' is unknown; there are fail, cancel,"),
        (
            {"name": "504", "call": "delete"},
            "call 'delete' is unknown; there are create, status, list, download, trees,",
        ),
        ({"name": "504", "call": "other"}, "call 'other' is unknown"),
        ({"name": "fail", "call": "status"}, "fail is chosen when an export is created and then stays; leave call out"),
        ({"name": "json_cut_short", "call": "download"}, "json_cut_short affects create, status, list, trees"),
        ({"name": "cycle", "call": "list"}, "call 'list': cycle affects trees"),
        ({"name": "504", "call": "list", "team": "12"}, "lists, which belong to no team; leave team out"),
        ({"name": "endless_pages", "team": "12"}, "lists, which belong to no team; leave team out"),
        ({"name": "504", "report": "velocity"}, "report 'velocity' is unknown; there are productivity, sprint,"),
        ({"name": "link_missing", "report": "team_report"}, "link_missing affects calls for productivity, sprint,"),
        ({"name": "forbidden", "report": "sprint"}, "forbidden affects org trees, which belong to no report"),
        ({"name": "504", "call": "list", "report": "business_alignment"}, "'list' is for productivity, sprint"),
        ({"name": "504", "call": "trees", "report": "sprint"}, "the call 'trees' is for no report"),
        ({"name": "504", "times": 0}, "times must be a whole number from 1, or null for always, not 0"),
    ],
)
def test_an_order_that_could_never_be_met_is_refused_saying_why(
    order: dict[str, object], message: str, sandbox
) -> None:
    with pytest.raises(HTTPError, match="400") as refused:
        sandbox.fault(**order)
    assert message in json.loads(refused.value.read())["message"]
