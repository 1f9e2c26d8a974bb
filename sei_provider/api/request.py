"""A scope, a request, and the request's JSON body: immutable, and validated before any call. Knows no transport.

Wrong values raise `SeiInputError`, which names the allowed ones.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Any

from sei_provider.api.errors import SeiInputError
from sei_provider.api.options import (
    check_option_names,
    names_manager_anywhere,
    normalize_options,
    place_options,
    refuse_manager,
)
from sei_provider.api.report import Report
from sei_provider.api.reports import REPORTS
from sei_provider.api.validation import (
    ID_RULE,
    YEARS,
    normalize_choice,
    normalize_choices,
    normalize_open_names,
    parse_day,
    quoted,
    team_id,
)

LEVEL_FIELDS = ("metricLevel", "aggregationLevel")
"""The two names of the level in a request's body; clusters pass over the one that they do not know (CONTRACT row 9)."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The scope of a request: a team with its child teams, an org tree, or (productivity only) a team within its tree.

    `team_id` is the team's id as text, `org_tree` the tree's name.
    """

    team_id: str | None = None
    org_tree: str | None = None

    @classmethod
    def parse(cls, value: object) -> Scope:
        """Parse a scope as users write it: a team id (str or int), or a mapping with `teamId`, `orgTreeName` or both.

        Spaces around an id are dropped. Raises `SeiInputError` for anything else (CONTRACT row 14: ids are str or int),
        also for text that is no id, such as a list written as text, and for a key without a value: a team that is
        not there must not become the whole tree.
        """
        if isinstance(value, Scope):
            return value
        if names_manager_anywhere(value):
            raise refuse_manager()
        fields = value if isinstance(value, Mapping) else {"teamId": value}
        team = team_id(fields.get("teamId"))
        tree: Any = fields.get("orgTreeName")
        if (
            fields
            and set(fields) <= {"teamId", "orgTreeName"}
            and (team or "teamId" not in fields)
            and ("orgTreeName" not in fields or (isinstance(tree, str) and tree.strip() and tree.isprintable()))
        ):
            return cls(team, tree and str.__str__(tree))  # a member of an enumeration becomes its text
        msg = (
            f"{quoted(value)} is not a scope; a scope is a team id, or {{'teamId': …}}, {{'orgTreeName': …}} or "
            f"both, and {ID_RULE}. Several teams are a list of ids, not a text; if a template gives the text, set "
            "render_template_as_native_obj=True on the DAG"
        )
        raise SeiInputError(msg)

    @property
    def value(self) -> str | dict[str, str]:
        """The scope as `parse` takes it, as a JSON value: a team's id, or a mapping."""
        if self.team_id and not self.org_tree:
            return self.team_id
        fields = {"teamId": self.team_id, "orgTreeName": self.org_tree}
        return {name: value for name, value in fields.items() if value}

    @property
    def label(self) -> str:
        """Name of the scope in logs, errors and the lake: `team:456` or `org:Engineering`."""
        return f"team:{self.team_id}" if self.team_id else f"org:{self.org_tree}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """A validated request for one export: report, scope, inclusive date range, metrics and options.

    Names may be written in any case and become the documented spelling (CONTRACT rows 8, 10, 30).
    `start` and `end` are dates or `yyyy-MM-dd`, and are not widened (see `periods.whole_periods`).
    Without `metric_groups` and `metrics`, productivity and sprint request all documented groups, efficiency `lttc`,
    `df`, `mttr`, `cfr` and `summary`, business alignment all work, and the legacy reports all metrics. Efficiency takes
    groups, in both of their spellings, or metrics, not both (CONTRACT 1a).

    `options` are further documented members of the body by their names, wherever the body has them:
    `workCategoryFilter` and `compression` (efficiency), `issueStatuses`, which it needs, and `terminalDateColumn` (time
    in status), `includeRatings` (contributor report), `calculationType` (DORA report). For productivity, sprint and
    business alignment they are further fields of the body's `options`, sent as they are.

    The legacy reports take one team and `metrics`, no groups. Their `granularity` is optional and then empty
    (CONTRACT row 19).

    Raises `SeiInputError` for an unknown report, group, metric, level or granularity, an end before the
    start, days beyond the years 1900 to 2999, a scope that the report does not take, or an option that it does not
    have.
    """

    report: str
    scope: Scope
    start: date
    end: date
    metric_groups: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()
    level: str | None = None
    granularity: str = ""
    aggregation: str | None = None
    computation_mode: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    fingerprint: str = field(init=False, repr=False, compare=False)
    """A hash of the request, 20 hex digits: equal requests have equal fingerprints on every machine, in every version.

    Task state and manifests are stored under it.
    """

    def __post_init__(self) -> None:
        report = REPORTS[normalize_choice("report", self.report, REPORTS)]
        scope = Scope.parse(self.scope)
        _check_scope(report, scope)
        _check_taken(report, self)
        start, end = parse_day("start", self.start), parse_day("end", self.end)
        if start > end:
            msg = f"the {report.name} request ends ({end}) before it starts ({start}); both are inclusive"
            raise SeiInputError(msg)
        if start.year not in YEARS or not (report.widens or end.year in YEARS):  # others end on the day of the run
            msg = f"start and end must lie in the years {YEARS[0]} to {YEARS[-1]}, not {start} to {end}"
            raise SeiInputError(msg)
        level = mode = None
        if report.levels:
            level = report.default_level if self.level in (None, "") else self.level
            level = normalize_choice("level", level, report.levels, report)
        granularity = self.granularity
        if granularity in (None, ""):
            granularity = report.level_granularities.get(level or "", report.default_granularity)
        if granularity != "":
            granularity = normalize_choice("granularity", granularity, report.granularities, report)
        if self.computation_mode is not None:
            mode = normalize_choice("computation mode", self.computation_mode, report.computation_modes, report)
        groups = normalize_choices("metric group", self.metric_groups, report.metric_groups, report)
        metrics: tuple[str, ...] = ()
        if self.metrics and report.open_metrics:
            metrics = normalize_open_names("metric", self.metrics, report.metrics(level), report)
        elif self.metrics:
            kind = f"{level}-level metric" if level else "metric"
            metrics = normalize_choices(kind, self.metrics, sorted(report.metrics(level)), report)
        elif report.takes_metrics and not (groups or report.legacy):
            groups = report.default_groups or tuple(report.metric_groups)
        normalized = {
            "report": report.name,
            "scope": scope,
            "start": start,
            "end": end,
            "granularity": granularity,
            "level": level,
            "metric_groups": groups,
            "metrics": metrics,
            "aggregation": _aggregation(report, self.aggregation),
            "computation_mode": mode,
            "options": MappingProxyType(normalize_options(report, self.options, groups, metrics)),
        }
        for name, value in normalized.items():
            object.__setattr__(self, name, value)
        object.__setattr__(self, "fingerprint", self._compute_fingerprint())

    @property
    def description(self) -> str:
        """Name of the request in logs and errors: `productivity export of team:456, 2026-01-01 to 2026-01-31`."""
        kind = self.report if REPORTS[self.report].legacy else f"{self.report} export"
        return f"{kind} of {self.scope.label}, {self.start} to {self.end}"

    def body(self, *, org_identifier: str, project_identifier: str, level_field: str = "metricLevel") -> dict[str, Any]:
        """Return the JSON body of the create call, or of a legacy report's only call.

        `org_identifier` and `project_identifier` go into the scope beside an org tree, for the reports whose documents
        want them there (CONTRACT rows 11, 31). `level_field` is the body's name for the level (row 9).
        """
        report = REPORTS[self.report]
        if report.legacy:
            return _report_body(self)
        scope: dict[str, str] = {}
        if self.scope.org_tree:
            scope["orgTreeName"] = self.scope.org_tree
            if not report.team_and_tree:
                scope |= {"orgIdentifier": org_identifier, "projectIdentifier": project_identifier}
        if self.scope.team_id:
            scope["teamId"] = self.scope.team_id
        options: dict[str, Any] = {
            "aggregation": self.aggregation,
            "computationMode": self.computation_mode,
            report.level_field or level_field: self.level,
            "granularity": self.granularity,
            "format": "csv" if report.sends_format else None,
        }
        body: dict[str, Any] = {
            "scope": scope,
            "dateRange": {"start": self.start.isoformat(), "end": self.end.isoformat()},
            "options": {name: value for name, value in options.items() if value is not None}
            | place_options(report, self.options, "options"),
            **place_options(report, self.options, "body"),
        }
        if self.metric_groups:
            body["metricGroups"] = list(self.metric_groups)
        if self.metrics:
            body["metrics"] = list(self.metrics)  # not "metric", as one example has it (CONTRACT row 7)
        return body

    def _compute_fingerprint(self) -> str:
        asked = [
            self.report,
            self.scope.label,
            self.scope.org_tree,
            self.body(org_identifier="", project_identifier=""),
        ]
        try:
            text = json.dumps(asked, sort_keys=True, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            msg = f"options must hold JSON values (text, numbers, true or false, lists, mappings): {error}"
            raise SeiInputError(msg) from None
        return hashlib.sha256(text.encode()).hexdigest()[:20]


def _report_body(request: ExportRequest) -> dict[str, Any]:
    """Return the body of a legacy report, without the V2 fields that seed 002's first curl has (CONTRACT row 32)."""
    report = REPORTS[request.report]
    team_id = request.scope.team_id or ""
    body: dict[str, Any] = {
        "collectionId": team_id,  # text here, a number below: one team, as documented (row 14)
        "dateStart": request.start.isoformat(),
        "dateEnd": request.end.isoformat(),
        **place_options(report, request.options, "body"),
    }
    if report.sends_team_ref:
        body["teamRefId"] = int(team_id)
    if request.granularity:
        body["granularity"] = request.granularity
    (holder,) = report.metric_groups
    body[holder] = {  # an empty list of metrics asks for all (row 19)
        "metrics": list(request.metrics),
        **place_options(report, request.options, "metrics"),
    }
    return body


def _check_scope(report: Report, scope: Scope) -> None:
    """Raise `SeiInputError` for a scope that the report does not take."""
    if scope.team_id and scope.org_tree and not report.team_and_tree:
        msg = (
            f"a {report.name} scope is a team or an org tree, not both; "
            f"got team {scope.team_id!r} and tree {scope.org_tree!r}"
        )
        raise SeiInputError(msg)
    if not scope.team_id and not scope.org_tree:
        msg = f"a {report.name} scope needs a team id or an org tree name; got neither"
        raise SeiInputError(msg)
    if report.legacy and scope.org_tree:
        msg = f"a {report.name} is for one team with its child teams, not for an org tree; got {scope.org_tree!r}"
        raise SeiInputError(msg)
    if report.sends_team_ref and not re.fullmatch("0|[1-9][0-9]*", scope.team_id or ""):
        msg = f"a {report.name} needs a numeric team id, because SEI takes it as teamRefId; got {scope.team_id!r}"
        raise SeiInputError(msg)


def _aggregation(report: Report, asked: object) -> str | None:
    if asked is None:
        return report.default_aggregation
    if report.aggregations:
        return normalize_choice("aggregation", asked, report.aggregations, report)
    if isinstance(asked, str) and asked.strip():
        return asked.strip().lower()
    msg = f"aggregation must be text, such as mean, not {quoted(asked)}"
    raise SeiInputError(msg)


def _check_taken(report: Report, request: ExportRequest) -> None:
    """Raise `SeiInputError` for an argument or an option that the report does not take."""
    check_option_names(report, request.options)
    if report.legacy and request.metric_groups:
        got = request.metric_groups
        msg = f"{report.name} has no metric groups; name single metrics, or leave both out for all (got {got!r})"
        raise SeiInputError(msg)
    if (request.metrics or request.metric_groups) and not report.metric_groups:
        msg = f"{report.name} has neither metric groups nor metrics; leave both out"
        raise SeiInputError(msg)
    if request.metrics and not report.takes_metrics:
        msg = f"{report.name} takes no single metrics; use metric groups: {', '.join(report.metric_groups)}"
        raise SeiInputError(msg)
    if request.metrics and request.metric_groups and report.groups_or_metrics:
        msg = (
            f"{report.name} takes metric groups or single metrics, not both: "
            f"got the groups {quoted(request.metric_groups)} and the metrics {quoted(request.metrics)}"
        )
        raise SeiInputError(msg)
    if request.level is not None and not report.levels:
        msg = f"{report.name} has no levels; leave level out (got {request.level!r})"
        raise SeiInputError(msg)
    if request.aggregation is not None and not report.takes_aggregation:
        msg = f"{report.name} takes no aggregation; leave it out (got {request.aggregation!r})"
        raise SeiInputError(msg)
    if request.computation_mode is not None and not report.computation_modes:
        msg = f"{report.name} has no computation mode; leave it out (got {request.computation_mode!r})"
        raise SeiInputError(msg)
