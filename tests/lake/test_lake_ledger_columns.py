"""A ledger comes back from its footer as it was put there, whatever names it holds."""

from __future__ import annotations

import base64
import json
from datetime import UTC, date, datetime

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sei_provider.lake.tables.ledger_columns import _SCHEMA, decode_ledger, encode_ledger, ledger_table
from sei_provider.lake.tables.ledger_entry import EarlierRun, LedgerEntry
from tests.examples import examples

names = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
paths = st.frozensets(names, max_size=4)
days = st.dates(date(1, 1, 1), date(9999, 12, 31))
times = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001
sprints = st.frozensets(st.tuples(names, names), max_size=3)


@st.composite
def entries(draw: st.DrawFn) -> LedgerEntry:
    teams = draw(paths)
    known = draw(st.booleans())
    above = {team: draw(st.one_of(st.just(team.rpartition("/")[0]), names)) for team in sorted(teams)}
    return LedgerEntry(
        scope=draw(names),
        start=draw(days),
        end=draw(days),
        export_id=draw(names),
        created_at=draw(times),
        teams=teams,
        parents=frozenset(above.items()) if known else frozenset(),
        tombstones=draw(paths),
        sprints=draw(st.none() | sprints),
        sprint_days=draw(st.frozensets(st.tuples(names, names, days, days), max_size=3)),
        replace_exact_range=draw(st.booleans()),
        rows=draw(st.integers(0, 2**40)),
        quarantined=draw(st.integers(0, 2**40)),
        unknown_paths=draw(st.booleans()),
        put_aside=draw(paths),
        published_at=draw(times),
        staged_at=draw(st.none() | times),
        reading=draw(names),
        runs=draw(paths),
        earlier_runs=draw(st.frozensets(st.builds(EarlierRun, names, days, days, times), max_size=2)),
    )


@settings(max_examples=examples(100))
@given(st.lists(entries(), max_size=5))
def test_a_ledger_comes_back_as_it_was(ledger: list[LedgerEntry]) -> None:
    text = encode_ledger(ledger).encode()
    assert text.isascii()
    assert decode_ledger(text) == tuple(ledger)
    some = {entry.scope for entry in ledger[::2]}
    assert decode_ledger(text, scopes=some) == tuple(entry for entry in ledger if entry.scope in some)
    assert ledger_table(text, ["rows", "scope"]).to_pydict() == {
        "rows": [entry.rows for entry in ledger],
        "scope": [entry.scope for entry in ledger],
    }


def test_a_ledger_of_5_000_teams_takes_less_than_300_kilobytes_and_a_sixth_of_its_json() -> None:
    ledger = []
    for number in range(5_000):
        path = f"Engineering/Group {number // 50}/Team {number}"
        created = datetime(2026, 3, 1, 2, number % 60, number * 7 % 60, number * 7919 % 10**6, tzinfo=UTC)
        ledger.append(
            LedgerEntry(
                scope=f"team:{number}",
                start=date(2026, 2, 1),
                end=date(2026, 2, 28),
                export_id=f"exp_{number * 2654435761 % 2**128:032x}",
                created_at=created,
                teams=frozenset({path}),
                parents=frozenset({(path, path.rpartition("/")[0])}),
                rows=1,
                published_at=datetime(2026, 3, 1, 4, tzinfo=UTC),
                staged_at=created,
                reading="0123456789abcdef",
                runs=frozenset({"scheduled__2026-03-01T02:00:00+00:00"}),
            )
        )
    text = encode_ledger(ledger)
    assert len(text) < 300_000
    assert len(text) * 6 < len(json.dumps([entry.to_json() for entry in ledger]))


@pytest.mark.parametrize("text", [b"", b"[]", b"////", b"AAAA" * 100, encode_ledger([])[:-40].encode()])
def test_a_damaged_ledger_is_an_error_and_not_an_empty_one(text: bytes) -> None:
    with pytest.raises((ValueError, OSError)):
        decode_ledger(text)


NEVER_NULL = sorted({*_SCHEMA.names} - {"staged_at", "sprints"})


@pytest.mark.parametrize("name", NEVER_NULL)
def test_an_entry_that_lacks_a_field_is_damage_and_no_entry(name: str) -> None:
    """Coverage and the page read some columns alone, so each is checked where it is read."""
    nulls = [[None]] if name in {"runs", "teams", "tombstones", "put_aside"} else [None]
    for cells in (nulls, [None]):
        columns = [
            pa.array(
                cells if each == name else [[] if pa.types.is_list(_SCHEMA.field(each).type) else None],
                _SCHEMA.field(each).type,
            )
            for each in _SCHEMA.names
        ]
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, _SCHEMA) as writer:
            writer.write_table(pa.Table.from_arrays(columns, schema=_SCHEMA))
        with pytest.raises(ValueError, match=f"no {name}"):
            ledger_table(base64.b64encode(sink.getvalue()), [name])
