"""Finding, among the exports that SEI lists, those that some requests would make. Sends nothing.

For whoever asked and does not know what came of it: the answer was lost, or the process died before it was saved
(DESIGN, decision 6).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from sei_provider.api.calls import Flow
from sei_provider.api.errors import SeiInputError
from sei_provider.api.export import Export, ExportStatus
from sei_provider.api.listing import export_pages
from sei_provider.api.reports import REPORTS
from sei_provider.api.request import ExportRequest

_CLOCKS_APART = timedelta(seconds=60)
"""How far SEI's clock may be behind ours. An export that was made so much too early does no harm: it was asked for in
the same words, and productivity gives one that is up to 30 minutes old anyway (CONTRACT, "Reuse")."""
_OF_NO_USE = {ExportStatus.FAILED, ExportStatus.CANCELLED}


def find_exports(requests: Iterable[ExportRequest], since: datetime) -> Flow[dict[str, Export]]:
    """By request key, the newest listed export of each request that was made since then and did not end badly.

    One walk through the list of each report, newest first, as far back as `since` or until all are found. Requests
    of a report without a list are not found. Raises `SeiInputError` for a `since` without time zone.
    """
    if since.tzinfo is None:
        msg = f"since must be a time with a time zone, not {since.isoformat()}"
        raise SeiInputError(msg)
    wanted: dict[str, dict[str, ExportRequest]] = {}
    for request in requests:
        wanted.setdefault(request.report, {})[request.key] = request
    found: dict[str, Export] = {}
    for report, by_key in wanted.items():
        if REPORTS[report].has_list:
            found |= yield from _in_list(report, by_key, since - _CLOCKS_APART)
    return found


def _in_list(report: str, missing: dict[str, ExportRequest], since: datetime) -> Generator[Any, Any, dict[str, Export]]:
    walk = export_pages(report)  # newest first
    found: dict[str, Export] = {}
    is_older = False
    while walk.next_call and missing and not is_older:
        for export in walk.heard((yield walk.next_call)):
            is_older = export.created_at < since
            if is_older:
                break
            if export.status not in _OF_NO_USE:
                hits = [key for key, request in missing.items() if is_made_by(export, request)]
                found |= dict.fromkeys(hits, export)
                missing = {key: request for key, request in missing.items() if key not in hits}
    return found


def is_made_by(export: Export, request: ExportRequest) -> bool:
    """Whether a listed export is what `request` asks for, as far as the list tells.

    Scope and range must be told, since another team's export would be taken for this one's; what else is not told
    does not speak against it.
    """
    return (
        (export.start, export.end) == (request.start, request.end)
        and _is_of_scope(export, request)
        and _agree(export.asked.get("metricGroups"), request.metric_groups)
        and _are_the_metrics(export.asked.get("metrics") or export.asked.get("metric"), request)  # CONTRACT row 7
        and _are_the_options(export.asked.get("options"), request)
    )


def _is_of_scope(export: Export, request: ExportRequest) -> bool:
    if export.team_id != request.scope.team_id:
        return False
    if request.scope.team_id and (request.scope.org_tree is None or export.org_tree is None):
        return True  # a team has an id of its own: its tree may be told or not
    return export.org_tree == request.scope.org_tree


def _are_the_metrics(told: object, request: ExportRequest) -> bool:
    """The metrics may be told as they were asked for, or with those of the groups among them (CONTRACT row 13)."""
    by_group = REPORTS[request.report].metric_groups
    of_groups = {metric for group in request.metric_groups for metric in by_group[group].get(request.level or "", ())}
    return _agree(told, request.metrics) or _agree(told, of_groups.union(request.metrics))


def _agree(told: object, asked: Iterable[str]) -> bool:
    if not told:
        return True
    return isinstance(told, list) and set(map(_folded, told)) == set(map(_folded, asked))


def _are_the_options(told: object, request: ExportRequest) -> bool:
    if not isinstance(told, Mapping):
        return True
    asked = {
        "metricLevel": request.level,
        "aggregationLevel": request.level,  # its other name (CONTRACT row 9)
        "granularity": request.granularity,
        "aggregation": request.aggregation,
        "computationMode": request.computation_mode,
        **request.options,
    }
    return all(
        told.get(name) is None or value is None or _folded(told[name]) == _folded(value)
        for name, value in asked.items()
    )


def _folded(value: object) -> str:
    return str(value).strip().casefold()
