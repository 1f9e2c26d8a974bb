"""Files that nobody imagined: each lands cell for cell, or is refused, as Python's `csv` in strict mode says.

`make fuzz` tries 20,000 of them and prints how they ended.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from datetime import date

import pyarrow.parquet as pq
import pytest
from csv_files import HEADERS, make_csv
from csv_judge import Verdict, judge, number_of
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from lake_bench import Bench

from sei_provider.lake import CsvError, LakeError
from sei_provider.lake.staging import csv_records
from tests.examples import examples

NUMBERS = frozenset({4})
START, END = date(2026, 1, 1), date(2026, 1, 31)
ENDS: Counter[str] = Counter()


@pytest.mark.fuzz
@given(random=st.randoms(use_true_random=True))
@settings(
    max_examples=examples(300),
    phases=[Phase.explicit, Phase.generate],  # nothing to shrink: a file is made of one number
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_a_file_lands_cell_for_cell_or_is_refused_with_its_line(bench, monkeypatch, random):
    body = make_csv(random)
    block = random.choice([random.randrange(1, 80), random.randrange(80, 4000)])
    note(f"blocks of {block} bytes, the file: {body!r}")
    monkeypatch.setattr(csv_records, "BLOCK_BYTES", block)
    text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    packed = random.random() < 0.5
    ENDS[check(bench, gzip.compress(body) if packed else body, judge(text, NUMBERS, START, END), text)] += 1


@pytest.fixture(scope="module", autouse=True)
def _counts() -> Iterator[None]:
    yield
    print("files: " + ", ".join(f"{count:,} {end}" for end, count in ENDS.most_common()))  # noqa: T201  `make fuzz` shows it


def check(bench: Bench, body: bytes, verdict: Verdict, text: str) -> str:
    """Stage a file under both policies; tells how it ended."""
    bench.columns = {}
    known = list(verdict.headers[:6]) == HEADERS and all(
        name.startswith(f"Column {number}") for number, name in enumerate(verdict.headers[6:])
    )
    landed = staged(bench, body, "fail")
    kept = staged(bench, body, "quarantine")
    if not known and not verdict.refused:  # an edit has made another header, which has its own rules
        for found in (landed, kept):
            assert isinstance(found, CsvError) or list(map(len, found[0])) == [len(verdict.headers)] * len(found[0])
        return "with another header"
    if not text:
        assert isinstance(landed, LakeError)
        return "empty"
    if verdict.refused:
        assert isinstance(landed, LakeError), f"landed as {landed}"
        assert isinstance(kept, LakeError), f"kept as {kept}"
        if known:
            assert [getattr(error, "line", None) for error in (landed, kept)] == [
                [*verdict.bad_lines, verdict.broken_line][0],
                verdict.broken_line,
            ]
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
    # Where no row has a hierarchy, the scope is the root.
    root = "" if any(row[1] for row in verdict.good) else f"{bench.slice().scope}/"
    assert cells == [expected(row, root) for row in verdict.good]
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
    sent = sum(bool(header) for _, header, *_ in json.loads(table.schema.metadata[b"sei.columns"]))
    rows = list(zip(*(column.to_pylist() for column in table.columns[:sent]), strict=True))
    return rows, pq.read_table(aside)["line"].to_pylist() if aside.exists() else []


def expected(cells: list[str], root: str) -> tuple[object, ...]:
    """The row that the lake is to hold."""
    team, hierarchy, start, end, merged, *rest = cells
    return (
        team,
        hierarchy or f"{root}{team}",
        date.fromisoformat(start.strip()),
        None if end in {"", "—"} else date.fromisoformat(end.strip()),
        None if merged in {"", "—"} else number_of(merged),
        *(cell or None for cell in rest),
    )
