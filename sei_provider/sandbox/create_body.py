"""The body of a create call, read as strictly as the documents are written.

Turns JSON into an `ExportRequest`, or raises a `Refusal` that names the field, what it held, and what it may hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sei_provider.api.reports import REPORTS
from sei_provider.sandbox.checks import (
    date_field,
    json_object,
    known_names,
    object_field,
    one_of,
    only,
    refuse,
    text_field,
)
from sei_provider.sandbox.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date

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
    def scope_name(self) -> str:
        """The team id, or the org tree's name, by which a fault is ordered for this scope."""
        return self.scope.get("teamId") or self.scope["orgTreeName"]

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
    body = json_object(raw)
    only(body, document.body_fields, "the body")
    scope, team = _scope(document, object_field(body, "scope"), project, org, organisation)
    dates = object_field(body, "dateRange")
    only(dates, ("start", "end"), "dateRange")
    start, end = date_field(dates, "start", "dateRange"), date_field(dates, "end", "dateRange")
    if start > end:
        refuse(f"dateRange.start {start} is after dateRange.end {end}")
    options = object_field(body, "options")
    only(options, document.option_fields, "options")
    chosen = {name: text_field(options, name, "options") for name in options}
    granularity = chosen.get("granularity")
    if granularity is None:
        refuse(f"options.granularity is required: {', '.join(report.granularities)}")
    one_of("options.granularity", granularity, report.granularities)
    level = _level(document, chosen, report.levels, report.default_level)
    calculation = _calculation(document, chosen, report.computation_modes)
    one_of("options.format", chosen.get("format", "csv"), ("csv",))
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
    only(scope, document.scope_fields, "scope")
    asked = {name: text_field(scope, name, "scope") for name in scope}
    team_id, tree_name = asked.get("teamId"), asked.get("orgTreeName")
    if team_id is None and tree_name is None:
        refuse("scope needs teamId or orgTreeName, and has neither")
    if team_id is not None and tree_name is not None and not document.team_and_tree:
        refuse("scope takes either teamId or orgTreeName, not both")
    if tree_name is not None and not document.team_and_tree and "orgIdentifier" not in asked:
        refuse("scope.orgIdentifier is required with scope.orgTreeName")
    for name, in_query in (("projectIdentifier", project), ("orgIdentifier", org)):
        if asked.get(name, in_query) != in_query:
            refuse(f"scope.{name} {asked[name]!r} contradicts the query parameter {name} {in_query!r}")
    return asked, _team(team_id, tree_name, organisation)


def _team(team_id: str | None, tree_name: str | None, organisation: Organisation) -> Team:
    """The team named, else the tree's root; a team and its tree together are the team, if it is of that tree."""
    tree = organisation.tree(tree_name) if tree_name is not None else None
    if tree_name is not None and tree is None:
        raise Refusal(404, "RESOURCE_NOT_FOUND", f"Org tree not found: {tree_name!r}")
    team = organisation.team(team_id) if team_id is not None else tree.root if tree is not None else None
    if team is None:
        raise Refusal(404, "RESOURCE_NOT_FOUND", f"Team not found: {team_id!r}")
    if tree is not None and team not in tree.root.walk():
        raise Refusal(404, "RESOURCE_NOT_FOUND", f"Team not found: {team_id!r} in org tree {tree_name!r}")
    return team


def _level(document: Document, chosen: Mapping[str, str], levels: tuple[str, ...], default: str | None) -> str:
    named = [field for field in document.level_fields if field in chosen]
    if len(named) > 1:
        refuse(f"options takes either {' or '.join(named)}, not both")
    if not named:
        return default or ""
    one_of(f"options.{named[0]}", chosen[named[0]], levels)
    return chosen[named[0]]


def _calculation(document: Document, chosen: Mapping[str, str], modes: tuple[str, ...]) -> str:
    for field, allowed in (("aggregation", document.aggregations), ("computationMode", modes)):
        if allowed:
            # What is calculated when the field is left out is documented nowhere: the example's value.
            value = chosen.get(field, allowed[0])
            one_of(f"options.{field}", value, allowed)
            return value
    return ""


def _metrics(document: Document, body: Mapping[str, object], level: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Groups and single metrics merged; neither, or empty lists, mean all (002)."""
    report = REPORTS[document.report]
    if "metric" in body and "metrics" in body:
        refuse("the body takes either metric or metrics, not both (000 has one in its example, one in its table)")
    groups = known_names(body, "metricGroups", report.metric_groups, f"group of {report.name}")
    single_field = "metric" if "metric" in body else "metrics"
    available = [metric for by_level in report.metric_groups.values() for metric in by_level[level]]
    at_level = f"metric of {report.name}" + (f" at level {level}" if level else "")
    singles = known_names(body, single_field, available, at_level)
    if not groups and not singles:
        return (), tuple(available)
    wanted = singles | {metric for group in groups for metric in report.metric_groups[group][level]}
    return (
        tuple(group for group in report.metric_groups if group in groups),
        tuple(metric for metric in available if metric in wanted),
    )
