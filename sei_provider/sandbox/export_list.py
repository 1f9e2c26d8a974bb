"""Lists of exports: the filters of 001's table read strictly, and the page that they choose. Knows nothing of HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sei_provider.sandbox.checks import date_field, one_of, only, refuse, whole_number
from sei_provider.sandbox.replies import CREATOR, list_entry

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date

    from sei_provider.sandbox.exports import Export
    from sei_provider.sandbox.replies import Json

FILTERS = ("status", "scope", "teamId", "createdBy", "dateFrom", "dateTo", "limit", "page", "sortBy", "sortOrder")
STATUSES = ("QUEUED", "PROCESSING", "COMPLETED", "FAILED", "CANCELLED")


@dataclass(frozen=True, slots=True, kw_only=True)
class ListQuery:
    """One list call that passed every check."""

    status: str | None
    """In lower case, as exports have it."""
    team_id: str | None
    created_by: str | None
    date_from: date | None
    date_to: date | None
    limit: int
    page: int
    sort_by: str
    descending: bool

    def reply(self, exports: Iterable[Export], now: float, *, endless: bool = False) -> Json:
        """The page asked for, of exports given oldest first; if `endless`, one that says that another follows."""
        found = sorted(
            (export for export in exports if self._wants(export, now)),
            # Ids grow with time: they order what is otherwise equal, the newer first if newest is asked for.
            key=lambda export: (self._sort_key(export, now), export.id),
            reverse=self.descending,
        )
        pages = -(-len(found) // self.limit)
        page = self.page % max(pages, 1) if endless else self.page
        shown = found[page * self.limit : (page + 1) * self.limit]
        return {
            "exports": [list_entry(export, now) for export in shown],
            "pagination": {
                "total": len(found),
                "limit": self.limit,
                "page": self.page,
                "totalPages": self.page + 2 if endless else pages,
                "hasMore": endless or self.page + 1 < pages,
            },
        }

    def _wants(self, export: Export, now: float) -> bool:
        created_on = datetime.fromtimestamp(export.created_at, UTC).date()
        return (
            self.status in {None, export.status(now)}
            and self.team_id in {None, export.request.scope.get("teamId")}
            and self.created_by in {None, CREATOR["userId"]}
            # Both days belong to the range: the documents say "after" and "before" a date, and no more.
            and (self.date_from is None or self.date_from <= created_on)
            and (self.date_to is None or created_on <= self.date_to)
        )

    def _sort_key(self, export: Export, now: float) -> float | str:
        match self.sort_by:
            case "completedAt":
                return export.finished_at if export.status(now) == "completed" else 0.0
            case "status":
                return export.status(now)
            case _:
                return export.created_at


def read_list_query(parameters: Mapping[str, str]) -> ListQuery:
    """The query that a list call's parameters make, its identifiers aside; raises `Refusal` with status 400."""
    only(parameters, FILTERS, "the query", "parameter")
    for name, allowed in _ALLOWED.items():
        if name in parameters:
            one_of(name, parameters[name], allowed)
    for name in ("teamId", "createdBy"):
        if parameters.get(name) == "":
            refuse(f"{name} must not be empty; leave it out for any")
    date_from, date_to = (
        date_field(parameters, name) if name in parameters else None for name in ("dateFrom", "dateTo")
    )
    if date_from and date_to and date_from > date_to:
        refuse(f"dateFrom {date_from} is after dateTo {date_to}")
    return ListQuery(
        status=parameters["status"].lower() if "status" in parameters else None,
        team_id=parameters.get("teamId"),
        created_by=parameters.get("createdBy"),
        date_from=date_from,
        date_to=date_to,
        limit=whole_number(parameters, "limit", 50, 1, 100),
        page=whole_number(parameters, "page", 0, 0),
        sort_by=parameters.get("sortBy", "createdAt"),
        descending=parameters.get("sortOrder", "desc") == "desc",
    )


# `scope=mine` gives what `all` gives: the sandbox's one key belongs to one user.
_ALLOWED = {
    "status": STATUSES,  # in capitals, unlike most replies (CONTRACT, "The list's reply")
    "scope": ("all", "mine"),
    "sortBy": ("createdAt", "completedAt", "status"),
    "sortOrder": ("asc", "desc"),
}
