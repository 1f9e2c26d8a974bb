"""A probe's text holds nothing of the customer's, whatever SEI answers: it can be attached to a public issue."""

from __future__ import annotations

import time
from random import Random

import pytest
from hypothesis import Phase, event, given, settings
from hypothesis import strategies as st

from sei_provider.api import SeiClient, SeiError
from sei_provider.cli.probe import report_text
from sei_provider.cli.shapes import header_shape, label_shape
from sei_provider.cli.survey import Survey
from tests.cli.planted_sei import PlantedSei, name
from tests.cli.probe import TODAY
from tests.examples import examples

_PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""Without shrinking: a smaller seed is no smaller case."""
CALLS = ("productivity", "sprints", "ba", "reports", "org-trees", "efficiency", "ticket-data")
"""Parts of paths, by which a report or the org trees are refused."""


@given(
    seed=st.integers(0, 2**64),
    style=st.sampled_from(["documented", "other", "planted", "none"]),
    refused=st.sets(st.sampled_from(CALLS), max_size=2),
    from_root=st.booleans(),
    team=st.sampled_from([None, "9999991"]),
)
@settings(max_examples=examples(15), deadline=None, phases=_PHASES)
def test_issue_17_nothing_planted_appears_in_the_text_of_a_probe(
    seed: int, style: str, refused: set[str], from_root: bool, team: str | None
) -> None:
    sei = PlantedSei(Random(seed), header_style=style, refused=refused, from_root=from_root)  # noqa: S311 - test data
    client = SeiClient(
        base_url=sei.host,
        api_key="zqkey-0123456789",
        account_identifier="zqaccount",
        requests_per_minute=10_000_000,
        transport=sei.transport,
        **sei.names,
    )
    with client:
        survey = Survey(client, names=sei.names, today=TODAY, deadline=time.time() + 600)
        try:
            survey.find_team(team)
        except SeiError:  # no tree could be read, and no team is named
            event("no team")
            return
        survey.ask_everything()
    text = report_text(survey)
    event(f"{sum(bool(sample.rows) for sample in survey.samples) // 3 * 3} files and more had rows")
    shown = text.casefold()
    assert [each for each in sorted(sei.planted) if each.casefold() in shown] == []
    assert "9999991" not in text


@given(
    st.integers(0, 2**64).map(lambda seed: name(Random(seed))),  # noqa: S311 - test data
    st.sampled_from(["business_alignment", "productivity", "time_in_status", "sprint", "team_report"]),
)
@settings(max_examples=examples(200), deadline=None)
def test_issue_17_a_name_is_in_no_shape_of_a_label_or_header(planted: str, report: str) -> None:
    for shape in (
        label_shape(planted),
        header_shape(planted, report, []),
        header_shape(f"{planted}_tickets", report, []),
    ):
        assert "zq" not in shape.casefold()
        assert not any(char in shape for char in '|`\n*"')


@pytest.mark.parametrize(
    ("header", "report", "shape"),
    [
        ("Quality_tickets", "business_alignment", "<category>_tickets"),
        ("Bugs_Story_Points", "business_alignment", "<category>_Story_Points"),
        ("Done_hours", "time_in_status", "<status>_hours"),
        ("Release Team", "business_alignment", "<Aa Aa>"),
        ("Team_Hierarchy", "business_alignment", "Team_Hierarchy"),
        ("team_hierarchy", "time_in_status", "team_hierarchy"),
        ("total_lead_time_hours", "time_in_status", "total_lead_time_hours"),
        ("Lead Time for Changes (mean)", "team_report", "Lead Time for Changes (mean)"),
        ("Coding Days Rating", "contributor_report", "Coding Days Rating"),
        ("PR_Merged", "productivity", "PR_Merged"),
        ("Squad Path", "productivity", "Squad Path"),
        ("", "productivity", "<>"),
    ],
)
def test_issue_17_words_of_documents_are_told_and_categories_and_statuses_are_not(
    header: str, report: str, shape: str
) -> None:
    assert header_shape(header, report, ["PR_MERGED"]) == shape


@pytest.mark.parametrize(
    ("label", "shape"),
    [
        ("Jan 2026", "Mon yyyy"),
        ("January 2026", "Month yyyy"),
        ("Week of 2026-01-05", "Week of yyyy-MM-dd"),
        ("Q1 2026", "Q9 yyyy"),
        ("2026-W03", "yyyy-W9"),
        ("2026-01-05 - 2026-01-11", "yyyy-MM-dd - yyyy-MM-dd"),
        ("05/01/2026", "9/9/yyyy"),
        ("Sprint Falcon 12", "Sprint Aa 9"),
        ("12345678", "9"),
    ],
)
def test_issue_17_a_label_is_told_by_its_shape(label: str, shape: str) -> None:
    assert label_shape(label) == shape
