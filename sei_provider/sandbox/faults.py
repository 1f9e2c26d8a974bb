"""What can go wrong on purpose: a table of faults, and which of them the next export gets.

A fault is asked for over `/_sandbox/faults` and chosen when an export is created. Knows nothing of HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One kind of trouble: how the export ends, or what its download holds."""

    final_status: Literal["completed", "failed", "cancelled", "archived", "processing"] = "completed"
    """Where the export ends up: `archived` is in no document, `processing` is never left."""
    download: Literal["whole", "header_only", "html", "zero_bytes", "truncated_gzip"] = "whole"
    """What is sent: `header_only` is a file without rows, the others replace the file on its way."""


NO_FAULT = Fault()

FAULTS = {
    "fail": Fault(final_status="failed"),
    "cancel": Fault(final_status="cancelled"),
    "unknown_status": Fault(final_status="archived"),
    "never": Fault(final_status="processing"),
    "header_only": Fault(download="header_only"),
    "html": Fault(download="html"),
    "zero_bytes": Fault(download="zero_bytes"),
    "truncated_gzip": Fault(download="truncated_gzip"),
}


@dataclass(slots=True)
class FaultPlan:
    """The faults asked for and not used up; the one asked for last counts."""

    _orders: list[_Order] = field(default_factory=list)

    def order(self, name: str, *, scope: str | None, report: str | None, times: int | None) -> None:
        """Have exports of a scope (team id or tree name; None for any) and report fail; `times` None is for ever."""
        self._orders.append(_Order(FAULTS[name], scope, report, times))

    def clear(self) -> None:
        """Forget all faults; exports that exist keep theirs."""
        self._orders.clear()

    def next_for(self, scope: str, report: str) -> Fault:
        """The fault that an export created now gets, which uses it up once."""
        for order in reversed(self._orders):
            if order.scope in {None, scope} and order.report in {None, report}:
                if order.times is not None:
                    order.times -= 1
                    if order.times == 0:
                        self._orders.remove(order)
                return order.fault
        return NO_FAULT


@dataclass(slots=True, eq=False)
class _Order:
    fault: Fault
    scope: str | None
    report: str | None
    times: int | None
