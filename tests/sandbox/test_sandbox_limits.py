"""Limits of the API: exports that time out by size, requests above the rate; and its clock."""

from __future__ import annotations

import pytest

from sei_provider.sandbox.clock import SandboxClock
from sei_provider.sandbox.options import SandboxOptions
from sei_provider.sandbox.server import serve

REPORTS = ("productivity", "sprint", "business_alignment", "efficiency", "time_in_status")


@pytest.mark.parametrize("report", REPORTS)
def test_an_export_of_too_many_teams_fails_saying_that_it_timed_out(report: str, api_at, clock, body_of) -> None:
    with serve(teams=10, seconds=30, clock=clock, timeout_teams=9) as sandbox:
        api = api_at(sandbox.base_url)
        fits, too_large = (api.create(report, body_of(report, team=team)).json()["exportId"] for team in ("10", "1"))
        assert api.status(report, too_large).json()["status"].lower() == "queued"
        clock.now += 30
        assert api.status(report, fits).json()["status"].lower() == "completed"
        failed = api.status(report, too_large).json()
    assert failed["status"].lower() == "failed"
    message = "Export timed out: its scope holds 13 teams, and more than 9 take too long"
    as_object = {"code": "EXPORT_TIMED_OUT", "message": message}
    assert failed["error"] == (message if report == "productivity" else as_object)


@pytest.mark.parametrize("report", REPORTS)
def test_an_export_of_a_whole_tree_times_out_as_its_root_does(report: str, api_at, body_of) -> None:
    scope = {"orgTreeName": "Engineering"} | ({} if report == "productivity" else {"orgIdentifier": "acme"})
    with serve(teams=10, seconds=0, timeout_teams=12) as sandbox:
        api = api_at(sandbox.base_url)
        export_id = api.create(report, body_of(report) | {"scope": scope}).json()["exportId"]
        assert api.status(report, export_id).json()["status"].lower() == "failed"


@pytest.mark.parametrize("report", REPORTS)
def test_an_export_of_too_many_days_fails_saying_that_it_timed_out(report: str, api_at, body_of) -> None:
    with serve(teams=10, seconds=0, timeout_days=31) as sandbox:
        api = api_at(sandbox.base_url)
        ids = [api.create(report, body_of(report, end=f"2026-0{end}")).json()["exportId"] for end in ("1-31", "2-01")]
        fits, too_long = (api.status(report, export_id).json() for export_id in ids)
    assert fits["status"].lower() == "completed"
    assert too_long["status"].lower() == "failed"
    assert "timed out: its date range has 32 days, and more than 31 take too long" in str(too_long["error"])


def test_an_export_can_be_made_to_time_out(api, sandbox, clock, body_of) -> None:
    sandbox.fault("time_out", team="12")
    export_id = api.create("sprint", body_of("sprint")).json()["exportId"]
    clock.now += 30
    error = api.status("sprint", export_id).json()["error"]
    assert error == {"code": "EXPORT_TIMED_OUT", "message": "Export timed out"}


def test_requests_above_the_rate_are_a_429_without_retry_after_until_the_window_has_slid(api_at, clock) -> None:
    with serve(teams=10, clock=clock, requests_per_minute=3) as sandbox:
        api = api_at(sandbox.base_url)
        seen = []
        for seconds in (0, 20, 20, 10, 9.5, 0.5, 0, 20):
            clock.now += seconds
            seen.append(api.list("sprint"))
        assert [answer.status_code for answer in seen] == [200, 200, 200, 429, 429, 200, 429, 200]
        assert seen[3].json().keys() == {"status", "code", "message", "correlationId"}
        assert "3 requests per minute" in seen[3].json()["message"]
        assert "retry-after" not in seen[3].headers
        summary = sandbox.summary()
    assert summary["by_status"] == {"200": 5, "429": 3}
    assert summary["by_status_and_kind"] == {"200": {"list": 5}, "429": {"list": 3}}


def test_every_kind_of_call_counts_against_the_rate_and_is_recorded_when_refused(api_at, clock, body_of) -> None:
    calls = {
        "create": lambda api: api.create("sprint", body_of("sprint")),
        "status": lambda api: api.status("sprint", "exp_1"),
        "list": lambda api: api.list("sprint"),
        "download": lambda api: api.download("sprint", "exp_1"),
        "trees": lambda api: api.trees(),
        "report": lambda api: api.report({}),
    }
    for kind, call in calls.items():
        with serve(teams=10, clock=clock, requests_per_minute=1) as sandbox:
            api = api_at(sandbox.base_url)
            assert call(api).status_code != 429
            assert [other(api).status_code for other in calls.values()] == [429] * 6
            refused = [request["kind"] for request in sandbox.requests() if request["status"] == 429]
            assert refused == list(calls), f"after a {kind}"


def test_what_needs_no_key_does_not_count_against_the_rate(api_at, clock) -> None:
    with serve(teams=10, clock=clock, requests_per_minute=1) as sandbox:
        api = api_at(sandbox.base_url)
        assert api.http.get("/v2/org-trees", headers={"authorization": "ApiKey wrong"}).status_code == 401
        assert sandbox.summary()["requests"] == 1
        assert api.list("sprint").status_code == 200


def test_a_faster_clock_shortens_exports_and_the_window_alike(api_at, clock, body_of) -> None:
    with serve(teams=10, seconds=30, clock=clock, clock_speed=10, requests_per_minute=4) as sandbox:
        api = api_at(sandbox.base_url)
        export_id = api.create("sprint", body_of("sprint")).json()["exportId"]
        clock.now += 2.9
        assert api.status("sprint", export_id).json()["status"] == "processing"
        clock.now += 0.1
        assert api.status("sprint", export_id).json()["completedAt"] == "2026-01-01T00:00:30Z"
        assert [api.list("sprint").status_code for _ in range(2)] == [200, 429]
        clock.now += 3
        assert api.list("sprint").status_code == 200


def test_a_clock_that_runs_faster_starts_at_the_time_of_its_base_and_can_be_put_forward(clock) -> None:
    fast = SandboxClock(clock, speed=10)
    assert fast.now() == clock.now
    started_at = clock.now
    clock.now += 2
    fast.advance(5)
    assert fast.now() == started_at + 25


def test_a_speed_or_a_rate_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="clock_speed must be above 0, not 0"):
        SandboxOptions(clock_speed=0)
    with pytest.raises(ValueError, match="requests_per_minute must be at least 1, not 0"):
        SandboxOptions(requests_per_minute=0)
