"""Bodies of the create calls (000, 001, 002, 003, CONTRACT 1a), one model per report, as strict as the documents.

Granularities, levels and modes are written out as the documents have them; metric groups are `api.reports`'s.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, Strict, model_validator

from sei_provider.api.reports import REPORTS
from sei_provider.sandbox.data.dialect import with_older_level
from sei_provider.sandbox.data.efficiency import EFFICIENCY_GROUPS, EFFICIENCY_METRICS
from sei_provider.sandbox.data.request import ExportRequest
from sei_provider.sandbox.http.errors import bad_request, not_found
from sei_provider.sandbox.http.validation import FIELD, Day, Names, StrictModel, Text, documented_names, expected, parse

if TYPE_CHECKING:
    from typing import Self

    from sei_provider.sandbox.data.organisation import Organisation, Team
    from sei_provider.sandbox.data.spec import ExportSpec


class DateRange(StrictModel):
    """The first and the last day, both inclusive."""

    days = ("start", "end")
    start: Day
    end: Day


class Scope(StrictModel):
    """A team, or an org tree, or (001) both."""

    needed = ("team_id", "org_tree_name")
    org_tree_name: Text = ""
    team_id: Text = ""


class ScopeOfOrg(Scope):
    """A team, or an org tree with its organisation (CONTRACT row 11)."""

    exclusive = ("team_id", "org_tree_name")
    org_identifier: Text = ""
    project_identifier: Text = ""

    @model_validator(mode="after")
    def _tree_of_org(self) -> Self:
        if self.org_tree_name and not self.org_identifier:
            msg = f"{FIELD}.orgIdentifier is required with {FIELD}.orgTreeName"
            raise ValueError(msg)
        return self


class Options(StrictModel):
    """The options of a create call."""

    granularity: str

    @property
    def level(self) -> str:
        """The level, by whichever of its two names; empty for a report without levels."""
        named = "aggregation_level" if "aggregation_level" in self.model_fields_set else "metric_level"
        return getattr(self, named, "")

    @property
    def calculation(self) -> str:
        """The aggregation, computation mode or terminal date; empty for a report with none of them."""
        named = ("aggregation", "computation_mode", "terminal_date_column")
        return next((getattr(self, name) for name in named if hasattr(self, name)), "")


class ProductivityOptions(Options):
    """Options of 001 and 002."""

    exclusive = ("metric_level", "aggregation_level")
    metric_level: Literal["developer", "team"] = "team"
    aggregation_level: Literal["developer", "team"] = "team"
    # What is calculated when the field is left out is documented nowhere: the example's value.
    aggregation: Literal["mean", "median", "p90", "p95"] = "mean"
    granularity: Literal["weekly", "monthly", "quarterly"]
    format: Literal["csv"] = "csv"


class SprintOptions(Options):
    """Options of 000."""

    computation_mode: Literal["STORY_POINTS", "TICKETS"] = "STORY_POINTS"
    metric_level: Literal["team", "sprint"] = "team"
    granularity: Literal["SPRINT", "WEEKLY", "MONTHLY", "QUARTERLY"]


class BusinessAlignmentOptions(Options):
    """Options of 003."""

    granularity: Literal["WEEKLY", "MONTHLY", "QUARTERLY"]


WorkCategories = Annotated[
    tuple[Literal["ALL", "BUGS", "FEATURES"], ...],
    Strict(False),
    Field(min_length=1),
    expected('a JSON array: ["ALL"], ["BUGS"], ["FEATURES"], or both of these'),
]


class EfficiencyOptions(Options):
    """Options of efficiency (CONTRACT 1a)."""

    granularity: Literal["WEEKLY", "MONTHLY", "QUARTERLY"]
    aggregation: Literal["mean", "median", "p90", "p95"] = "mean"
    format: Literal["csv"] = "csv"
    compression: Literal["gzip"] = "gzip"
    work_category_filter: WorkCategories = ("ALL",)

    @model_validator(mode="after")
    def _all_alone(self) -> Self:
        chosen = self.work_category_filter
        if len(set(chosen)) != len(chosen) or ("ALL" in chosen and len(chosen) > 1):
            msg = f"{FIELD}.workCategoryFilter takes ALL alone, or BUGS and FEATURES, each once"
            raise ValueError(msg)
        return self


class TimeInStatusOptions(Options):
    """Options of time in status (CONTRACT 1a)."""

    aggregation_level: Literal["team", "sprint"] = "team"
    granularity: Literal["daily", "weekly", "monthly", "quarterly"]
    terminal_date_column: Literal["issue_resolved_at", "version_release_date"] = "issue_resolved_at"


class ExportBody(StrictModel):
    """The fields that all create calls have."""

    report: ClassVar[str]
    scope: Scope
    date_range: DateRange
    options: Options

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        self.chosen()
        return self

    def chosen(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return groups, and metrics of groups and single names merged; neither, or empty lists, mean all (002)."""
        groups, level = REPORTS[self.report].metric_groups, self.options.level
        singles = getattr(self, "metrics", ()) or getattr(self, "metric", ())
        in_body: tuple[str, ...] = getattr(self, "metric_groups", ())
        available = [metric for by_level in groups.values() for metric in by_level[level]]
        at_level = f"metric of {self.report}" + (f" at level {level}" if level else "")
        in_groups = documented_names("metricGroups", in_body, groups, f"group of {self.report}")
        wanted = documented_names("metrics", singles, available, at_level)
        wanted |= {metric for group in in_groups for metric in groups[group][level]}
        nothing_named = not in_body and not singles
        return (
            tuple(group for group in groups if group in in_groups),
            tuple(metric for metric in available if metric in wanted or nothing_named),
        )


class ProductivityBody(ExportBody):
    """The body of 001 and 002."""

    report = "productivity"
    metric_groups: Names = ()
    metrics: Names = ()
    options: ProductivityOptions


class SprintBody(ExportBody):
    """The body of 000, which has `metric` in its example and `metrics` in its table (CONTRACT row 7)."""

    exclusive = ("metric", "metrics")
    report = "sprint"
    scope: ScopeOfOrg
    metric_groups: Names = ()
    metrics: Names = ()
    metric: Names = ()
    options: SprintOptions


class BusinessAlignmentBody(ExportBody):
    """The body of 003."""

    report = "business_alignment"
    scope: ScopeOfOrg
    metric_groups: Names = ()
    options: BusinessAlignmentOptions


class EfficiencyBody(ExportBody):
    """The body of efficiency (CONTRACT 1a): groups in both of their spellings, or metrics in mixed case."""

    exclusive = ("metric_groups", "metrics")
    needed = ("metric_groups", "metrics")
    report = "efficiency"
    scope: ScopeOfOrg
    metric_groups: Annotated[Names, Field(min_length=1)] = ()
    metrics: Annotated[Names, Field(min_length=1)] = ()
    options: EfficiencyOptions

    @model_validator(mode="after")
    def _filter_of_lead_time(self) -> Self:
        of_lead_time = "lttc" in self.metric_groups or any(name.startswith("LTTC_") for name in self.metrics)
        if "work_category_filter" in self.options.model_fields_set and not of_lead_time:
            msg = "options.workCategoryFilter is for the group lttc only"
            raise ValueError(msg)
        return self

    def chosen(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return groups as they are written, and their metrics or the single ones; each in its documented case."""
        for field, names, known in (
            ("metricGroups", self.metric_groups, EFFICIENCY_GROUPS),
            ("metrics", self.metrics, EFFICIENCY_METRICS),
        ):
            for name in names:
                if name not in known:
                    msg = f"{field}: {json.dumps(name)} is none of efficiency; there are {', '.join(known)}"
                    raise ValueError(msg)
        wanted = {*self.metrics, *(metric for group in self.metric_groups for metric in EFFICIENCY_GROUPS[group])}
        return self.metric_groups, tuple(metric for metric in EFFICIENCY_METRICS if metric in wanted)


Statuses = Annotated[
    tuple[Annotated[str, Strict(), Field(min_length=1)], ...],
    Strict(False),
    Field(min_length=1),
    expected("a JSON array of workflow statuses"),
]


class TimeInStatusBody(ExportBody):
    """The body of time in status (CONTRACT 1a)."""

    report = "time_in_status"
    scope: ScopeOfOrg
    issue_statuses: Statuses
    options: TimeInStatusOptions


_BODIES: dict[str, type[ExportBody]] = {
    body.report: body
    for body in (ProductivityBody, SprintBody, BusinessAlignmentBody, EfficiencyBody, TimeInStatusBody)
}


def read_export_body(
    spec: ExportSpec, raw: bytes, *, project: str, org: str, organisation: Organisation
) -> ExportRequest:
    """Return the request that a create call's body makes; `ApiError` with status 400, or 404 for no such team."""
    body = parse(_BODIES[spec.report], with_older_level(raw) if spec.older_level_field else raw)
    scope: dict[str, str] = body.scope.model_dump(by_alias=True, exclude_unset=True)
    for name, in_query in (("projectIdentifier", project), ("orgIdentifier", org)):
        if scope.get(name, in_query) != in_query:
            bad_request(f"scope.{name} {scope[name]!r} contradicts the query parameter {name} {in_query!r}")
    groups, metrics = body.chosen()
    return ExportRequest(
        spec=spec,
        project=project,
        org=org,
        scope=scope,
        team=_team(body.scope, organisation),
        start=body.date_range.start,
        end=body.date_range.end,
        metric_groups=groups,
        metrics=metrics,
        level=body.options.level,
        granularity=body.options.granularity,
        calculation=body.options.calculation,
        options=body.options.model_dump(by_alias=True, exclude_unset=True),
        filters=(*sorted(getattr(body.options, "work_category_filter", ())), *getattr(body, "issue_statuses", ())),
    )


def _team(scope: Scope, organisation: Organisation) -> Team:
    """Return the team named, or the tree's root; a team named with its tree must be of that tree."""
    tree = organisation.tree(scope.org_tree_name)
    if tree is None and scope.org_tree_name:
        not_found(f"Org tree not found: {scope.org_tree_name!r}")
    team = organisation.team(scope.team_id) if scope.team_id or tree is None else tree.root
    if team is None:
        not_found(f"Team not found: {scope.team_id!r}")
    if tree is not None and team not in tree.root.walk():
        not_found(f"Team not found: {scope.team_id!r} in org tree {scope.org_tree_name!r}")
    return team
