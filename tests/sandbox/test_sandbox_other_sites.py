"""Pages of other sites, and neighbours on the machine: they reach nothing of the sandbox."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.options import SandboxOptions
from sei_provider.sandbox.server import serve

CREATE = "/v2/insights/productivity/exports?projectIdentifier=a&orgIdentifier=b"
API = {"Authorization": "ApiKey sandbox", "Content_Type": "application/json"}
KEY = "a-key-that-occurs-nowhere-else"
FAULT = json.dumps({"fault": "fail"})
OTHERS = [
    "evil.example.com",
    "evil.example.com:8765",
    "localhost.evil.example.com",
    "127.0.0.1.nip.io",
    "a@localhost",
    "",
]


def ask(
    sandbox: SandboxControl, method: str, path: str, body: str | bytes = "", **headers: str
) -> tuple[int, Any, str]:
    """Send one request with these headers and none that a library adds; `Host` is the sandbox's own by default."""
    where = urlsplit(sandbox.base_url)
    connection = http.client.HTTPConnection(str(where.hostname), int(where.port or 0), timeout=10)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": where.netloc, "Content-Length": str(len(body)), **headers}.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders(body.encode())
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read().decode()
    finally:
        connection.close()


@pytest.mark.parametrize("host", OTHERS)
@pytest.mark.parametrize("path", ["/", "/_sandbox/", "/_sandbox/requests", "/v2/insights/productivity/exports"])
def test_a_name_that_another_site_can_have_reads_nothing(sandbox, host: str, path: str) -> None:
    status, _, said = ask(sandbox, "GET", path, Host=host, **API)
    assert (status, "--allowed-hosts" in said) == (421, True)


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:80", "192.0.2.7:8765", "named"])
def test_an_address_localhost_and_a_name_that_is_allowed_are_answered(host: str) -> None:
    with serve(teams=1, allowed_hosts=("named",)) as sandbox:
        assert ask(sandbox, "GET", "/_sandbox/summary", Host=host)[0] == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "multipart/form-data; boundary=x"}, 415),
        ({"Content_Type": "text/plain; application/json"}, 415),
        ({"Content_Type": "application/json", "Origin": "http://evil.example.com"}, 403),
        ({"Content_Type": "application/json", "Origin": "null"}, 403),
        ({"Content_Type": "application/json", "Origin": "http://localhost:1"}, 403),
        ({"Content_Type": "application/json", "Sec_Fetch_Site": "cross-site"}, 403),
        ({"Content_Type": "application/json", "Sec_Fetch_Site": "same-site"}, 403),
    ],
)
@pytest.mark.parametrize("control", ["faults", "teams", "clock"])
def test_what_another_sites_page_can_send_controls_nothing(
    sandbox, control: str, headers: dict[str, str], status: int
) -> None:
    body = {"faults": FAULT, "teams": '{"delete": ["11"]}', "clock": '{"advance": 1000}'}[control]
    assert ask(sandbox, "POST", f"/_sandbox/{control}", body, **headers)[0] == status
    sandbox_page = ask(sandbox, "GET", "/_sandbox/")[2]
    assert "No fault rules" in sandbox_page or "fail" not in sandbox_page


def test_another_sites_page_clears_no_faults_and_gets_no_leave_to_ask(sandbox) -> None:
    assert ask(sandbox, "DELETE", "/_sandbox/faults", Origin="http://evil.example.com")[0] == 403
    asked = {"Origin": "http://evil.example.com", "Access_Control_Request_Method": "POST"}
    for path in ("/_sandbox/faults", "/v2/insights/productivity/exports"):
        status, headers, _ = ask(sandbox, "OPTIONS", path, **asked)
        assert status >= 400
        assert not [name for name in headers if name.lower().startswith("access-control")]


def test_the_page_is_framed_by_nobody_and_read_by_no_other_site(sandbox) -> None:
    headers = {name.lower(): value for name, value in ask(sandbox, "GET", "/_sandbox/")[1].items()}
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize("number", ["Infinity", "-Infinity", "NaN", "1e999", "-1e999", "1e300", "99999999999", "-1"])
def test_a_number_that_is_not_finite_or_leaves_the_calendar_is_refused_and_breaks_nothing(sandbox, number: str) -> None:
    body = f'{{"advance": {number}}}'
    assert ask(sandbox, "POST", "/_sandbox/clock", body, Content_Type="application/json")[0] == 400
    body = f'{{"scope": {{"teamId": "11"}}, "dateStart": "2026-01-01", "granularity": {number}}}'
    assert ask(sandbox, "POST", CREATE, body, **API)[0] == 400
    for path in ("", "requests", "summary", "exports", "reports", "faults"):
        assert ask(sandbox, "GET", f"/_sandbox/{path}")[0] == 200


def test_a_clock_that_is_advanced_for_ever_stays_within_the_calendar(sandbox) -> None:
    year = json.dumps({"advance": 366 * 24 * 3600})
    answers = {ask(sandbox, "POST", "/_sandbox/clock", year, Content_Type="application/json")[0] for _ in range(500)}
    assert answers == {200, 400}
    assert ask(sandbox, "GET", "/_sandbox/")[0] == 200


@pytest.mark.parametrize("name", ["seconds", "clock_speed", "fault_rate"])
@pytest.mark.parametrize("number", [float("nan"), float("inf"), -1.0, 1e300])
def test_an_option_that_is_not_finite_is_refused_and_named(name: str, number: float) -> None:
    with pytest.raises(ValueError, match=f"^{name} must be"):
        SandboxOptions(**{name: number})


def test_the_key_comes_from_the_environment_and_ps_does_not_show_it() -> None:
    command = [sys.executable, "-m", "sei_provider.sandbox", "--port", "0", "--teams", "1"]
    environment = {**os.environ, "SEI_SANDBOX_KEY": KEY}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout
            sandbox = SandboxControl(process.stdout.readline().split()[-1], key=KEY)
            shown = " ".join(psutil.Process(process.pid).cmdline())
            good, bad = (
                ask(sandbox, "GET", "/v2/insights/productivity/exports/x?projectIdentifier=a&orgIdentifier=b", **key)[0]
                for key in ({**API, "Authorization": f"ApiKey {KEY}"}, API)
            )
        finally:
            process.terminate()
    assert (KEY in shown, bad) == (False, 401)
    assert good != 401
