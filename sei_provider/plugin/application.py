"""Web application of the coverage page. Every route stands behind Airflow's own login and its right to see plugins.

All addresses in the pages are relative, so the page works behind any path prefix.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any, cast

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import requires_access_view
from fastapi import Depends, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from sei_provider.api.bounds import LINK_CHARS
from sei_provider.lake.bounds import MAX_HIERARCHY_CHARS
from sei_provider.plugin import HEADERS, pages
from sei_provider.plugin.heat_map import Filter
from sei_provider.plugin.pages import FIRST_MONTH, LAST_MONTH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

_STATIC = {"style.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8"}
_MONTH = "(19|2[0-9])[0-9]{2}-(0[1-9]|1[0-2])"
_MOST_TABLE, _MOST_TEXT, _MOST_PAGE = 500, 500, 1_000_000
_MOST_SCOPE = LINK_CHARS + len("team:")
Table = Annotated[str, Query(pattern="^[a-z0-9][a-z0-9_]*$", max_length=_MOST_TABLE)]
Scope = Annotated[str, Query(pattern="(?s)^(team|org):.+$", max_length=_MOST_SCOPE)]
ScopeOrNone = Annotated[str, Query(pattern="(?s)^((team|org):.+)?$", max_length=_MOST_SCOPE)]
Month = Annotated[str, Query(pattern=f"^{_MONTH}$")]
MonthOrNone = Annotated[str, Query(pattern=f"^({_MONTH})?$")]
Text = Annotated[str, Query(max_length=_MOST_TEXT)]
Below = Annotated[str, Query(max_length=MAX_HIERARCHY_CHARS)]
_a_month = f"must be a month from {FIRST_MONTH:%Y-%m} to {LAST_MONTH:%Y-%m}"
_RULES = {
    "table": f"must be the name of a table: letters a to z, digits and underscores, {_MOST_TABLE} at most",
    "scope": f"must be a scope, such as team:456 or org:Engineering, of {_MOST_SCOPE} characters at most",
    "month": _a_month,
    "first": f"{_a_month}, or empty",
    "last": f"{_a_month}, or empty",
    "q": f"must be a text of {_MOST_TEXT} characters at most",
    "below": f"must be the hierarchy of a team, of {MAX_HIERARCHY_CHARS:,} characters at most",
    "by": "must be team or scope",
    "page": f"must be a number from 1 to {_MOST_PAGE:,}",
}
"""Rule for each parameter of an address."""


def create_application() -> FastAPI:
    """Return the application. Its own documentation is off, because those routes would stand before the login."""
    application = FastAPI(
        dependencies=[Depends(requires_access_view(AccessView.PLUGINS))],
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,  # a redirect would name the host that the client has claimed
    )
    application.add_api_route("/coverage", show_tables, response_class=HTMLResponse)
    application.add_api_route("/table", show_table, response_class=HTMLResponse)
    application.add_api_route("/cell", show_cell, response_class=HTMLResponse)
    application.add_api_route("/fill", show_form, response_class=HTMLResponse)
    for name, kind in _STATIC.items():
        application.add_api_route(f"/{name}", _static(name, kind))
    application.add_exception_handler(HTTPException, _refused)
    application.add_exception_handler(RequestValidationError, _unusable)
    application.add_exception_handler(Exception, _failed)
    return application


def show_tables() -> HTMLResponse:
    """Show all tables, each with its last months."""
    return _page("tables.html", pages.tables_page(_today()))


def show_table(
    table: Table,
    q: Text = "",
    below: Below = "",
    by: Annotated[str, Query(pattern="^(team|scope)$")] = "team",
    first: MonthOrNone = "",
    last: MonthOrNone = "",
    page: Annotated[int, Query(ge=1, le=_MOST_PAGE)] = 1,
) -> HTMLResponse:
    """Show the months of a table by its scopes."""
    wanted = Filter(
        text=q.strip(),
        below=below,
        summed=by == "team",
        first=_month(first) if first else date.min,
        last=_month(last) if last else date.max,
        page=page,
    )
    return _page("table.html", pages.table_page(table, wanted, _today()))


def show_cell(table: Table, scope: Scope, month: Month) -> HTMLResponse:
    """Show what is known of one month of one scope."""
    return _page("cell.html", pages.cell_page(table, scope, _month(month), _today()))


def show_form(table: Table, month: Month, scope: ScopeOrNone = "", below: Below = "", q: Text = "") -> HTMLResponse:
    """Show the form of `sei_backfill`, filled in for the gaps of a month."""
    wanted = Filter(text=q.strip(), below=below)
    return _page("fill.html", pages.fill_page(table, _month(month), scope, wanted, _today()))


def _page(template: str, values: dict[str, Any]) -> HTMLResponse:
    return HTMLResponse(pages.render(template, values), headers=HEADERS)


def _static(name: str, kind: str) -> Callable[[], Response]:
    content = (files("sei_provider.plugin") / "static" / name).read_bytes()

    def send() -> Response:
        return Response(content, media_type=kind, headers=HEADERS)

    return send


async def _refused(_request: Request, error: Exception) -> Response:
    """Answer with a page that says what to do, where Airflow's login refuses, or no route has the address or method."""
    refused = cast("HTTPException", error)
    return _refusal(refused.status_code, refused.headers)


async def _unusable(_request: Request, error: Exception) -> Response:
    """Answer an address whose parameters are wrong with a page that says what they must be."""
    names = dict.fromkeys(str(wrong["loc"][-1]) for wrong in cast("RequestValidationError", error).errors())
    return _refusal(422, wrong=[(name, _RULES[name]) for name in names if name in _RULES])


async def _failed(_request: Request, _error: Exception) -> Response:
    """Answer a request that has failed, for example because the database is gone. The API server logs the error."""
    return _refusal(500)


def _refusal(
    status: int, headers: Mapping[str, str] | None = None, wrong: Sequence[tuple[str, str]] = ()
) -> HTMLResponse:
    body = pages.render("refused.html", {"status": status, "wrong": wrong})
    return HTMLResponse(body, status_code=status, headers={**(headers or {}), **HEADERS})


def _month(text: str) -> date:
    return date.fromisoformat(f"{text}-01")


def _today() -> date:
    return datetime.now(UTC).date()
