"""What can go wrong on purpose: a table of faults, and which of them the next call gets.

A fault is asked for over `/_sandbox/faults` and chosen when an export is created or a list, a tree or a legacy report
is asked for. Knows nothing of HTTP.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Container


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One kind of trouble with an export or a legacy report: how it ends, or what its download holds."""

    final_status: Literal["completed", "failed", "cancelled", "archived", "processing"] = "completed"
    """Where an export ends up: `archived` is in no document, `processing` is never left."""
    download: Literal["whole", "header_only", "html", "zero_bytes", "truncated_gzip"] = "whole"
    """What is sent: `header_only` is a file without rows, the others replace the file on its way."""
    error_code: str = "EXPORT_FAILED"
    error: str = "Metrics could not be computed"
    """What SEI says of an export that failed."""


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
    "time_out": Fault(final_status="failed", error_code="EXPORT_TIMED_OUT", error="Export timed out"),
}
"""Of exports; a legacy report gets what its download holds, and HTTP 500 for every other end."""

READ_FAULTS = ("endless_pages", "forbidden", "cycle")
"""Of calls that make nothing: a list of exports or org trees that claims one more page for ever, an org tree that
nobody may read, and an org tree whose first leaf has the root for its child."""


@dataclass(slots=True)
class FaultPlan:
    """The faults asked for and not used up; the one asked for last counts."""

    _orders: list[_Order] = field(default_factory=list)

    def order(self, name: str, *, scope: str | None, report: str | None, times: int | None) -> None:
        """Have calls for a scope (team id or tree name; None for any) and report fail; `times` None is for ever."""
        self._orders.append(_Order(name, scope, report, times))

    def clear(self) -> None:
        """Forget all faults; exports that exist keep theirs."""
        self._orders.clear()

    def next_for(self, scope: str, report: str) -> Fault:
        """The fault that an export created now, or a legacy report, gets, which uses it up once."""
        return FAULTS.get(self._take(FAULTS, scope, report), NO_FAULT)

    def next_read(self, *possible: str, scope: str | None = None, report: str | None = None) -> str:
        """The one of `possible` (of `READ_FAULTS`) that a call gets, which uses it up once; empty for none."""
        return self._take(possible, scope, report)

    def _take(self, possible: Container[str], scope: str | None, report: str | None) -> str:
        for order in reversed(self._orders):
            if order.name in possible and order.scope in {None, scope} and order.report in {None, report}:
                if order.times is not None:
                    order.times -= 1
                    if order.times == 0:
                        self._orders.remove(order)
                return order.name
        return ""


@dataclass(slots=True, eq=False)
class _Order:
    name: str
    scope: str | None
    report: str | None
    times: int | None
