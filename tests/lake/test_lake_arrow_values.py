"""Arrow values made without pandas are those that `pa.array` makes, and figures by key those of `group_by`."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from sei_provider.lake.arrow_values import empty_table, to_array, to_numpy, to_python, to_rows, to_scalar, to_table
from sei_provider.lake.distinct import distinct, latest, sorted_by, sums
from tests.examples import examples

_TEXT = pa.dictionary(pa.int32(), pa.string())
_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
_times = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
_PAIR = pa.struct([("text", _TEXT), ("day", pa.date32()), ("texts", pa.list_(_TEXT))])
_pairs = st.fixed_dictionaries({"text": _texts, "day": st.dates() | st.none(), "texts": st.lists(_texts, max_size=3)})
VALUES = {
    pa.string(): _texts,
    _TEXT: _texts,
    pa.bool_(): st.booleans(),
    pa.int32(): st.integers(-(2**31), 2**31 - 1),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(allow_nan=False),
    pa.date32(): st.dates(),
    pa.timestamp("us", "UTC"): _times,
    pa.list_(_TEXT): st.lists(_texts, max_size=3),
    pa.list_(_PAIR): st.lists(_pairs, max_size=3),
}


def plain(value):
    """Return a value with its structs as tuples."""
    if isinstance(value, dict):
        return tuple(plain(value[field.name]) for field in _PAIR)
    return [plain(one) for one in value] if isinstance(value, list) else value


@settings(max_examples=examples(60))
@given(st.data(), st.sampled_from(list(VALUES)))
def test_an_array_is_that_of_pyarrow_and_comes_back(data, kind):
    values = data.draw(st.lists(st.none() | VALUES[kind], max_size=8))
    made = to_array(values, kind)
    made.validate(full=True)
    assert (made.type, made.null_count) == (kind, values.count(None))
    assert made.to_pylist() == pa.array(values, kind).to_pylist() == values
    first = data.draw(st.integers(0, len(values)))
    assert to_python(made.slice(first)) == plain(values[first:])
    assert to_python(pa.chunked_array([made.slice(0, first), made.slice(first)])) == plain(values)
    if not pa.types.is_nested(kind) and not pa.types.is_dictionary(kind) and values:
        assert to_scalar(values[0], kind) == pa.scalar(values[0], kind)
    if kind in (pa.int32(), pa.int64(), pa.float64(), pa.bool_()) and None not in values:
        assert to_numpy(made.slice(first)).tolist() == values[first:]


@settings(max_examples=examples(40))
@given(st.lists(st.tuples(st.sampled_from("abc") | st.none(), st.integers(-9, 9) | st.none(), _times), max_size=9))
def test_figures_by_key_are_those_of_group_by(cells):
    schema = pa.schema([("key", pa.string()), ("n", pa.int64()), ("at", pa.timestamp("us", "UTC"))])
    rows = to_table([dict(zip(schema.names, one, strict=True)) for one in cells], schema)
    assert to_rows(rows) == rows.to_pylist()
    codes, keys = distinct(rows, ["key"])
    numbers = to_numpy(codes)
    options = pa.compute.ScalarAggregateOptions(min_count=1)
    judged = rows.group_by("key").aggregate([("n", "sum", options), ("at", "max")]).to_pylist()
    found = zip(
        keys["key"].to_pylist(),
        sums(rows["n"], numbers, len(keys)).to_pylist(),
        to_python(latest(rows["at"], numbers, len(keys))),
        strict=True,
    )
    assert sorted(found, key=str) == sorted(((one["key"], one["n_sum"], one["at_max"]) for one in judged), key=str)
    assert sorted_by(rows, ["key", "at"]).equals(rows.sort_by([("key", "ascending"), ("at", "ascending")]))


def test_a_table_without_rows_has_its_schema():
    schema = pa.schema(dict(zip(map(str, range(len(VALUES))), VALUES, strict=True)), metadata={"a": "b"})
    assert empty_table(schema).equals(schema.empty_table(), check_metadata=True)
