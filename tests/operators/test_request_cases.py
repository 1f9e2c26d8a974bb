"""Requests of the reports of CONTRACT 1a, generated: valid ones the strict sandbox takes as meant, others are refused.

The judge is written from CONTRACT's words and knows nothing of the client's code: what a user means by some arguments,
or that they mean nothing, in which case the error has to come before any call.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, note, settings
from hypothesis import strategies as st

from sei_provider.api import ExportRequest, SeiClient, SeiError, SeiInputError
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.server import serve
from tests.examples import examples

GROUPS = ["lttc", "df", "mttr", "cfr", "summary", "work_items", "deployment_frequency", "rating"]
METRICS = ["LTTC_Mean_Days", "DF_Deployment_Count", "CFR_Failure_Rate_Percent"]
DORA = [
    *("LEAD_TIME_FOR_CHANGES", "DEPLOYMENT_FREQUENCY", "CHANGE_FAILURE_RATE", "MEAN_TIME_TO_RESTORE"),
    "OVERALL_DORA",
]
STATUSES = ["To Do", "In Progress", "in review", "QA", "Fertig ✓", "進行中"]
START, END = date(2026, 1, 1), date(2026, 1, 31)


def cased(names: list[str]) -> st.SearchStrategy[str]:
    return st.sampled_from(names).flatmap(lambda name: st.sampled_from([name, name.upper(), name.lower(), f" {name} "]))


def listed(names: st.SearchStrategy[Any], least: int = 1) -> st.SearchStrategy[Any]:
    return st.lists(names, min_size=least, max_size=3).flatmap(lambda some: st.sampled_from([some, tuple(some)]))


ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, "", " ", 0, 1, True, 2.5, [], {}, "max", ["velocity"], "lttc", ["Done", None], [["Done"]], {"ALL": 1}, "[]"]
)
SCOPES = st.sampled_from(
    [
        *("12", 12, " 12 ", {"teamId": "12"}, {"orgTreeName": "Engineering"}),
        *({"teamId": "12", "orgTreeName": "Engineering"}, {}, "", {"managerEmailId": "boss@example.com"}),
        *({"teamId": "12", "managerEmailId": "boss@example.com"}, {"managerEmailID": "boss@example.com"}, None),
    ]
)


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


NAMES = {
    "workCategoryFilter": listed(cased(["ALL", "BUGS", "FEATURES"])) | ODD,
    "issueStatuses": listed(st.sampled_from(STATUSES)) | ODD,
    "terminalDateColumn": cased(["issue_resolved_at", "version_release_date"]) | ODD,
    "calculationType": cased(["MEAN", "MEDIAN", "P90", "P95"]) | ODD,
    "compression": cased(["gzip"]) | ODD,
}
OWN = {
    "efficiency": ("workCategoryFilter", "compression"),
    "time_in_status": ("issueStatuses", "terminalDateColumn"),
    "dora_report": ("calculationType",),
}
GRANULARITIES = {
    "efficiency": ["WEEKLY", "MONTHLY", "QUARTERLY"],
    "time_in_status": ["daily", "weekly", "monthly", "quarterly"],
    "dora_report": ["daily", "weekly", "monthly"],
}
TYPICAL: dict[str, dict[str, st.SearchStrategy[Any]]] = {
    "efficiency": {
        "metric_groups": listed(cased(GROUPS)),
        "metrics": listed(cased(METRICS)),
        "aggregation": cased(["mean", "median", "p90", "p95"]),
    },
    "time_in_status": {"level": cased(["sprint", "team"])},
    "dora_report": {"metrics": listed(cased(DORA))},
}
STRANGE = {"level": ODD, "aggregation": ODD, "computation_mode": ODD, "metric_groups": ODD, "metrics": ODD}


@st.composite
def asked(draw: st.DrawFn) -> dict[str, Any]:
    """The arguments of a request, mostly as the contract has them."""
    report = draw(st.sampled_from(sorted(OWN)))
    given = draw(optional(**TYPICAL[report]))
    if draw(st.booleans()):
        given.pop(draw(st.sampled_from(["metric_groups", "metrics"])), None)
    if draw(st.integers(0, 4)) == 0:
        given |= draw(optional(**{name: st.none() | values for name, values in STRANGE.items()}))
    options = draw(optional(**{name: NAMES[name] for name in OWN[report]}))
    if report == "time_in_status" and draw(st.integers(0, 4)):
        options["issueStatuses"] = draw(listed(st.sampled_from(STATUSES)))
    if draw(st.integers(0, 7)) == 0:
        options |= draw(optional(**NAMES, format=st.just("csv"), managerEmailId=st.just("boss@example.com"), x=ODD))
    given["granularity"] = draw(
        st.none() | cased(GRANULARITIES[report]) | st.sampled_from(["SPRINT", "yearly", "daily"])
    )
    given["scope"] = draw(st.just("12") | st.just("12") | SCOPES)
    return {"report": report, "options": draw(st.just(options) | st.just(options or None)), **given}


class Refused(Exception):  # noqa: N818 - it is what the judge says
    """The arguments mean nothing that SEI documents."""


def one_of(value: Any, names: list[str]) -> str:
    found = [name for name in names if isinstance(value, str) and name.casefold() == value.strip().casefold()]
    if not found:
        raise Refused(value)
    return found[0]


def some_of(value: Any, names: list[str] | None) -> list[str]:
    if not isinstance(value, list | tuple) or not value:
        raise Refused(value)
    if names is None and not all(isinstance(name, str) and name.strip() for name in value):
        raise Refused(value)
    return list(dict.fromkeys(value if names is None else (one_of(name, names) for name in value)))


def meaning(given: dict[str, Any]) -> dict[str, Any]:
    """Return the body that CONTRACT 1a has for these arguments; raises `Refused` if it has none."""
    report, options = given["report"], dict(given["options"] or {})
    options = {name: value for name, value in options.items() if value is not None or name not in OWN[report]}
    if set(options) - set(OWN[report]):
        raise Refused(options)
    nothing = {"metric_groups": (None, [], ()), "metrics": (None, [], (), "", 0, {})}
    given = {name: value for name, value in given.items() if value not in nothing.get(name, (None,)) or value is True}
    if set(given) - {"report", "scope", "options", "granularity", *TYPICAL[report]}:
        raise Refused(given)
    granularity = given.get("granularity") and one_of(given["granularity"], GRANULARITIES[report])
    scope = given.get("scope")
    named = scope if isinstance(scope, dict) else {"teamId": scope}
    of_team = set(named) == {"teamId"} and str(named["teamId"]).strip() == "12"
    of_tree = named == {"orgTreeName": "Engineering"} and report != "dora_report"
    if not of_team and not of_tree:
        raise Refused(scope)
    days = {"dateRange": {"start": f"{START}", "end": f"{END}"}, "scope": {"teamId": "12"}}
    if of_tree:
        days["scope"] = {"orgTreeName": "Engineering", "orgIdentifier": "acme", "projectIdentifier": "web"}
    judge = {"efficiency": _efficiency, "time_in_status": _in_status, "dora_report": _dora}[report]
    return ({} if report == "dora_report" else days) | judge(given, options, granularity)


def _dora(given: dict[str, Any], options: dict[str, Any], granularity: str | None) -> dict[str, Any]:
    config: dict[str, Any] = {"metrics": some_of(given["metrics"], DORA) if "metrics" in given else []}
    if "calculationType" in options:
        config["calculationType"] = one_of(options["calculationType"], ["MEAN", "MEDIAN", "P90", "P95"])
    days = {"collectionId": "12", "teamRefId": 12, "dateStart": f"{START}", "dateEnd": f"{END}"}
    return {**days, "efficiency": config, **({"granularity": granularity} if granularity else {})}


def _in_status(given: dict[str, Any], options: dict[str, Any], granularity: str | None) -> dict[str, Any]:
    level = "team" if given.get("level", "") == "" else one_of(given["level"], ["team", "sprint"])
    asked: dict[str, Any] = {"aggregationLevel": level, "granularity": granularity or "monthly"}
    if "terminalDateColumn" in options:
        names = ["issue_resolved_at", "version_release_date"]
        asked["terminalDateColumn"] = one_of(options["terminalDateColumn"], names)
    return {"issueStatuses": some_of(options.get("issueStatuses"), None), "options": asked}


def _efficiency(given: dict[str, Any], options: dict[str, Any], granularity: str | None) -> dict[str, Any]:
    if "metric_groups" in given and "metrics" in given:
        raise Refused(given)
    body: dict[str, Any] = {"options": {"granularity": granularity or "MONTHLY", "format": "csv"}}
    if "metrics" in given:
        body["metrics"] = some_of(given["metrics"], METRICS)
    else:
        named = given.get("metric_groups", GROUPS[:5])
        body["metricGroups"] = some_of(named, GROUPS)
    if "aggregation" in given:
        body["options"]["aggregation"] = one_of(given["aggregation"], ["mean", "median", "p90", "p95"])
    if "compression" in options:
        body["options"]["compression"] = one_of(options["compression"], ["gzip"])
    if "workCategoryFilter" in options:
        chosen = some_of(options["workCategoryFilter"], ["ALL", "BUGS", "FEATURES"])
        of_lead_time = "lttc" in body.get("metricGroups", ()) or "LTTC_Mean_Days" in body.get("metrics", ())
        if ("ALL" in chosen and len(chosen) > 1) or not of_lead_time:
            raise Refused(chosen)
        body["options"]["workCategoryFilter"] = sorted(chosen)
    return body


@pytest.fixture(scope="module")
def strict() -> Iterator[tuple[SandboxControl, SeiClient]]:
    with (
        serve(teams=2, seconds=0) as sandbox,
        SeiClient(
            base_url=sandbox.base_url,
            api_key="sandbox",
            org_identifier="acme",
            project_identifier="web",
            requests_per_minute=20_000,
        ) as client,
    ):
        yield sandbox, client


@pytest.mark.fuzz
@settings(max_examples=examples(150), deadline=None, suppress_health_check=list(HealthCheck))
@given(arguments=asked())
def test_what_is_valid_arrives_as_meant_and_what_is_not_is_refused_before_any_call(
    strict: tuple[SandboxControl, SeiClient], arguments: dict[str, Any]
) -> None:
    sandbox, client = strict
    note(str(arguments))
    try:
        meant = meaning(dict(arguments))
    except Refused:
        event(f"{arguments['report']}: refused")
        with pytest.raises(SeiInputError) as refused:
            ExportRequest(start=START, end=END, **arguments)
        assert "boss@example.com" not in str(refused.value)
        return
    event(f"{arguments['report']}: valid")
    request = ExportRequest(start=START, end=END, **arguments)
    assert request.body(org_identifier="acme", project_identifier="web") == meant
    try:
        if arguments["report"] == "dora_report":
            client.run_report(request, io.BytesIO())
        else:
            client.create_export(request)
    except SeiError as error:
        pytest.fail(f"the strict sandbox refused it: {error}")
    assert sandbox.requests()[-1]["status"] in {200, 202}
