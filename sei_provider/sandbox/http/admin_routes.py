"""Everything under `/_sandbox`: what was asked and answered, faults, and the clock. None of it is part of SEI's API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from sei_provider.sandbox.clock import LAST_MOMENT, timestamp
from sei_provider.sandbox.data.tree_changes import deleted, moved, renamed, split
from sei_provider.sandbox.faults.rules import FaultRule, contradiction
from sei_provider.sandbox.faults.table import EVERY_FAULT, REPORTS, Call
from sei_provider.sandbox.http.errors import bad_request, not_found
from sei_provider.sandbox.http.request_log import PREFIX
from sei_provider.sandbox.http.status_page import faults_page, records_page, status_page
from sei_provider.sandbox.http.validation import Names, StrictModel, Text, expected, one_of, parse

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from starlette.requests import Request

    from sei_provider.sandbox.data.organisation import Organisation
    from sei_provider.sandbox.exports import Export, ExportStore
    from sei_provider.sandbox.faults.rules import FaultPlan
    from sei_provider.sandbox.http.request_log import LoggedReport, RequestLog


class FaultBody(StrictModel):
    """A fault rule, as `SandboxControl.fault` sends it."""

    fault: Annotated[str, one_of(EVERY_FAULT)]
    team: str | None = None
    report: Annotated[str, one_of(REPORTS)] | None = None
    call: Call | None = None
    times: Annotated[int | None, Field(ge=1), expected("a whole number from 1, or null for always")] = None

    @model_validator(mode="after")
    def _can_match(self) -> Self:
        why = contradiction(EVERY_FAULT[self.fault], self.team, self.report, self.call)
        if why:
            raise ValueError(why)
        return self


MAX_ADVANCE = 366 * 24 * 3600


class ClockBody(StrictModel):
    """A step of the clock."""

    advance: Annotated[float, Field(ge=0, le=MAX_ADVANCE), expected(f"a number of seconds from 0 to {MAX_ADVANCE:,}")]


TEAM_PAGE = "/ng/account/{account}/module/sei/insights/{page}"
"""Path at which SEI's web interface shows a team (CONTRACT, "Pages to look at"); the sandbox has its own page there."""


class TreeChangeBody(StrictModel):
    """Changes of the org trees, as `SandboxControl.change_teams` sends them."""

    rename: dict[str, Text] = Field(default_factory=dict)
    move: dict[str, Text] = Field(default_factory=dict)
    split: dict[str, Names] = Field(default_factory=dict)
    delete: Names = ()


def way_in(path: str) -> Route:
    """Return a route that leads a person's browser to the sandbox's page; nobody else finds anything there."""

    async def response(request: Request) -> Response:
        if not _is_browser(request):
            raise HTTPException(404)
        return RedirectResponse(f"{PREFIX}/")

    return Route(path, response)


def admin_routes(log: RequestLog, store: ExportStore, faults: FaultPlan, organisation: Organisation) -> Mount:
    """Return the routes under `/_sandbox`; they need no key."""
    clock = log.clock

    def shown(path: str, read: Callable[[], list[dict[str, Any]]]) -> Route:
        async def response(request: Request) -> Response:
            return HTMLResponse(records_page(path[1:], read())) if _is_browser(request) else JSONResponse(read())

        return Route(path, response)

    async def summary(_request: Request) -> Response:
        return JSONResponse(log.summary() | {"exports": len(store.all())})

    async def sent_bytes(request: Request) -> Response:
        found = store.get(request.path_params["id"]) or log.reports.get(request.path_params["id"])
        if found is None or found.sent is None:
            not_found("No such export or legacy report, or nothing was downloaded yet")
        return Response(found.sent, media_type="application/octet-stream")

    async def order_fault(request: Request) -> Response:
        body = parse(FaultBody, await request.body())
        rule = body.model_dump(exclude={"fault"})
        faults.rules.append(FaultRule(fault=EVERY_FAULT[body.fault], **rule))
        return JSONResponse(body.model_dump(), 201)

    async def clear_faults(_request: Request) -> Response:
        faults.clear()
        return Response(status_code=204)

    async def advance_clock(request: Request) -> Response:
        seconds = parse(ClockBody, await request.body()).advance
        if clock.now() + seconds > LAST_MOMENT:
            bad_request("advance would put the clock behind the year 2500")
        clock.advance(seconds)
        return JSONResponse({"now": clock.now()})

    async def change_teams(request: Request) -> Response:
        body = parse(TreeChangeBody, await request.body())
        try:
            organisation.change([renamed(body.rename), moved(body.move), split(body.split), deleted(body.delete)])
        except ValueError as error:
            bad_request(str(error))
        return Response(status_code=204)

    async def show_faults(request: Request) -> Response:
        return HTMLResponse(faults_page(f"{request.url.scheme}://{request.url.netloc}{PREFIX}"))

    async def page(_request: Request) -> Response:
        return HTMLResponse(status_page(log.summary(), store.all(), faults.rules, clock.now()))

    routes = [
        Route("/", page),
        shown("/requests", lambda: log.requests),
        Route("/summary", summary),
        shown("/exports", lambda: [_export(export, clock.now()) for export in store.all()]),
        shown("/reports", lambda: [_report(report) for report in log.reports.values()]),
        Route("/bytes/{id}", sent_bytes),
        Route("/faults", show_faults),
        Route("/faults", order_fault, methods=["POST"]),
        Route("/faults", clear_faults, methods=["DELETE"]),
        Route("/teams", change_teams, methods=["POST"]),
        Route("/clock", advance_clock, methods=["POST"]),
    ]
    return Mount(PREFIX, routes=routes)


def _is_browser(request: Request) -> bool:
    """Tell whether a person's browser asks: it names HTML before anything else."""
    return request.headers.get("accept", "").startswith("text/html")


def _export(export: Export, now: float) -> dict[str, object]:
    return {
        "id": export.id,
        "report": export.request.spec.report,
        "body": export.raw_body,
        "status": export.status(now),
        "created_at": timestamp(export.created_at),
        "reused": export.reused,
        "sent": export.sent is not None,
    }


def _report(report: LoggedReport) -> dict[str, object]:
    return {"id": report.id, "report": report.report, "body": report.body, "created_at": timestamp(report.at)}
