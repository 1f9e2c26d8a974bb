"""Queries of the list calls: 001's table of filters as a strict model, and the page that a query chooses."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator

from sei_provider.sandbox.http.responses import CREATOR, list_entry
from sei_provider.sandbox.http.validation import FIELD, Day, StrictModel, whole_number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sei_provider.sandbox.exports import Export
    from sei_provider.sandbox.http.responses import Json


def _not_empty(text: str) -> str:
    if not text:
        msg = f"{FIELD} must not be empty; leave it out for any"
        raise ValueError(msg)
    return text


Filter = Annotated[str, AfterValidator(_not_empty)] | None


class ListQuery(StrictModel):
    """The parameters of one list call, its identifiers aside."""

    days = ("date_from", "date_to")
    # In capitals, unlike most replies (CONTRACT, "The list's reply").
    status: Literal["QUEUED", "PROCESSING", "COMPLETED", "FAILED", "CANCELLED"] | None = None
    # `mine` gives what `all` gives: the sandbox's one key belongs to one user.
    scope: Literal["all", "mine"] = "all"
    team_id: Filter = None
    created_by: Filter = None
    date_from: Day | None = None
    date_to: Day | None = None
    limit: Annotated[int, whole_number(1, 100)] = 50
    page: Annotated[int, whole_number(0)] = 0
    sort_by: Literal["createdAt", "completedAt", "status"] = "createdAt"
    sort_order: Literal["asc", "desc"] = "desc"

    def response(self, exports: Iterable[Export], now: float, *, endless: bool = False) -> Json:
        """Return the page asked for, of exports given oldest first; an `endless` one says that another follows."""
        found = sorted(
            (export for export in exports if self._matches(export, now)),
            # Ids grow with time and order equal keys: the newer first if newest is asked for.
            key=lambda export: (self._sort_key(export, now), export.id),
            reverse=self.sort_order == "desc",
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

    def _matches(self, export: Export, now: float) -> bool:
        created_on = datetime.fromtimestamp(export.created_at, UTC).date()
        return (
            self.status in {None, export.status(now).upper()}
            and self.team_id in {None, export.request.scope.get("teamId")}
            and self.created_by in {None, CREATOR["userId"]}
            # Both days belong to the range: the documents say "after" and "before" a date, and no more.
            and (self.date_from is None or self.date_from <= created_on)
            and (self.date_to is None or created_on <= self.date_to)
        )

    def _sort_key(self, export: Export, now: float) -> float | str:
        if self.sort_by == "completedAt":
            return export.finished_at if export.status(now) == "completed" else 0.0
        return export.status(now) if self.sort_by == "status" else export.created_at
