"""The body of a create call, read as strictly as the documents are written.

Turns JSON into an `ExportRequest`, or raises a `Refusal` that names the field, what it held, and what it may hold.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, NoReturn

from sei_provider.api.reports import REPORTS
from sei_provider.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sei_provider.sandbox.documents import Document
    from sei_provider.sandbox.organisation import Organisation, Team


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """One create call that passed every check; defaults are filled in, names spelled as documented."""

    document: Document
    project: str
    org: str
    scope: Mapping[str, str]
    team: Team
    """The team the export starts from: the one named, else the root of the org tree."""
    start: date
    end: date
    metric_groups: tuple[str, ...]
    """The groups asked for, in documented order; empty if none was."""
    metrics: tuple[str, ...]
    """All metrics of groups and single names together, in documented order; none for business alignment."""
    level: str
    """Empty for a report without levels."""
    granularity: str
    calculation: str
    """The aggregation or computation mode; empty for a report with neither."""
    options: Mapping[str, str]

    @property
    def identity(self) -> tuple[object, ...]:
        """What must be the same in two requests for the second to be answered with the first's export."""
        scope = tuple(sorted(self.scope.items()))
        asked = (self.start, self.end, self.metrics, self.level, self.granularity, self.calculation)
        return (self.document.report, self.project, self.org, scope, *asked)


def read_create_body(
    document: Document, raw: bytes, *, project: str, org: str, organisation: Organisation
) -> ExportRequest:
    """The request that the bytes of a create call make; raises `Refusal` with status 400, or 404 for no such team."""
    report = REPORTS[document.report]
    body = _json_object(raw)
    _only(body, document.body_fields, "the body")
    scope, team = _scope(document, _object(body, "scope"), project, org, organisation)
    dates = _object(body, "dateRange")
    _only(dates, ("start", "end"), "dateRange")
    start, end = _date(dates, "start"), _date(dates, "end")
    if start > end:
        _refuse(f"dateRange.start {start} is after dateRange.end {end}")
    options = _object(body, "options")
    _only(options, document.option_fields, "options")
    chosen = {name: _text(options, name, "options") for name in options}
    granularity = chosen.get("granularity")
    if granularity is None:
        _refuse(f"options.granularity is required: {_listed(report.granularities)}")
    _one_of("options.granularity", granularity, report.granularities)
    level = _level(document, chosen, report.levels, report.default_level)
    calculation = _calculation(document, chosen, report.computation_modes)
    _one_of("options.format", chosen.get("format", "csv"), ("csv",))
    groups, metrics = _metrics(document, body, level)
    return ExportRequest(
        document=document,
        project=project,
        org=org,
        scope=scope,
        team=team,
        start=start,
        end=end,
        metric_groups=groups,
        metrics=metrics,
        level=level,
        granularity=granularity,
        calculation=calculation,
        options=chosen,
    )


def _scope(
    document: Document, scope: Mapping[str, object], project: str, org: str, organisation: Organisation
) -> tuple[dict[str, str], Team]:
    _only(scope, document.scope_fields, "scope")
    asked = {name: _text(scope, name, "scope") for name in scope}
    team_id, tree_name = asked.get("teamId"), asked.get("orgTreeName")
    if team_id is None and tree_name is None:
        _refuse("scope needs teamId or orgTreeName, and has neither")
    if team_id is not None and tree_name is not None and not document.team_and_tree:
        _refuse("scope takes either teamId or orgTreeName, not both")
    if tree_name is not None and not document.team_and_tree and "orgIdentifier" not in asked:
        _refuse("scope.orgIdentifier is required with scope.orgTreeName")
    for name, in_query in (("projectIdentifier", project), ("orgIdentifier", org)):
        if asked.get(name, in_query) != in_query:
            _refuse(f"scope.{name} {asked[name]!r} contradicts the query parameter {name} {in_query!r}")
    # A team and its tree together are the team: both are looked up, so that a wrong name is noticed.
    tree = organisation.tree(tree_name) if tree_name is not None else organisation.root
    if tree is None:
        raise Refusal(404, "RESOURCE_NOT_FOUND", f"Org tree not found: {tree_name!r}")
    team = organisation.team(team_id) if team_id is not None else tree
    if team is None:
        raise Refusal(404, "RESOURCE_NOT_FOUND", f"Team not found: {team_id!r}")
    return asked, team


def _level(document: Document, chosen: Mapping[str, str], levels: tuple[str, ...], default: str | None) -> str:
    named = [field for field in document.level_fields if field in chosen]
    if len(named) > 1:
        _refuse(f"options takes either {' or '.join(named)}, not both")
    if not named:
        return default or ""
    _one_of(f"options.{named[0]}", chosen[named[0]], levels)
    return chosen[named[0]]


def _calculation(document: Document, chosen: Mapping[str, str], modes: tuple[str, ...]) -> str:
    for field, allowed in (("aggregation", document.aggregations), ("computationMode", modes)):
        if allowed:
            # What is calculated when the field is left out is documented nowhere: the example's value.
            value = chosen.get(field, allowed[0])
            _one_of(f"options.{field}", value, allowed)
            return value
    return ""


def _metrics(document: Document, body: Mapping[str, object], level: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Groups and single metrics merged; neither, or empty lists, mean all (002)."""
    report = REPORTS[document.report]
    if "metric" in body and "metrics" in body:
        _refuse("the body takes either metric or metrics, not both (000 has one in its example, one in its table)")
    groups = _known(body, "metricGroups", report.metric_groups, f"group of {report.name}")
    single_field = "metric" if "metric" in body else "metrics"
    available = [metric for by_level in report.metric_groups.values() for metric in by_level[level]]
    at_level = f"metric of {report.name}" + (f" at level {level}" if level else "")
    singles = _known(body, single_field, available, at_level)
    if not groups and not singles:
        return (), tuple(available)
    wanted = singles | {metric for group in groups for metric in report.metric_groups[group][level]}
    return (
        tuple(group for group in report.metric_groups if group in groups),
        tuple(metric for metric in available if metric in wanted),
    )


def _known(body: Mapping[str, object], field: str, allowed: Iterable[str], kind: str) -> set[str]:
    """The names in a list, in documented spelling: names are case-insensitive (002; CONTRACT rows 8, 30)."""
    names = body.get(field, [])
    if not isinstance(names, list):
        _refuse(f"{field} must be a JSON array of names, not {json.dumps(names)}")
    spelling = {name.casefold(): name for name in allowed}
    found = set()
    for name in names:
        if not isinstance(name, str) or name.casefold() not in spelling:
            _refuse(f"{field}: {json.dumps(name)} is no {kind}; there are {_listed(spelling.values())}")
        found.add(spelling[name.casefold()])
    return found


def _json_object(raw: bytes) -> dict[str, object]:
    try:
        body = json.loads(raw)
    except ValueError as error:
        _refuse(f"the body is not JSON: {error}")
    if not isinstance(body, dict):
        _refuse("the body must be a JSON object")
    return body


def _object(body: Mapping[str, object], field: str) -> dict[str, object]:
    if field not in body:
        _refuse(f"{field} is required")
    value = body[field]
    if not isinstance(value, dict):
        _refuse(f"{field} must be a JSON object, not {json.dumps(value)}")
    return value


def _text(fields: Mapping[str, object], name: str, where: str) -> str:
    value = fields[name]
    if not isinstance(value, str) or not value:
        _refuse(f"{where}.{name} must be a JSON string that is not empty, not {json.dumps(value)}")
    return value


def _date(dates: Mapping[str, object], name: str) -> date:
    if name not in dates:
        _refuse(f"dateRange.{name} is required, as yyyy-MM-dd")
    value = dates[name]
    # fromisoformat alone also takes 20260101 and 2026-W01-1.
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    message = f"dateRange.{name} must be a date as yyyy-MM-dd, not {json.dumps(value)}"
    raise Refusal(400, "INVALID_REQUEST", message)


def _only(fields: Mapping[str, object], allowed: Iterable[str], where: str) -> None:
    for name in fields:
        if name not in allowed:
            _refuse(f"{where} has an unknown field {name!r}; there are {_listed(allowed)}")


def _one_of(field: str, value: str, allowed: Iterable[str]) -> None:
    if value not in allowed:
        _refuse(f"{field} {value!r} is unknown; there are {_listed(allowed)}")


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def _refuse(message: str) -> NoReturn:
    raise Refusal(400, "INVALID_REQUEST", message)
