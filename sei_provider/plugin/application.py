"""Web application of the coverage page. Every route stands behind Airflow's own login and its right to see plugins.

All addresses in the pages are relative, so the page works behind any path prefix.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from importlib.resources import files
from typing import TYPE_CHECKING, Annotated, Any

from airflow.api_fastapi.auth.managers.models.resource_details import AccessView
from airflow.api_fastapi.core_api.security import requires_access_view
from fastapi import Depends, FastAPI, Query, Request
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException

from sei_provider.plugin import pages
from sei_provider.plugin.heat_map import Filter

if TYPE_CHECKING:
    from collections.abc import Callable

_STATIC = {"style.css": "text/css; charset=utf-8", "page.js": "text/javascript; charset=utf-8"}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}
_LONGEST = 500
Text = Annotated[str, Query(max_length=_LONGEST)]
Month = Annotated[str, Query(pattern=r"^([1-9][0-9]{3}-(0[1-9]|1[0-2]))?$")]
Table = Annotated[str, Query(pattern=r"^[a-z0-9][a-z0-9_]*$", max_length=_LONGEST)]


def create_application() -> FastAPI:
    """Return the application. Its own documentation is off, because those routes would stand before the login."""
    application = FastAPI(
        dependencies=[Depends(requires_access_view(AccessView.PLUGINS))],
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
    )
    application.add_api_route("/coverage", show_tables, response_class=HTMLResponse)
    application.add_api_route("/table", show_table, response_class=HTMLResponse)
    application.add_api_route("/cell", show_cell, response_class=HTMLResponse)
    application.add_api_route("/fill", show_form, response_class=HTMLResponse)
    for name, kind in _STATIC.items():
        application.add_api_route(f"/{name}", _static(name, kind))
    application.add_exception_handler(HTTPException, _refused)
    return application


def show_tables() -> HTMLResponse:
    """Show all tables, each with its last months."""
    return _page("tables.html", pages.tables_page(_today()))


def show_table(
    table: Table,
    q: Text = "",
    below: Text = "",
    by: Annotated[str, Query(pattern="^(team|scope)$")] = "team",
    first: Month = "",
    last: Month = "",
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
) -> HTMLResponse:
    """Show the months of a table by its scopes."""
    wanted = Filter(
        text=q.strip(),
        below=below,
        summed=by == "team",
        first=_month(first, date.min),
        last=_month(last, date.max),
        page=page,
    )
    return _page("table.html", pages.table_page(table, wanted, _today()))


def show_cell(table: Table, scope: Text, month: Month) -> HTMLResponse:
    """Show what is known of one month of one scope."""
    return _page("cell.html", pages.cell_page(table, scope, _month(month, date.min), _today()))


def show_form(table: Table, month: Month, scope: Text = "", below: Text = "", q: Text = "") -> HTMLResponse:
    """Show the form of `sei_backfill`, filled in for the gaps of a month."""
    wanted = Filter(text=q.strip(), below=below)
    return _page("fill.html", pages.fill_page(table, _month(month, date.min), scope, wanted, _today()))


def _page(template: str, values: dict[str, Any]) -> HTMLResponse:
    return HTMLResponse(pages.render(template, values), headers=_HEADERS)


def _static(name: str, kind: str) -> Callable[[], Response]:
    content = (files("sei_provider.plugin") / "static" / name).read_bytes()

    def send() -> Response:
        return Response(content, media_type=kind, headers=_HEADERS)

    return send


async def _refused(_request: Request, error: Exception) -> Response:
    """Answer a request that Airflow's login refuses, or an unknown address, with a page that says what to do."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    body = pages.render("refused.html", {"status": status})
    return HTMLResponse(body, status_code=status, headers=_HEADERS)


def _month(text: str, otherwise: date) -> date:
    return date.fromisoformat(f"{text}-01") if text else otherwise


def _today() -> date:
    return datetime.now(UTC).date()
