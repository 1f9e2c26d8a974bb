"""What a request looks like as the JSON body of its call: one function for each family of reports. Checks nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sei_provider.api.reports import REPORTS

if TYPE_CHECKING:
    from sei_provider.api.request import ExportRequest


def export_body(
    request: ExportRequest, *, org_identifier: str, project_identifier: str, level_field: str
) -> dict[str, Any]:
    """The body that creates an asynchronous export; the arguments are those of `ExportRequest.body`."""
    report = REPORTS[request.report]
    scope: dict[str, str] = {}
    if request.scope.org_tree:
        scope["orgTreeName"] = request.scope.org_tree
        if not report.team_and_tree:
            scope |= {"orgIdentifier": org_identifier, "projectIdentifier": project_identifier}
    if request.scope.team_id:
        scope["teamId"] = request.scope.team_id
    options: dict[str, Any] = {
        "aggregation": request.aggregation,
        "computationMode": request.computation_mode,
        level_field: request.level,
        "granularity": request.granularity,
        "format": "csv" if report.sends_format else None,
    }
    body: dict[str, Any] = {
        "scope": scope,
        "dateRange": {"start": request.start.isoformat(), "end": request.end.isoformat()},
        "options": {name: value for name, value in options.items() if value is not None} | dict(request.options),
    }
    if request.metric_groups:
        body["metricGroups"] = list(request.metric_groups)
    if request.metrics:
        body["metrics"] = list(request.metrics)  # not "metric", as one example has it (CONTRACT row 7)
    return body


def report_body(request: ExportRequest) -> dict[str, Any]:
    """The body of a legacy report: none of the V2 fields that seed 002's first curl mixes in (CONTRACT row 32)."""
    report = REPORTS[request.report]
    team_id = request.scope.team_id or ""
    body: dict[str, Any] = {
        "collectionId": team_id,  # text here, a number below: one team, as documented (row 14)
        "dateStart": request.start.isoformat(),
        "dateEnd": request.end.isoformat(),
        **request.options,
    }
    if report.sends_team_ref:
        body["teamRefId"] = int(team_id)
    if request.granularity:
        body["granularity"] = request.granularity
    (holder,) = report.metric_groups
    body[holder] = {"metrics": list(request.metrics)}  # an empty list asks for all (row 19)
    return body
