"""Scenarios, one for each fault, report and call, and the tables of their outcomes. Runs nothing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sei_provider.sandbox.data.organisation import Organisation
from sei_provider.sandbox.faults.table import CALLS, EVERY_FAULT, REPORTS_OF, ExportFault, Fault

REPORTS = (
    *("productivity", "sprint", "business_alignment", "efficiency", "time_in_status"),
    *("team_report", "contributor_report", "dora_report"),
)
TEAMS = [team.id for team in Organisation(4).leaves]
"""A batch."""
STRUCK = TEAMS[1]
"""The team of it that the fault strikes."""
START, END = "2026-01-01", "2026-02-28"
OPTIONS = {"time_in_status": {"issueStatuses": ["In Progress", "Done"]}}
"""Options of the reports that need some."""
BEGINS, ENDS = "<!-- printed by make faults -->", "<!-- end of what make faults printed -->"
FIGURES = ("requests", "exports / scopes", "rows / expected")


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One batch of one report with one fault: once at each of these calls, or always; no calls for an export's own."""

    fault: str
    report: str
    calls: tuple[str, ...]
    once: bool

    @property
    def alone(self) -> bool:
        """True if the batch is one team: several exports of a report with a list are not asked about singly."""
        return self.calls == ("status",) and self.report in REPORTS_OF["list"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Outcome of a scenario: in words for the team with the fault, in numbers for the batch.

    `exports` the sandbox made for `scopes` (of a legacy report: so often it answered), `rows` are in the lake and
    `expected` were sent of what landed; `wrong` is what must not be so.
    """

    scenario: Scenario
    said: str
    requests: int
    exports: int
    scopes: int
    rows: int
    expected: int
    wrong: list[str] = field(default_factory=list)


def scenarios() -> list[Scenario]:
    """Return every fault with every report that it applies to, once and always."""
    return [scenario for fault in EVERY_FAULT.values() for report in REPORTS for scenario in _of(fault, report)]


def tables(outcomes: Sequence[Outcome]) -> str:
    """Two Markdown tables: what happened when it struck a team once, by report, and always, by call."""
    once = [outcome for outcome in outcomes if outcome.scenario.once]
    always = [outcome for outcome in outcomes if not outcome.scenario.once]
    by_report = _table(once, "report", lambda scenario: scenario.report)
    by_call = _table(always, "call", lambda scenario: scenario.calls[0] if scenario.calls else "its export")
    return f"### Once\n\n{by_report}\n\n### Always\n\n{by_call}"


def outcomes_in(text: str) -> dict[tuple[str, ...], str]:
    """Return the outcome column of the tables in a text, by the table's heading, fault and place."""
    found: dict[tuple[str, ...], str] = {}
    heading = ""
    for line in text.splitlines():
        if line.startswith("### "):
            heading = line[4:]
        elif line.startswith("| `"):
            fault, where, outcome, *_ = (cell.strip() for cell in line.strip("|").split("|"))
            found[heading, fault, where] = outcome
    return found


def printed_in(document: Path) -> str:
    """Return the text between the markers of a document."""
    return _between.search(document.read_text(encoding="utf-8"))[1]  # type: ignore[index]  # a test holds that


def write(document: Path, text: str) -> None:
    """Put a text between the markers of a document."""
    old = document.read_text(encoding="utf-8")
    document.write_text(_between.sub(lambda _: f"{BEGINS}\n\n{text}\n{ENDS}", old), encoding="utf-8")


def _table(outcomes: Sequence[Outcome], place: str, place_of: Callable[[Scenario], str]) -> str:
    """Return one row for each fault and place, with the sums of its scenarios."""
    rows: dict[tuple[str, str], list[Outcome]] = {}
    for outcome in outcomes:
        rows.setdefault((outcome.scenario.fault, place_of(outcome.scenario)), []).append(outcome)
    heads = ("fault", place, "outcome", *FIGURES)
    lines = [_line(heads), _line(["---"] * len(heads))]
    for (fault, where), some in rows.items():
        figures = (
            f"{sum(each.requests for each in some)}",
            f"{sum(each.exports for each in some)} / {sum(each.scopes for each in some)}",
            f"{sum(each.rows for each in some)} / {sum(each.expected for each in some)}",
        )
        lines.append(_line([f"`{fault}`", where, _joined(some), *figures]))
    return "\n".join(lines)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _joined(outcomes: Sequence[Outcome]) -> str:
    """Return the common outcome, or each outcome with its reports, or with the calls of the one report."""
    of_one_report = len({outcome.scenario.report for outcome in outcomes}) == 1
    by_said: dict[str, list[str]] = {}
    for outcome in outcomes:
        which = outcome.scenario.calls if of_one_report else (outcome.scenario.report,)
        by_said.setdefault(outcome.said, []).extend(which)
    if len(by_said) == 1:
        return next(iter(by_said))
    return "; ".join(f"{', '.join(which)}: {said}" for said, which in by_said.items())


_between = re.compile(f"{re.escape(BEGINS)}(.*?){re.escape(ENDS)}", re.DOTALL)


def _of(fault: Fault, report: str) -> Iterable[Scenario]:
    if report not in fault.reports:
        return
    if isinstance(fault, ExportFault):
        for once in (True, False):
            yield Scenario(fault=fault.name, report=report, calls=(), once=once)
        return
    calls = [call for call in CALLS if call in fault.calls and report in REPORTS_OF[call]]
    singly = [call for call in calls if Scenario(fault=fault.name, report=report, calls=(call,), once=True).alone]
    together = tuple(call for call in calls if call not in singly)
    for some in (together, tuple(singly)):
        if some:
            yield Scenario(fault=fault.name, report=report, calls=some, once=True)
    for call in calls:
        yield Scenario(fault=fault.name, report=report, calls=(call,), once=False)
