"""Files that nobody imagined: each lands cell for cell, or is refused, as Python's `csv` in strict mode says.

`make fuzz` tries 20,000 of them and prints how they ended.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from datetime import date
from itertools import cycle

import pyarrow.parquet as pq
import pytest
from csv_judge import Verdict, judge, number_of
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from lake_bench import Bench

from sei_provider.lake import CsvError, LakeError
from sei_provider.lake.staging import csv_records
from tests.examples import examples

HEADERS = ["Team", "Team_Hierarchy", "Start_Date", "End_Date", "PR_MERGED", "Note"]
NUMBERS = frozenset({4})
START, END = date(2026, 1, 1), date(2026, 1, 31)

words = st.text(st.sampled_from("aZ7 ,\"\n\r\t\0\\;'é—😀\ufeff\u2028\x0b\x1c\x85"), max_size=8)
texts = st.one_of(words, st.sampled_from(["NA", "null", "—", "nan", '"', '""', "\r\n", "a\r\nb", '\\"', "x" * 70, ""]))
teams = st.one_of(texts, st.sampled_from(["Alpha", "Eng/CI", "CI/CD"])).map(lambda text: text or "Alpha")
days = st.sampled_from(
    ["2026-01-01"] * 20 + ["2026-01-31", "2026-02-01", "2026-1-1", "", "—", " 2026-01-01", "2026-02-30"]
)
last_days = st.sampled_from(["2026-01-31", "", "—"] * 6 + ["0000-01-01", "9999-12-31", "2026-01-31 ", "31.01.2026"])
figures = st.one_of(
    st.integers(-(10**18), 10**18).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.sampled_from(["", "—", " 7", "7\t", "+5", "1e3", ".5", "5.", "007", "1E-400"] * 3),
    st.sampled_from(["nan", "inf", "1e999", "1_0", "0x1F", "1,5", "٣", "--1", "1 2", "9" * 400, "—7", "."]),
)
rows = st.tuples(teams, texts, days, last_days, figures, texts)
line_ends = st.sampled_from(["\n", "\n", "\r\n", "\r", "\n\n", "\r\n\r\n"])
edits = st.sampled_from([b'"', b'""', b"\0", b"", b",", b"\r", b"\n", b"\xff", b'"\n', b'",'])


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A whole CSV, or one with one or two places broken."""
    wide = [f"Column {number} {'x' * draw(st.integers(0, 200))}" for number in range(draw(st.integers(0, 4)))]
    ends = draw(st.one_of(line_ends.map(lambda end: [end]), st.lists(line_ends, min_size=1, max_size=4)))
    table = [HEADERS + wide, *(list(row) + ["w"] * len(wide) for row in draw(st.lists(rows, max_size=8)))]
    quoted = cycle(draw(st.lists(st.booleans(), min_size=1, max_size=40)))
    text = draw(st.sampled_from(["", "", "\n", "\ufeff"]))
    for number, cells in enumerate(table):
        text += ",".join(_written(cell, quoted=next(quoted)) for cell in cells)
        text += ends[number % len(ends)]
    if draw(st.booleans()):
        text = text.rstrip("\r\n")
    body = text.encode()
    for _ in range(draw(st.sampled_from([0, 0, 1, 1, 2]))):
        at = draw(st.integers(0, len(body)))
        body = body[:at] + draw(edits) + body[at + draw(st.integers(0, 1)) :]
    if draw(st.integers(0, 19)) == 0:
        body = body[: draw(st.integers(0, len(body)))]
    return body


def _written(cell: str, *, quoted: bool) -> str:
    if quoted or any(character in cell for character in '",\r\n'):
        return '"{}"'.format(cell.replace('"', '""'))
    return cell


ENDS: Counter[str] = Counter()


@pytest.mark.fuzz
@given(body=files(), packed=st.booleans(), block=st.one_of(st.integers(1, 80), st.integers(81, 4000)))
@settings(max_examples=examples(300), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_a_file_lands_cell_for_cell_or_is_refused_with_its_line(bench, monkeypatch, body, packed, block):
    monkeypatch.setattr(csv_records, "BLOCK_BYTES", block)
    text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    verdict = judge(text, NUMBERS, START, END)
    end = check(bench, gzip.compress(body) if packed else body, verdict, text)
    event(end)
    ENDS[end] += 1


@pytest.fixture(scope="module", autouse=True)
def _counts() -> Iterator[None]:
    yield
    print("files: " + ", ".join(f"{count:,} {end}" for end, count in ENDS.most_common()))  # noqa: T201  `make fuzz` shows it


def check(bench: Bench, body: bytes, verdict: Verdict, text: str) -> str:
    """Stage a file under both policies; tells how it ended."""
    bench.aliases = {}
    known = verdict.refused or list(verdict.headers[:6]) == HEADERS
    landed = staged(bench, body, "fail")
    kept = staged(bench, body, "quarantine")
    if not known:  # an edit has made another header, which has its own rules
        for found in (landed, kept):
            assert isinstance(found, CsvError) or list(map(len, found[0])) == [len(verdict.headers)] * len(found[0])
        return "with another header"
    if not text:
        assert isinstance(landed, LakeError)
        return "empty"
    if verdict.refused:
        assert isinstance(landed, LakeError), f"landed as {landed}"
        assert isinstance(kept, LakeError), f"kept as {kept}"
        assert isinstance(kept, CsvError) is False or kept.line is not None
        return "broken, refused"
    if verdict.bad_lines:
        assert isinstance(landed, CsvError), f"landed as {landed}"
        assert landed.line == verdict.bad_lines[0]
        if not verdict.good:
            assert isinstance(kept, CsvError), f"kept as {kept}"
            return "without a good row, refused"
    else:
        assert landed == kept
    assert not isinstance(kept, LakeError), kept
    cells, bad_lines = kept
    assert cells == [expected(row) for row in verdict.good]
    assert bad_lines == verdict.bad_lines
    return "with bad rows, refused or put aside" if bad_lines else "valid, landed"


def staged(bench: Bench, body: bytes, on_bad_value: str) -> LakeError | tuple[list[tuple[object, ...]], list[int]]:
    """Stage a file; gives the cells that landed, and the lines that were put aside, or the error."""
    bench.options = {"on_bad_value": on_bad_value}
    aside = bench.lake / "_quarantine" / bench.table / f"f00d-{on_bad_value}.parquet"
    aside.unlink(missing_ok=True)
    try:
        path = bench.stage_bytes(body, bench.slice(), export_id=on_bad_value)["path"]
    except LakeError as error:
        assert not aside.exists(), "rows of a refused file were put aside"
        return error
    table = pq.read_table(path)
    # What SEI sent stands first and has a header; what the lake adds has none.
    sent = sum(bool(header) for _, header, _ in json.loads(table.schema.metadata[b"sei.columns"]))
    rows = list(zip(*(column.to_pylist() for column in table.columns[:sent]), strict=True))
    return rows, pq.read_table(aside)["line"].to_pylist() if aside.exists() else []


def expected(cells: list[str]) -> tuple[object, ...]:
    """The row that the lake is to hold."""
    team, hierarchy, start, end, merged, *rest = cells
    return (
        team,
        hierarchy or team,
        date.fromisoformat(start.strip()),
        None if end in {"", "—"} else date.fromisoformat(end.strip()),
        None if merged in {"", "—"} else number_of(merged),
        *(cell or None for cell in rest),
    )
