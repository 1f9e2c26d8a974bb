"""A client for `/_sandbox` of a running sandbox: its log, its faults, its clock.

Standard library only, so that a test or the demo can use it without the sandbox's own dependencies.
"""

from __future__ import annotations

import builtins
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit
from urllib.request import ProxyHandler, Request, build_opener


class SandboxControl:
    """Reads and controls one running sandbox, given the base URL that its clients use."""

    def __init__(self, base_url: str, *, key: str = "sandbox") -> None:
        self.base_url = base_url
        self.key = key
        parts = urlsplit(base_url)
        self._admin_url = f"{parts.scheme}://{parts.netloc}/_sandbox"
        # A proxy named in the environment must not come between a test and localhost.
        self._opener = build_opener(ProxyHandler({}))

    def requests(self) -> list[dict[str, Any]]:
        """Return all requests to the API, in order.

        Each is `{method, path, kind, report, status, fault, user_agent, export_id, at}`.

        `kind` is `create`, `status`, `list`, `download`, `trees` (org trees), `report` (a legacy report) or `other`;
        `report` is None for the last and for org trees; `at` is seconds since 1970 on the sandbox's clock. `status` is
        None if the connection was reset without a response. `fault` is the name of the call's fault, or of its
        export's, or None.
        """
        requests: list[dict[str, Any]] = json.loads(self._call("GET", "/requests"))
        return requests

    def summary(self) -> dict[str, Any]:
        """Return `{requests, exports, by_kind, by_status, by_fault, by_status_and_kind, by_report, by_user_agent}`.

        `by_kind` counts requests by kind; the last three do so for each HTTP status, report and user agent. A request
        without a response has the status `none`; one without a fault does not count in `by_fault`.
        """
        summary: dict[str, Any] = json.loads(self._call("GET", "/summary"))
        return summary

    def exports(self) -> list[dict[str, Any]]:
        """Return all exports, oldest first: `{id, report, body, status, created_at, reused, sent}`.

        `body` is the create call's JSON, `reused` how often the export was given for an identical request, `sent`
        whether it was downloaded.
        """
        exports: list[dict[str, Any]] = json.loads(self._call("GET", "/exports"))
        return exports

    def reports(self) -> list[dict[str, Any]]:
        """Return all legacy reports, oldest first: `{id, report, body, created_at}`; the ids are the sandbox's own."""
        reports: list[dict[str, Any]] = json.loads(self._call("GET", "/reports"))
        return reports

    def bytes(self, export_id: str) -> bytes:
        """Return the bytes of the last download of an export, or of a legacy report, by its id.

        Raises `urllib.error.HTTPError` (404) if nothing was sent.
        """
        return self._call("GET", f"/bytes/{export_id}")

    def fault(
        self,
        name: str,
        *,
        team: str | None = None,
        report: str | None = None,
        call: str | None = None,
        times: int | None = None,
    ) -> None:
        """Inject a fault into calls from now on; of several rules that match a call, the newest counts.

        - `name`: one of `sei_provider.sandbox.faults.EVERY_FAULT`. An `ExportFault` is chosen when an export, or a
          legacy report, is created, and stays with it; the others affect single calls. The downloads that
          `VALID_FILES` gives must land, those of `BROKEN_FILES` must be refused.
        - `team`: a team id or an org tree's name; None for any. A call belongs to the team of what it creates or of
          the export that it is about; a list belongs to none.
        - `report`: None for any.
        - `call`: `create`, `status`, `list`, `download`, `trees` or `report`; None for any. Not for an `ExportFault`.
        - `times`: how often it applies; None for always.

        Raises `urllib.error.HTTPError` (400, the reason in its body) for a rule that could never match.
        """
        self._call("POST", "/faults", {"fault": name, "team": team, "report": report, "call": call, "times": times})

    def clear_faults(self) -> None:
        """Remove all fault rules, the sandbox's own `fault_rate` too; exports keep their faults."""
        self._call("DELETE", "/faults")

    def advance(self, seconds: float) -> None:
        """Put the sandbox's clock forward, so that exports are done and reuse ends."""
        self._call("POST", "/clock", {"advance": seconds})

    def change_teams(
        self,
        *,
        rename: Mapping[str, str] | None = None,
        move: Mapping[str, str] | None = None,
        split: Mapping[str, Sequence[str]] | None = None,
        delete: Sequence[str] = (),
    ) -> None:
        """Change the org trees, all at one moment and in this order; what exports hold already stays.

        - `rename`: team id → its new name. Two teams may swap theirs.
        - `move`: team id → the id of the team that it is put below, with all teams below it.
        - `split`: team id → the names of its new child teams, which share its developers but the first.
        - `delete`: ids of teams that go, with all teams below them.

        A new team gets an id that no team had before. Reads of the trees without `there_is_no_cache=true` show them as
        they were before the last change (CONTRACT, "Freshness"). Raises `urllib.error.HTTPError` (400, the reason in
        its body) for a change that cannot be made.
        """
        changes = {"rename": dict(rename or {}), "move": dict(move or {}), "delete": list(delete)}
        self._call("POST", "/teams", changes | {"split": {team: list(names) for team, names in (split or {}).items()}})

    def _call(self, method: str, path: str, body: object = None) -> builtins.bytes:
        data = None if body is None else json.dumps(body).encode()
        headers = {} if data is None else {"Content-Type": "application/json"}
        request = Request(self._admin_url + path, data=data, headers=headers, method=method)  # noqa: S310 - the caller's sandbox
        with self._opener.open(request, timeout=30) as response:
            content: builtins.bytes = response.read()
        return content
