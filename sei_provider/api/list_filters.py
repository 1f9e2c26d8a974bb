"""Filters for lists of exports, validated before any call (seed 001). Knows no transport."""

from __future__ import annotations

from datetime import date
from functools import partial
from typing import Any, TypedDict, Unpack

from sei_provider.api import endpoints
from sei_provider.api.errors import SeiInputError
from sei_provider.api.export import Export, ExportStatus
from sei_provider.api.pagination import Paginator
from sei_provider.api.reports import REPORTS
from sei_provider.api.validation import ID_RULE, is_id, normalize_choice, parse_day, quoted, team_id

MAX_PER_PAGE = 100
"""The largest page that SEI sends, in exports."""
_SCOPES = ("all", "mine")
_SORT_FIELDS = ("createdAt", "completedAt", "status")
_SORT_ORDERS = ("asc", "desc")


class ExportFilters(TypedDict, total=False):
    """Filters of a list of exports. Names may be written in any case.

    - `status`: one of `ExportStatus`
    - `scope`: `all` (default), or `mine` for exports that the key's owner created
    - `team_id`: exports of one team, as text or number
    - `created_by`: exports of one user, by the user's id
    - `date_from`, `date_to`: exports created after and before these days, as dates or `yyyy-MM-dd`
    - `limit`: exports per page, 1 to 100 (default); a smaller page costs more requests
    - `sort_by`: `createdAt` (default), `completedAt` or `status`
    - `sort_order`: `desc` (default) or `asc`
    """

    status: str | None
    scope: str
    team_id: str | int | None
    created_by: str | None
    date_from: str | date | None
    date_to: str | date | None
    limit: int
    sort_by: str
    sort_order: str


def paginate_exports(report: str, *, first_page: int = 0, **filters: Unpack[ExportFilters]) -> Paginator[Export]:
    """Return a paginator over a report's exports, from page `first_page` on.

    Raises `SeiInputError` for a report without a list, or an invalid filter.
    """
    listed = [each.name for each in REPORTS.values() if each.has_list]
    asked = report.strip().casefold() if isinstance(report, str) else ""
    if asked in REPORTS and asked not in listed:
        msg = f"SEI documents no list of {asked} exports; those that can be listed are: {', '.join(listed)}"
        raise SeiInputError(msg)
    name = normalize_choice("report", report, listed)
    return Paginator(
        partial(endpoints.list_exports, name, _params(**filters)), lambda export: export.id, first_page=first_page
    )


def _params(
    *,
    status: str | None = None,
    scope: str = "all",
    team_id: str | int | None = None,
    created_by: str | None = None,
    date_from: str | date | None = None,
    date_to: str | date | None = None,
    limit: int = MAX_PER_PAGE,
    sort_by: str = "createdAt",
    sort_order: str = "desc",
) -> dict[str, str]:
    first = None if date_from is None else parse_day("date_from", date_from)
    last = None if date_to is None else parse_day("date_to", date_to)
    if first and last and first > last:
        msg = f"date_from ({first}) is after date_to ({last})"
        raise SeiInputError(msg)
    if not isinstance(limit, int) or isinstance(limit, bool) or not 1 <= limit <= MAX_PER_PAGE:
        msg = f"limit must be a whole number from 1 to {MAX_PER_PAGE}, not {limit!r}"
        raise SeiInputError(msg)
    asked: dict[str, Any] = {
        # The filter is in capitals, whatever the replies use (CONTRACT, "The list's reply").
        "status": None
        if status is None
        else normalize_choice("status", status, [each.upper() for each in ExportStatus]),
        "scope": normalize_choice("scope", scope, _SCOPES),
        "teamId": _team(team_id),
        "createdBy": _person(created_by),
        "dateFrom": first and first.isoformat(),
        "dateTo": last and last.isoformat(),
        "limit": limit,
        "sortBy": normalize_choice("sort field", sort_by, _SORT_FIELDS),
        "sortOrder": normalize_choice("sort order", sort_order, _SORT_ORDERS),
    }
    return {name: str(value) for name, value in asked.items() if value is not None}


def _team(value: object) -> str | None:
    if value is None:
        return None
    if found := team_id(value):
        return found
    msg = f"team_id must be an id, not {quoted(value)}; {ID_RULE}"
    raise SeiInputError(msg)


def _person(value: object) -> str | None:
    if value is None:
        return None
    if not is_id(value) or not str(value).strip():
        msg = f"created_by must be an id, as text or number, not {quoted(value)}"
        raise SeiInputError(msg)
    return str(value).strip()
