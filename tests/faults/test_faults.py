"""`make faults`: its batches, the violations that it notices, and the tables in docs/reliability.md."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from sei_provider.sandbox.faults.table import EVERY_FAULT, REPORTS_OF
from tests.faults import check, runs
from tests.faults.batches import DOCUMENT
from tests.faults.table import (
    BEGINS,
    ENDS,
    REPORTS,
    Outcome,
    Scenario,
    outcomes_in,
    printed_in,
    scenarios,
    tables,
    write,
)


def scenario(fault: str, report: str, *calls: str, once: bool = True) -> Scenario:
    return Scenario(fault=fault, report=report, calls=calls, once=once)


def outcome(fault: str, report: str, said: str, *, calls: tuple[str, ...] = (), **figures: Any) -> Outcome:
    asked = {"requests": 10, "exports": 4, "scopes": 4, "rows": 8, "expected": 8} | figures
    return Outcome(scenario=scenario(fault, report, *calls), said=said, **asked)


def test_every_fault_strikes_every_report_that_it_can_once_and_always() -> None:
    tried = {(each.fault, each.report, each.once) for each in scenarios()}
    # Those of org trees strike no report.
    possible = {(fault.name, report) for fault in EVERY_FAULT.values() for report in fault.reports}
    assert tried == {(*pair, once) for pair in possible for once in (True, False)}
    assert {report for _, report, _ in tried} == set(REPORTS)


def test_every_call_of_a_report_is_struck() -> None:
    struck = {(each.report, call) for each in scenarios() for call in each.calls if each.fault == "500" and each.once}
    assert struck == {(report, call) for call, reports in REPORTS_OF.items() for report in reports}


@pytest.mark.parametrize(
    ("asked", "said", "exports"),
    [
        (scenario("reset_before_answer", "productivity", "create"), "landed", 4),
        (scenario("reset_before_answer", "sprint", "create"), "landed", 4),
        (scenario("reset_before_answer", "business_alignment", "create"), "landed", 4),
        (scenario("500", "sprint", "status"), "landed", 1),
        (scenario("html", "team_report"), "landed by try 2", 5),
        (scenario("500", "team_report", "report"), "landed", 4),
    ],
)
def test_a_batch_lands_in_passing_weather(asked: Scenario, said: str, exports: int) -> None:
    with runs.hurried():
        came = runs.run(asked)
    assert (came.said, came.exports, came.wrong) == (said, exports, [])
    assert came.rows == came.expected > 0


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (scenario("link_to_other_host", "sprint", once=False), "the download link of export … leads elsewhere"),
        (scenario("cancel", "sprint"), "SEI gave back export …, which had failed or was broken"),
        (scenario("gzip_bomb", "team_report", once=False), "the file holds more than 16,777,216 bytes of CSV"),
    ],
)
def test_a_scope_that_cannot_land_is_an_error_and_leaves_the_others_alone(asked: Scenario, said: str) -> None:
    with runs.hurried():
        came = runs.run(asked)
    assert came.said.startswith(f"error: {said}")
    assert came.wrong == []
    assert came.rows == came.expected > 0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows - Counter(list(rows)[:1]), "rows lost: 1, rows too many: 0"),
        (lambda rows: rows + Counter(list(rows)[:1]), "rows lost: 0, rows too many: 1"),
    ],
    ids=["a row lost", "a row twice"],
)
def test_it_notices(change: Any, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows_in = check.rows_in
    monkeypatch.setattr(check, "rows_in", lambda lake, table: change(rows_in(lake, table)))
    assert words in runs.run(scenario("two_gzip_members", "sprint")).wrong


def test_it_notices_an_error_that_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs.SeiReportOperator, "execute", lambda *_: {}["nothing"])
    wrong = runs.run(scenario("zero_bytes", "team_report")).wrong
    assert "not ours: KeyError('nothing')" in wrong
    assert any(what.startswith("did not land although no fault struck them") for what in wrong)


def test_the_tables_add_up_and_are_read_back() -> None:
    printed = tables(
        [
            outcome("500", "sprint", "landed", calls=("create", "list"), requests=11),
            outcome("500", "sprint", "landed by try 2", calls=("status",), scopes=1, exports=1),
            outcome("504", "sprint", "landed"),
        ]
    )
    assert "| `500` | sprint | create, list: landed; status: landed by try 2 | 21 | 5 / 5 | 16 / 16 |" in printed
    assert outcomes_in(printed) == {
        ("Once", "`500`", "sprint"): "create, list: landed; status: landed by try 2",
        ("Once", "`504`", "sprint"): "landed",
    }


def test_only_what_is_between_the_markers_is_written(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text(f"before\n{BEGINS}\nold\n{ENDS}\nafter \\1\n")
    write(document, r"new \1")
    assert document.read_text() == f"before\n{BEGINS}\n\nnew \\1\n{ENDS}\nafter \\1\n"
    assert printed_in(document).strip() == r"new \1"


def test_the_document_has_an_outcome_for_every_fault_and_report() -> None:
    told = {(fault.strip("`"), report) for table, fault, report in outcomes_in(printed_in(DOCUMENT)) if table == "Once"}
    assert told == {(each.fault, each.report) for each in scenarios()}
