"""Rules that say which call or export gets which fault, and how often. Knows no HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from sei_provider.sandbox.faults.table import (
    EVERY_FAULT,
    NO_FAULT,
    REPORTS_OF,
    TRANSIENT_FAULTS,
    Call,
    CallFault,
    ExportFault,
    Fault,
    ReadFault,
)


@dataclass(slots=True, eq=False, kw_only=True)
class FaultRule:
    """A fault, and the calls that get it; None stands for any, or for always."""

    fault: Fault
    team: str | None = None
    """A team id or an org tree's name."""
    report: str | None = None
    call: str | None = None
    times: int | None = None
    """Number of times that it still applies."""


class FaultPlan:
    """The rules in force; of those that match a call, the newest counts. The others get a fault at random, if any."""

    def __init__(self, *, fault_rate: float | None = None, seed: int | None = None) -> None:
        self.rules: list[FaultRule] = []
        self._fault_rate = fault_rate or 0.0
        self._random = Random(seed)  # noqa: S311 - faults, and not a secret

    def clear(self) -> None:
        """Remove all rules, and the faults at random; exports that exist keep their faults."""
        self.rules.clear()
        self._fault_rate = 0.0

    def for_export(self, report: str, team: str) -> ExportFault:
        """Return the fault of an export, or of a legacy report, created now; this uses it up once."""
        fault = self._take(ExportFault, None, report, team)
        return fault if isinstance(fault, ExportFault) else NO_FAULT

    def for_call(self, call: str, report: str | None, team: str | None) -> CallFault | None:
        """Return the fault of a call made now, if any; this uses it up once."""
        fault = self._take(CallFault, call, report, team)
        if fault is None and self._random.random() < self._fault_rate:
            transient = [EVERY_FAULT[name] for name in TRANSIENT_FAULTS]
            fault = self._random.choice([each for each in transient if _affects(each, call, report)])
        return fault if isinstance(fault, CallFault) else None

    def for_read(self, *possible: str, call: str, report: str | None = None, team: str | None = None) -> str:
        """Return the name of the one of `possible` that a call gets, empty for none; this uses it up once."""
        fault = self._take(ReadFault, call, report, team, possible)
        return fault.name if fault is not None else ""

    def _take(
        self, kind: type[Fault], call: str | None, report: str | None, team: str | None, names: tuple[str, ...] = ()
    ) -> Fault | None:
        for rule in reversed(self.rules):
            if rule.call not in {None, call} or rule.report not in {None, report} or rule.team not in {None, team}:
                continue
            fault = rule.fault
            if not isinstance(fault, kind) or (names and fault.name not in names) or not _affects(fault, call, report):
                continue
            if rule.times is not None:
                rule.times -= 1
                if rule.times == 0:
                    self.rules.remove(rule)
            return fault
        return None


def _affects(fault: Fault, call: str | None, report: str | None) -> bool:
    return (call is None or call in fault.calls) and (report is None or report in fault.reports)


def contradiction(fault: Fault, team: str | None, report: str | None, call: Call | None) -> str | None:
    """Return why a rule for this fault could never match, or None if it could."""
    if report is not None and report not in fault.reports:
        of = f"calls for {', '.join(fault.reports)}" if fault.reports else "org trees, which belong to no report"
        return f"report {report!r}: {fault.name} affects {of}"
    if call is not None:
        if isinstance(fault, ExportFault):
            return f"call {call!r}: {fault.name} is chosen when an export is created and then stays; leave call out"
        if call not in fault.calls:
            return f"call {call!r}: {fault.name} affects {', '.join(fault.calls)}"
        of_call = REPORTS_OF[call]
        if report is not None and report not in of_call:
            return f"report {report!r}: the call {call!r} is for {', '.join(of_call) or 'no report'}"
    if team is not None and (call == "list" or not fault.of_team):
        return f"team {team!r}: {fault.name} affects lists, which belong to no team; leave team out"
    return None
