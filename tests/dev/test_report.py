"""Output of the demo: progress while it waits, and the figures after."""

import io
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pytest

from dev import report
from dev.lake_files import LakeFile
from dev.progress import Progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_on_a_terminal_the_line_is_rewritten_and_ended_once() -> None:
    out, clock = Terminal(), Clock()
    with Progress("sei_nightly", out=out, clock=clock) as progress:
        progress({"waiting": 4})
        clock.now = 2.0
        progress({"waiting": 1, "deferred": 3})
    assert out.getvalue().count("\r") == 2
    assert out.getvalue().endswith("sei_nightly    2 s: 3 deferred, 1 waiting\n")
    assert out.getvalue().count("\n") == 1


def test_elsewhere_a_line_comes_every_few_seconds_and_not_at_every_look() -> None:
    out, clock = io.StringIO(), Clock()
    with Progress("sei_nightly", out=out, clock=clock) as progress:
        for clock.now in (0.0, 1.0, 4.9, 5.0, 7.0):
            progress({"up_for_retry": 1, "success": 2})
    assert out.getvalue().splitlines() == [
        "sei_nightly    0 s: 2 success, 1 up_for_retry",
        "sei_nightly    5 s: 2 success, 1 up_for_retry",
    ]


def test_requests_are_told_per_export_and_by_who_sent_them(capsys: pytest.CaptureFixture[str]) -> None:
    summary = {
        "requests": 9,
        "by_kind": {"create": 3, "status": 3, "download": 3},
        "by_user_agent": {"the-worker": {"create": 3, "download": 3}, "the-triggerer": {"status": 3}},
    }
    report.requests(summary, Counter(sprint=2, productivity=1))
    assert capsys.readouterr().out.splitlines() == [
        "exports made: 3 (1 productivity, 2 sprint)",
        "requests: 9 (3 create, 3 status, 3 download), 3.00 per export",
        "  from the-worker: 3 create, 3 download",
        "  from the-triggerer: 3 status",
    ]


def test_a_run_without_exports_is_told_without_a_division_by_zero(capsys: pytest.CaptureFixture[str]) -> None:
    report.requests({"requests": 0, "by_kind": {}, "by_user_agent": {}}, Counter())
    assert "no export" in capsys.readouterr().out


def test_the_tree_shows_bytes_for_every_file_and_rows_for_parquet(capsys: pytest.CaptureFixture[str]) -> None:
    report.tree([LakeFile(Path("t/month=2026-03/data.parquet"), 1465, 40), LakeFile(Path("t/_schema.json"), 12, None)])
    first, second, _ = capsys.readouterr().out.splitlines()
    assert first.split() == ["t/month=2026-03/data.parquet", "1,465", "bytes", "40", "rows"]
    assert second.split() == ["t/_schema.json", "12", "bytes"]


def test_of_staging_the_tree_only_says_how_much_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    report.tree(
        [LakeFile(Path("_staging/ab/slice.parquet"), 1000, 2), LakeFile(Path("_staging/ab/slice.json"), 30, None)]
    )
    assert capsys.readouterr().out == "_staging: 2 files, 1,030 bytes\n"


def test_first_rows_of_a_wide_table_keep_names_like_na_and_stay_narrow(capsys: pytest.CaptureFixture[str]) -> None:
    wide = pa.table({"team": ["NA", "null"] * 10} | {f"metric_{number}": [1.0] * 20 for number in range(40)})
    report.first_rows(wide)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["NA", "null", "NA", "null", "NA"]
    assert max(len(line) for line in lines) < 200
