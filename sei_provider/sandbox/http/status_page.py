"""The page `/_sandbox/` for a person who watches: counts of requests, exports and faults. It shows no personal data."""

from __future__ import annotations

from collections import Counter
from html import escape
from typing import TYPE_CHECKING, Any

from sei_provider.sandbox.clock import timestamp
from sei_provider.sandbox.faults.table import CALLS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sei_provider.sandbox.exports import Export
    from sei_provider.sandbox.faults.rules import FaultRule

_STATUSES = ("queued", "processing", "completed", "failed", "cancelled", "archived")
_KINDS = (*CALLS, "other")


def status_page(summary: Mapping[str, Any], exports: Iterable[Export], rules: Sequence[FaultRule], now: float) -> str:
    """Return the page as HTML; `summary` is `RequestLog.summary()`, `now` seconds since 1970."""
    by_report: dict[str, Counter[str]] = {}
    for export in exports:
        by_report.setdefault(export.request.spec.report, Counter())[export.status(now)] += 1
    made = sum(counts.total() for counts in by_report.values())
    return _PAGE.format(
        now=escape(timestamp(now)),
        requests=summary["requests"],
        made=made,
        exports=_table(("report", *_STATUSES), _counted(by_report, _STATUSES)),
        responses=_table(("HTTP status", *_KINDS), _counted(summary["by_status_and_kind"], _KINDS)),
        faults=_table(("fault", "requests"), sorted(summary["by_fault"].items())),
        rules=_table(("fault", "team", "report", "call", "times left"), map(_rule, rules)),
    )


def _counted(counts: Mapping[str, Mapping[str, int]], columns: Sequence[str]) -> list[list[object]]:
    return [[name, *(of_name.get(column, 0) for column in columns)] for name, of_name in sorted(counts.items())]


def _rule(rule: FaultRule) -> list[object]:
    return [
        rule.fault.name,
        *("any" if value is None else value for value in (rule.team, rule.report, rule.call)),
        "always" if rule.times is None else rule.times,
    ]


def _table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    head = "".join(f"<th>{escape(heading)}</th>" for heading in headings)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>" if body else "<p>none yet</p>"


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="2"><title>SEI sandbox</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1c2733 }}
h1 {{ font-size: 1.4rem; margin: 0 }} h2 {{ font-size: 1rem; margin: 1.6rem 0 .3rem }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
th, td {{ border-bottom: 1px solid #d8dee6; padding: .2rem .8rem .2rem 0; text-align: right }}
th:first-child, td:first-child {{ text-align: left }} th {{ color: #5b6875; font-weight: 600 }}
p {{ color: #5b6875; margin: .2rem 0 }}
</style></head><body>
<h1>SEI sandbox</h1>
<p>{requests} requests, {made} exports; the sandbox's clock says {now}.</p>
<h2>Exports</h2>{exports}
<h2>Responses</h2>{responses}
<h2>Requests with faults</h2>{faults}
<h2>Fault rules</h2>{rules}
</body></html>
"""
