"""Generated cells of undeclared columns: numbers only where float64 gives back what was sent, otherwise text."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal, InvalidOperation
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lake_bench import Bench

from tests.examples import examples

DIGITS = st.text("0123456789", min_size=1, max_size=20)
PLAIN = st.one_of(
    st.integers(-(10**15), 10**15).map(str),
    st.decimals(-1000, 1000, places=3).map(str),
    st.floats(-1e6, 1e6, allow_nan=False).map(repr),
)
FORMS = st.one_of(
    DIGITS,
    st.builds(
        "{}{}{}".format, st.sampled_from(["", "+", "-", " ", "0", "00"]), DIGITS, st.sampled_from(["", ".", " "])
    ),
    st.builds("{}.{}".format, st.sampled_from(["", "0", "-0", "00", "12"]), DIGITS),
    st.builds("{}{}{}".format, DIGITS, st.sampled_from(["e", "E", "e+", "e-"]), st.integers(0, 400)),
    st.sampled_from(["NaN", "inf", "-", "1,5", "1_000", "0x1F", "١٢", "１２", "N/A", "A0123", "½", "1 000", "true"]),
)
COLUMNS = st.lists(
    st.lists(st.one_of(PLAIN, FORMS, st.just("")) | PLAIN, min_size=3, max_size=3), min_size=10, max_size=10
)


def comes_back(cell: str) -> bool:
    """Judge by decision 11's words: no leading zeros, at most 15 digits, no exponent, and the same value comes back."""
    body = cell.removeprefix("-")
    whole, _, part = body.partition(".")
    if not (body.isascii() and whole.isdigit() and (part.isdigit() or "." not in body)):
        return False
    if len(whole) > 1 and whole.startswith("0"):
        return False
    digits = (whole + part).lstrip("0") if whole != "0" else part
    if len(digits) > 15:
        return False
    try:
        return Decimal(repr(float(cell))) == Decimal(cell)
    except InvalidOperation:
        return False


@pytest.mark.fuzz
@settings(max_examples=examples(20), deadline=None)
@given(COLUMNS)
def test_a_column_is_a_number_only_if_every_cell_comes_back_and_otherwise_the_same_text(
    columns: list[list[str]],
) -> None:
    with TemporaryDirectory() as folder:
        bench = Bench(Path(folder), columns={})
        names = [f"kind_{number}" for number in range(len(columns))]
        bench.header = ",".join(["Team,Team_Hierarchy,Start_Date", *names])
        body = io.StringIO()
        rows = ([f"T{n}", f"Eng/T{n}", "2026-01-01", *cells] for n, cells in enumerate(zip(*columns, strict=True)))
        csv.writer(body, lineterminator="\n").writerows(rows)
        bench.export("team:1", body.getvalue().splitlines(), age=1)
        types = json.loads((bench.lake / "_schemas" / f"{bench.table}.json").read_text())["columns"]
        for name, sent in zip(names, columns, strict=True):
            given_cells = [cell for cell in sent if cell]
            is_number = all(map(comes_back, given_cells))
            expected = None if not given_cells else "float64" if is_number else "string"
            assert types[name]["type"] == expected, (name, sent)
            back = [value for _, value in bench.rows("team", name)]
            assert back == [None if not cell else float(cell) if is_number else cell for cell in sent]
