"""Which call or export gets which fault: what was ordered over `/_sandbox/faults`, and how often. Knows no HTTP."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING

from sei_provider.sandbox.checks import refuse
from sei_provider.sandbox.faults import (
    CALLS,
    EVERY_FAULT,
    NO_FAULT,
    REPORTS_OF,
    WEATHER,
    CallFault,
    ExportFault,
    Fault,
    ReadFault,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

ORDER_FIELDS = {"fault", "team", "report", "call", "times", "probability", "seed"}


class FaultPlan:
    """The faults ordered and not used up; of those that fit, the one ordered last counts."""

    def __init__(self, *, weather: float | None = None, seed: int | None = None) -> None:
        self.orders: list[Order] = []
        if weather is not None:
            if not 0 < weather <= 1:
                msg = f"weather is the probability of a fault per call: above 0 and at most 1, not {weather}"
                raise ValueError(msg)
            self.orders.append(Order(faults=tuple(EVERY_FAULT[name] for name in WEATHER), chance=weather, seed=seed))

    def clear(self) -> None:
        """Forget all faults, the weather too; exports that exist keep theirs."""
        self.orders.clear()

    def at_creation(self, report: str, team: str) -> ExportFault:
        """The fault that an export created now, or a legacy report, gets, which uses it up once."""
        fault = self._take(ExportFault, None, report, team)
        return fault if isinstance(fault, ExportFault) else NO_FAULT

    def at_call(self, call: str, report: str | None, team: str | None) -> CallFault | None:
        """The fault that a call made now gets, if any, which uses it up once."""
        fault = self._take(CallFault, call, report, team)
        return fault if isinstance(fault, CallFault) else None

    def at_read(self, *possible: str, call: str, report: str | None = None, team: str | None = None) -> str:
        """The name of the one of `possible` that a call gets, which uses it up once; empty for none."""
        fault = self._take(ReadFault, call, report, team, possible)
        return fault.name if fault is not None else ""

    def _take(
        self, kind: type[Fault], call: str | None, report: str | None, team: str | None, names: tuple[str, ...] = ()
    ) -> Fault | None:
        for order in reversed(self.orders):
            if order.call not in {None, call} or order.report not in {None, report} or order.team not in {None, team}:
                continue
            possible = [
                fault
                for fault in order.faults
                if isinstance(fault, kind)
                and (not names or fault.name in names)
                and (call is None or call in fault.calls)
                and (report is None or report in fault.reports)
            ]
            if possible and order.happens():
                if order.times is not None:
                    order.times -= 1
                    if order.times == 0:
                        self.orders.remove(order)
                return order.random.choice(possible)
        return None


@dataclass(slots=True, eq=False, kw_only=True)
class Order:
    """One or more faults to choose from, and what they shall befall; None stands for any, or for always."""

    faults: tuple[Fault, ...]
    team: str | None = None
    """A team id or an org tree's name."""
    report: str | None = None
    call: str | None = None
    times: int | None = None
    """How often it happens yet."""
    chance: float | None = None
    """How probable it is each time that it could happen, 0 to 1."""
    seed: int | None = None
    random: Random = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.random = Random(self.seed)  # noqa: S311 - the weather, and not a secret

    def happens(self) -> bool:
        """Whether it happens this time."""
        return self.chance is None or self.random.random() < self.chance


def read_order(body: Mapping[str, object]) -> Order:
    """The order that a request's JSON makes; raises `Refusal` with status 400 for one that could never be met."""
    fault = EVERY_FAULT.get(str(body.get("fault")))
    if fault is None:
        refuse(f"fault {body.get('fault')!r} is unknown; there are {', '.join(EVERY_FAULT)}")
    team, report, call = (None if body.get(name) is None else str(body[name]) for name in ("team", "report", "call"))
    _check_report(fault, report)
    _check_call(fault, call, report)
    if team is not None and (call == "list" or not fault.of_team):
        refuse(f"team {team!r}: {fault.name} befalls lists, which belong to no team; leave team out")
    chance, seed = _chance(body.get("probability"), body.get("seed"))
    return Order(
        faults=(fault,), team=team, report=report, call=call, times=_times(body.get("times")), chance=chance, seed=seed
    )


def _check_report(fault: Fault, report: str | None) -> None:
    every = tuple(dict.fromkeys(name for names in REPORTS_OF.values() for name in names))
    if report is None or report in fault.reports:
        return
    if report not in every:
        refuse(f"report {report!r} is unknown; there are {', '.join(every)}")
    of = f"calls for {', '.join(fault.reports)}" if fault.reports else "org trees, which belong to no report"
    refuse(f"report {report!r}: {fault.name} befalls {of}")


def _check_call(fault: Fault, call: str | None, report: str | None) -> None:
    if call is None:
        return
    if call not in CALLS:
        refuse(f"call {call!r} is unknown; there are {', '.join(CALLS)}")
    if isinstance(fault, ExportFault):
        refuse(f"call {call!r}: {fault.name} is chosen when an export is created and then stays; leave call out")
    if call not in fault.calls:
        refuse(f"call {call!r}: {fault.name} befalls {', '.join(fault.calls)}")
    of = REPORTS_OF[call]
    if report is not None and report not in of:
        refuse(f"report {report!r}: the call {call!r} is for {', '.join(of) or 'no report'}")


def _times(times: object) -> int | None:
    if times is not None and (not isinstance(times, int) or times < 1):
        refuse(f"times must be a whole number from 1, or null for always, not {times!r}")
    return times


def _chance(probability: object, seed: object) -> tuple[float | None, int | None]:
    if probability is None:
        if seed is not None:
            refuse("seed goes with a probability, and there is none")
        return None, None
    if not isinstance(probability, int | float) or not 0 <= probability <= 1:
        refuse(f"probability must be a number from 0 to 1, not {probability!r}")
    if seed is not None and not isinstance(seed, int):
        refuse(f"seed must be a whole number, not {seed!r}")
    return probability, seed
