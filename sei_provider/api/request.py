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
from sei_provider.api.reports import REPORTS, Report
from sei_provider.api.validation import is_id, normalize_choice, normalize_choices, parse_day


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

        Raises `SeiInputError` for anything else (CONTRACT row 14: ids are str or int).
        """
        if isinstance(value, Scope):
            return value
        if isinstance(value, Mapping):
            unknown = set(value) - {"teamId", "orgTreeName"}
            team, tree = value.get("teamId"), value.get("orgTreeName")
            if not unknown and (is_id(team) or team is None) and (isinstance(tree, str) or tree is None):
                team_id = str(team).strip() if team is not None else None
                if team_id or tree:
                    return cls(team_id or None, tree or None)
        elif is_id(value) and str(value).strip():
            return cls(team_id=str(value).strip())
        msg = f"{value!r} is not a scope; a scope is a team id, or {{'teamId': …}}, {{'orgTreeName': …}} or both"
        raise SeiInputError(msg)

    @property
    def label(self) -> str:
        """Name of the scope in logs, errors and the lake: `team:456` or `org:Engineering`."""
        return f"team:{self.team_id}" if self.team_id else f"org:{self.org_tree}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """A validated request for one export: report, scope, inclusive date range, metrics and options.

    Names may be written in any case and become the documented spelling (CONTRACT rows 8, 10, 30).
    `start` and `end` are dates or `yyyy-MM-dd`, and are not widened (see `periods.whole_periods`).
    Without `metric_groups` and `metrics`, productivity and sprint request all documented groups, business
    alignment all work, and the legacy reports all metrics. `options` are further fields of the body's `options`.

    The legacy reports take one team and `metrics`, no groups. Their `granularity` is optional and then empty
    (CONTRACT row 19). Their only option is `{"includeRatings": True}`, of the contributor report.

    Raises `SeiInputError` for an unknown report, group, metric, level or granularity, an end before the
    start, a scope that the report does not take, or an option that it does not have.
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
        def put(name: str, value: object) -> None:
            object.__setattr__(self, name, value)

        report = REPORTS[normalize_choice("report", self.report, REPORTS)]
        put("report", report.name)
        put("scope", _validated_scope(report, Scope.parse(self.scope)))
        put("start", parse_day("start", self.start))
        put("end", parse_day("end", self.end))
        if self.start > self.end:
            msg = f"the {report.name} request ends ({self.end}) before it starts ({self.start}); both are inclusive"
            raise SeiInputError(msg)
        put("granularity", _validated_granularity(report, self.granularity))
        put("level", _validated_level(report, self.level))
        put("metric_groups", _validated_groups(report, self.metric_groups))
        put("metrics", self._validated_metrics(report))
        if report.takes_metrics and not (self.metric_groups or self.metrics or report.legacy):
            put("metric_groups", tuple(report.metric_groups))
        put("aggregation", _validated_aggregation(report, self.aggregation))
        put("computation_mode", _validated_mode(report, self.computation_mode))
        put("options", _validated_options(report, self.options))
        put("fingerprint", self._compute_fingerprint())

    def _validated_metrics(self, report: Report) -> tuple[str, ...]:
        if not self.metrics:
            return ()
        if not report.takes_metrics:
            msg = f"{report.name} takes no single metrics; use metric groups: {', '.join(report.metric_groups)}"
            raise SeiInputError(msg)
        kind = f"{self.level}-level metric" if self.level else "metric"
        return normalize_choices(kind, self.metrics, sorted(report.metrics(self.level)), report)

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
        if REPORTS[self.report].legacy:
            return _report_body(self)
        return _export_body(
            self, org_identifier=org_identifier, project_identifier=project_identifier, level_field=level_field
        )

    def _compute_fingerprint(self) -> str:
        asked = [
            self.report,
            self.scope.label,
            self.scope.org_tree,
            self.body(org_identifier="", project_identifier=""),
        ]
        try:
            text = json.dumps(asked, sort_keys=True)
        except TypeError as error:
            msg = f"options must hold JSON values (text, numbers, true or false, lists, mappings): {error}"
            raise SeiInputError(msg) from None
        return hashlib.sha256(text.encode()).hexdigest()[:20]


def _export_body(
    request: ExportRequest, *, org_identifier: str, project_identifier: str, level_field: str
) -> dict[str, Any]:
    """Return the body that creates an export; the arguments are those of `ExportRequest.body`."""
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


def _report_body(request: ExportRequest) -> dict[str, Any]:
    """Return the body of a legacy report, without the V2 fields that seed 002's first curl has (CONTRACT row 32)."""
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


def _validated_scope(report: Report, scope: Scope) -> Scope:
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
    if report.sends_team_ref and not re.fullmatch("[0-9]+", scope.team_id or ""):
        msg = f"a {report.name} needs a numeric team id, because SEI takes it as teamRefId; got {scope.team_id!r}"
        raise SeiInputError(msg)
    return scope


def _validated_granularity(report: Report, granularity: str | None) -> str:
    granularity = granularity or report.default_granularity
    return granularity and normalize_choice("granularity", granularity, report.granularities, report)


def _validated_groups(report: Report, groups: object) -> tuple[str, ...]:
    if report.legacy and groups:
        msg = f"{report.name} has no metric groups; name single metrics, or leave both out for all (got {groups!r})"
        raise SeiInputError(msg)
    return normalize_choices("metric group", groups, report.metric_groups, report)


def _validated_level(report: Report, level: str | None) -> str | None:
    if not report.levels:
        if level is not None:
            msg = f"{report.name} has no levels; leave level out (got {level!r})"
            raise SeiInputError(msg)
        return None
    return normalize_choice("level", level or report.default_level, report.levels, report)


def _validated_aggregation(report: Report, aggregation: str | None) -> str | None:
    if aggregation is None:
        return report.default_aggregation
    if report.default_aggregation is None:
        msg = f"{report.name} takes no aggregation; leave it out (got {aggregation!r})"
        raise SeiInputError(msg)
    return aggregation.strip().lower()


def _validated_mode(report: Report, mode: str | None) -> str | None:
    if mode is None:
        return None
    if not report.computation_modes:
        msg = f"{report.name} has no computation mode; leave it out (got {mode!r})"
        raise SeiInputError(msg)
    return normalize_choice("computation mode", mode, report.computation_modes, report)


_NAMED_OPTIONS = {
    "aggregation": "aggregation",
    "computationMode": "computation_mode",
    "metricLevel": "level",
    "aggregationLevel": "level",
    "granularity": "granularity",
    "format": None,
}


def _validated_options(report: Report, options: Mapping[str, Any] | None) -> Mapping[str, Any]:
    for name, value in (options or {}).items():
        if name in _NAMED_OPTIONS:
            instead = _NAMED_OPTIONS[name]
            hint = f"use the argument {instead}" if instead else "the format is always CSV"
            msg = f"options must not hold {name!r}: {hint}"
            raise SeiInputError(msg)
        if report.legacy and not (name in report.flags and isinstance(value, bool)):
            taken = ", ".join(f"{flag} (true or false)" for flag in report.flags) or "none"
            msg = f"{report.name} does not take the option {name!r} with {value!r}; it takes: {taken}"
            raise SeiInputError(msg)
    return MappingProxyType(dict(options or {}))
