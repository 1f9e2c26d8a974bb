"""The pages under `/_sandbox/` for a person who watches: exports, requests, faults. They show no personal data."""

from __future__ import annotations

import json
from collections import Counter
from html import escape
from typing import TYPE_CHECKING, Any

from sei_provider.plural import plural
from sei_provider.sandbox.clock import timestamp
from sei_provider.sandbox.faults.table import CALLS, EVERY_FAULT

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
    counted = f"{plural(summary['requests'], 'request')}, {plural(made, 'export')}"
    return _page(
        f"<p>{counted}; the sandbox's clock says {escape(timestamp(now))}.</p>",
        "<h2>Exports</h2>",
        _table(("report", *_STATUSES), _counted(by_report, _STATUSES)),
        "<h2>Responses</h2>",
        _table(("HTTP status", *_KINDS), _counted(summary["by_status_and_kind"], _KINDS)),
        "<h2>Requests with faults</h2>",
        _table(("fault", "requests"), sorted(summary["by_fault"].items())),
        "<h2>Fault rules</h2>",
        _table(("fault", "team", "report", "call", "times left"), map(_rule, rules)),
        refresh=True,
    )


def records_page(name: str, records: Sequence[Mapping[str, Any]]) -> str:
    """Return a page with a row for each record, the newest first: what the same address gives as JSON."""
    headings = list(records[0]) if records else []
    rows = ([_cell(record[heading]) for heading in headings] for record in reversed(records))
    return _page(f"<h2>{escape(name)}: {len(records):,}</h2>", _table(headings, rows))


def faults_page(address: str) -> str:
    """Return a page that tells how to order a fault of the sandbox at this address, and which there are."""
    order = json.dumps({"fault": "fail", "team": "12", "report": "sprint", "times": 1})
    return _page(
        "<h2>Order a fault</h2>",
        "<p>The next sprint export of team 12 fails:</p>",
        f"<pre>curl --json '{escape(order)}' {escape(address)}/faults</pre>",
        "<p>No fault from now on:</p>",
        f"<pre>curl --request DELETE {escape(address)}/faults</pre>",
        "<p>Only <code>fault</code> is required. Without <code>team</code>, <code>report</code> or <code>call</code> "
        "it is any of them, without <code>times</code> always. Of several rules that match, the newest counts.</p>",
        "<h2>The faults</h2>",
        _table(
            ("fault", "calls", "reports"),
            ([fault.name, ", ".join(fault.calls), ", ".join(fault.reports)] for fault in EVERY_FAULT.values()),
        ),
    )


def _cell(value: object) -> object:
    """Return a value as a person reads it; a body stays JSON."""
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, dict | list) else value


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


def _page(*parts: str, refresh: bool = False) -> str:
    again = '<meta http-equiv="refresh" content="2">' if refresh else ""
    return _PAGE.format(refresh=again, body="\n".join(parts))


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">{refresh}<title>SEI sandbox</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #1c2733 }}
h1 {{ font-size: 1.4rem; margin: 0 }} h2 {{ font-size: 1rem; margin: 1.6rem 0 .3rem }}
table {{ border-collapse: collapse; font-variant-numeric: tabular-nums }}
th, td {{ border-bottom: 1px solid #d8dee6; padding: .2rem .8rem .2rem 0; text-align: right }}
th:first-child, td:first-child {{ text-align: left }} th {{ color: #5b6875; font-weight: 600 }}
p {{ color: #5b6875; margin: .2rem 0 }} nav a {{ margin-right: 1rem }}
pre {{ background: #f2f5f8; padding: .5rem .8rem; overflow-x: auto }}
</style></head><body>
<h1>SEI sandbox</h1>
<nav><a href="./">overview</a> <a href="exports">exports</a> <a href="reports">legacy reports</a>
<a href="requests">requests</a> <a href="faults">order a fault</a></nav>
{body}
</body></html>
"""
