"""Bodies of the legacy reports (002, CONTRACT 1a), one model for each of the three, as strict as the document."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from sei_provider.sandbox.data.request import ReportRequest
from sei_provider.sandbox.data.spec import CONTRIBUTOR_REPORT, DORA_REPORT, TEAM_REPORT, LegacySpec
from sei_provider.sandbox.http.errors import bad_request, not_found
from sei_provider.sandbox.http.validation import (
    Day,
    Flag,
    Names,
    StrictModel,
    Text,
    documented_names,
    expected,
    parse,
)

if TYPE_CHECKING:
    from typing import Self

    from sei_provider.sandbox.data.organisation import Organisation


class MetricsConfig(StrictModel):
    """The metrics asked for; an empty list, or none, means all (CONTRACT row 19)."""

    metrics: Names = ()


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


class LegacyBody(StrictModel):
    """The fields that both bodies have."""

    days = ("date_start", "date_end")
    needed = ("collection_id", "team_ref_id")
    spec: ClassVar[LegacySpec]
    config: MetricsConfig
    collection_id: Text = ""
    team_ref_id: Annotated[int, expected("a JSON number")] = 0
    date_start: Day
    date_end: Day
    # In any case, since 002 itself writes `weekly` and `WEEKLY`; required in its tables, left out in its curls.
    granularity: Annotated[Literal["daily", "weekly", "monthly"], BeforeValidator(_lower)] = "weekly"

    @model_validator(mode="after")
    def _one_team(self) -> Self:
        if self.model_fields_set.issuperset(self.needed) and self.collection_id != str(self.team_ref_id):
            msg = f"collectionId {self.collection_id!r} and teamRefId {self.team_ref_id} must be the same team"
            raise ValueError(msg)
        self.metrics()
        return self

    @property
    def team_id(self) -> str:
        """The team's id: a string and a number are the same (CONTRACT rows 14, 32)."""
        return self.collection_id or str(self.team_ref_id)

    def metrics(self) -> tuple[str, ...]:
        """Return the metrics asked for, in the order of their columns."""
        field, headings = self.spec.metrics_field, self.spec.headings
        wanted = documented_names(f"{field}.metrics", self.config.metrics, headings, f"metric of {field}")
        return tuple(metric for metric in headings if metric in wanted or not wanted)


class TeamReportBody(LegacyBody):
    """ExportRequestDTO."""

    spec = TEAM_REPORT
    config: MetricsConfig = Field(MetricsConfig(), alias="productivity")
    metric_groups: Any = None
    """A V2 field of 002's own curl, which means nothing here, as do the options (CONTRACT row 32)."""
    options: Any = None


class EfficiencyConfig(MetricsConfig):
    """The metrics of a DORA report, and how they are calculated (CONTRACT 1a)."""

    calculation_type: Literal["MEAN", "MEDIAN", "P90", "P95"] = "MEAN"


class DoraReportBody(LegacyBody):
    """ExportRequestDTO with its other field."""

    spec = DORA_REPORT
    config: EfficiencyConfig = Field(alias="efficiency")


class ContributorReportBody(LegacyBody):
    """ContributorExportRequestDTO."""

    spec = CONTRIBUTOR_REPORT
    config: MetricsConfig = Field(alias="productivityContributors")
    include_ratings: Flag = False


def read_legacy_body(raw: bytes, organisation: Organisation) -> ReportRequest:
    """Return the request that a legacy call's body makes; `ApiError` with status 400, or 404 for no such team."""
    body = _parse(raw)
    team = organisation.team(body.team_id)
    if team is None:
        not_found(f"Team not found: {body.team_id!r}")
    return ReportRequest(
        spec=body.spec,
        team=team,
        start=body.date_start,
        end=body.date_end,
        metrics=body.metrics(),
        granularity=body.granularity,
        include_ratings=isinstance(body, ContributorReportBody) and body.include_ratings,
        calculation=body.config.calculation_type if isinstance(body, DoraReportBody) else "",
    )


def _parse(raw: bytes) -> LegacyBody:
    """Tell the two bodies apart by the field with the metrics, which a team report may leave out (CONTRACT row 19)."""
    names: set[object] = set()
    with suppress(ValueError, TypeError, RecursionError):
        names = set(json.loads(raw))
    bodies: tuple[type[LegacyBody], ...] = (TeamReportBody, ContributorReportBody, DoraReportBody)
    named = [body for body in bodies if body.spec.metrics_field in names]
    if len(named) > 1:
        bad_request(f"the body takes either {' or '.join(body.spec.metrics_field for body in named)}, not both")
    model = named[0] if named else TeamReportBody
    return parse(model, raw, f"the body ({model.spec.dto})")
