"""Finding exports again in SEI's list: by what they were asked for, since when, in as few requests as will do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from sei_provider.api import Export, SeiInputError
from sei_provider.api.finding import is_made_by
from sei_provider.sandbox.control import SandboxControl
from tests.api.conftest import answering, export_request

MakeClient = Callable[..., Any]
NOW = datetime(2026, 1, 1, tzinfo=UTC)
LONG_AGO = datetime(2001, 1, 1, tzinfo=UTC)


def test_exports_are_found_by_what_they_were_asked_for(client_to: MakeClient, sandbox: SandboxControl) -> None:
    client = client_to(sandbox.base_url)
    requests = [
        export_request("sprint", scope=2, end="2026-05-01"),
        export_request("sprint", scope=2, level="sprint", granularity="SPRINT"),
        export_request("sprint", scope={"orgTreeName": "Engineering"}),
        export_request("sprint", scope=3, metrics=["Churn_Rate"], computation_mode="tickets"),
        export_request("productivity", scope=4, metric_groups=["volume"], metrics=["Coding_Days"]),
        export_request("productivity", scope=4, level="developer", granularity="weekly"),
    ]
    absent = [export_request("sprint", end="2026-05-02"), export_request("business_alignment")]
    made = {request.key: client.create_export(request).id for request in requests}
    found = client.find_exports([*requests, *absent], since=LONG_AGO)
    assert {key: export.id for key, export in found.items()} == made
    assert client.find_exports([], since=LONG_AGO) == {}


def entry(id_: str, age: float, status: str = "completed", team: str = "1") -> dict[str, Any]:
    """A listed export that was made `age` seconds before `NOW`."""
    return {
        "exportId": id_,
        "createdAt": (NOW - timedelta(seconds=age)).isoformat(),
        "status": status,
        "scope": {"teamId": team},
        "metadata": {"dateRange": {"start": "2026-01-01", "end": "2026-02-28"}},
    }


def page(*entries: dict[str, Any]) -> httpx.Response:
    return httpx.Response(200, json={"exports": list(entries), "pagination": {"hasMore": True}})


def test_of_several_exports_the_newest_is_found_that_did_not_end_badly(client_to: MakeClient) -> None:
    answer, _ = answering(
        page(
            entry("failed", 1, "FAILED"),
            entry("cancelled", 2, "cancelled"),
            entry("others", 3, team="6"),
            entry("newer", 4, "processing"),
            entry("older", 5),
        )
    )
    request = export_request("sprint")
    assert client_to(answer).find_exports([request], since=NOW)[request.key].id == "newer"


def test_clocks_may_be_a_minute_apart(client_to: MakeClient) -> None:
    request = export_request("sprint")
    for age, found in ((59, True), (61, False), (-3600, True)):
        answer, _ = answering(page(entry("exp_1", age)), page())
        assert (request.key in client_to(answer).find_exports([request], since=NOW)) is found


def test_no_page_is_read_once_all_are_found(client_to: MakeClient) -> None:
    answer, asked = answering(page(entry("exp_2", 1, team="2"), entry("exp_1", 2)), page())
    requests = [export_request("sprint"), export_request("sprint", scope=2)]
    assert len(client_to(answer).find_exports(requests, since=NOW)) == 2
    assert len(asked) == 1


def test_no_page_is_read_past_the_first_export_that_is_too_early(client_to: MakeClient) -> None:
    answer, asked = answering(page(entry("exp_1", 1)), page(entry("exp_2", 2), entry("exp_3", 3600)), page())
    requests = [export_request("sprint"), export_request("sprint", scope=2)]
    assert set(client_to(answer).find_exports(requests, since=NOW)) == {requests[0].key}
    assert len(asked) == 2


def test_exports_of_reports_without_a_list_are_not_asked_for(client_to: MakeClient) -> None:
    answer, asked = answering(httpx.Response(500))
    requests = [export_request("business_alignment"), export_request("team_report")]
    assert client_to(answer).find_exports(requests, since=NOW) == {}
    assert asked == []


def test_a_time_without_a_zone_is_refused(client_to: MakeClient) -> None:
    answer, _ = answering(httpx.Response(500))
    with pytest.raises(SeiInputError, match="since must be a time with a time zone, not 2026-01-01T00:00:00"):
        client_to(answer).find_exports([export_request()], since=datetime(2026, 1, 1))  # noqa: DTZ001 - the point


ASKED: dict[str, Any] = {
    "report": "sprint",
    "scope": "1",
    "metric_groups": ["work"],
    "metrics": ["CHURN_RATE"],
    "level": "team",
    "computation_mode": "TICKETS",
}


def listed(scope: object = None, **metadata: Any) -> Export:
    told: dict[str, Any] = {"dateRange": {"start": "2026-01-01", "end": "2026-02-28"}} | metadata
    reply = {"exportId": "exp_1", "createdAt": "2026-01-01", "scope": scope or {"teamId": "1"}, "metadata": told}
    return Export.from_reply("sprint", reply)


WORK = ["SPRINT_COMMIT", "SPRINT_CREEP", "SPRINT_SIZE", "SCOPE_CREEP_PERCENT", "CHURN_RATE"]


@pytest.mark.parametrize(
    ("export", "same"),
    [
        (listed(), True),
        (listed({"teamId": 1, "teamName": "Platform"}), True),
        (listed({"teamId": "1", "orgTreeName": "Engineering"}), True),
        (listed({"teamId": "2"}), False),
        (listed({"orgTreeName": "Engineering"}), False),
        (listed({"teamName": "Platform"}), False),
        (listed(dateRange={"start": "2026-01-01", "end": "2026-02-27"}), False),
        (listed(dateRange={}), False),
        (listed(metricGroups=["Work"]), True),
        (listed(metricGroups=["work", "delivery"]), False),
        (listed(metricGroups="work"), False),
        (listed(metricGroups=[]), True),
        (listed(metrics=["Churn_Rate"]), True),
        (listed(metric=["Churn_Rate"]), True),
        (listed(metrics=WORK), True),
        (listed(metrics=WORK[1:]), False),
        (listed(options={}), True),
        (listed(options=None), True),
        (listed(options={"metricLevel": "TEAM", "granularity": "monthly", "format": "csv"}), True),
        (listed(options={"aggregationLevel": "sprint"}), False),
        (listed(options={"granularity": "WEEKLY"}), False),
        (listed(options={"computationMode": "STORY_POINTS"}), False),
        (listed(options={"computationMode": None}), True),
    ],
)
def test_what_the_list_tells_must_be_the_same_and_what_it_does_not_tell_does_not_speak_against_it(
    export: Export, *, same: bool
) -> None:
    assert is_made_by(export, export_request(**ASKED)) is same


def test_an_org_tree_is_not_taken_for_a_team_within_it() -> None:
    tree = export_request("productivity", scope={"orgTreeName": "Engineering"})
    within = export_request("productivity", scope={"orgTreeName": "Engineering", "teamId": "1"})
    assert is_made_by(listed({"orgTreeName": "Engineering"}), tree)
    assert not is_made_by(listed({"orgTreeName": "Engineering", "teamId": "1"}), tree)
    assert is_made_by(listed({"orgTreeName": "Engineering", "teamId": "1"}), within)
    assert is_made_by(listed({"teamId": "1"}), within)
    assert not is_made_by(listed({"orgTreeName": "Operations", "teamId": "1"}), within)
