"""The owner rule is a function of the set of slices: order and pruning change nothing (DESIGN, decision 12)."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from sei_provider.lake.tables.ledger_entry import LedgerEntry
from sei_provider.lake.tables.ownership import RUN_LASTS, Owners, RowPlace, prune, surviving_rows, with_names
from tests.examples import examples

FIRST, LAST = date(2026, 1, 1), date(2026, 1, 31)
EPOCH = datetime(2026, 3, 1, tzinfo=UTC)
TREE = ["Eng", "Eng/A", "Eng/A/K", "Eng/B", "Eng/CI", "Eng/CI/CD", "Eng/CI/L"]
SPRINTS = [(date(2026, 1, day), date(2026, 1, day) + timedelta(days=13)) for day in (2, 9, 16, 23)]


class History:
    """Made-up exports of a few scopes of one tree, whose teams come and go."""

    def __init__(self, seed: int, granularity: str) -> None:
        self._random = random.Random(seed)  # noqa: S311
        self._granularity = granularity
        self.slices: list[tuple[LedgerEntry, tuple[RowPlace, ...]]] = []
        for number in range(self._random.randint(3, 9)):
            chance = self._random.random()
            if self.slices and chance < 0.15:
                self.slices.append(self._reused(number))
            elif self.slices and chance < 0.25:
                self.slices.append(self._read_otherwise(number))
            else:
                self.slices.append(self._slice(number))

    def _reused(self, number: int) -> tuple[LedgerEntry, tuple[RowPlace, ...]]:
        entry, places = self._random.choice(self.slices)
        run = frozenset([f"run_{self._random.randint(0, 2)}"])
        return replace(entry, runs=run, staged_at=EPOCH + timedelta(minutes=number)), places

    def _read_otherwise(self, number: int) -> tuple[LedgerEntry, tuple[RowPlace, ...]]:
        entry, places = self._reused(number)
        return replace(entry, reading=f"reading_{number}"), places[1:]

    def _slice(self, number: int) -> tuple[LedgerEntry, tuple[RowPlace, ...]]:
        choose = self._random
        scope = choose.choice(["org:Eng", "team:A", "team:CI"])
        start, end = FIRST, date(2026, 1, choose.choice([10, 20, 31]))
        if self._granularity == "weekly":
            start = date(2026, 1, choose.choice([5, 12]))
            end = start + timedelta(days=choose.choice([6, 10, 13]))
        staged = EPOCH + timedelta(minutes=number)
        entry = LedgerEntry(
            scope=scope,
            start=start,
            end=end,
            export_id=f"exp_{choose.randint(0, 99):02}_{number}",
            created_at=EPOCH + timedelta(minutes=choose.randint(0, 9)),
            staged_at=staged,
            published_at=EPOCH,
            teams=frozenset(),
            runs=frozenset([f"run_{choose.randint(0, 2)}"]),
            unknown_paths=choose.random() < 0.1,
        )
        paths = choose.sample(TREE, choose.choice([0, 1, 2, 3, 3, len(TREE)]))
        return entry, tuple(place for path in paths for place in self._places(path, start, end))

    def _places(self, path: str, start: date, end: date) -> list[RowPlace]:
        team = "CI/CD" if path == "Eng/CI/CD" and self._random.random() < 0.5 else path.rpartition("/")[2]
        if self._granularity == "weekly":
            days = (start + timedelta(days=7 * n) for n in range(2))
            return [RowPlace(team, path, day) for day in days if day <= end and self._random.random() < 0.8]
        if self._granularity == "sprint":
            inside = [(first, last) for first, last in SPRINTS if first <= end and start <= last]
            return [RowPlace(team, path, first, last, f"S{first.day}") for first, last in inside]
        return [RowPlace(team, path, FIRST)]


def published_one_by_one(slices, granularity):
    """Publish the slices in this order as `merge` does: rows that lose are gone for good, and the ledger is pruned."""
    ledger, rows = {}, {}
    for new, places in slices:
        named = with_names(new, places, granularity)
        held = ledger.get(named.identity)
        ledger[named.identity] = held.joined(named) if held else named
        rows[named.identity] = set(places)
        owners = Owners(ledger.values(), granularity)
        rows = {
            key: {place for place in rows.get(key, ()) if owners.survives(entry, place)}
            for key, entry in ledger.items()
        }
        ledger = {entry.identity: entry for entry in prune(ledger.values(), granularity, FIRST, LAST)}
        assert all(key in ledger for key, left in rows.items() if left), "what is pruned owns no row"
    return {(*key, place) for key, left in rows.items() for place in left}


@pytest.mark.parametrize("granularity", ["monthly", "weekly", "sprint"])
def test_any_order_of_publishing_and_a_pruned_ledger_leave_the_same_rows(granularity):
    for seed in range(examples(400)):
        slices = History(seed, granularity).slices
        expected = surviving_rows(slices, granularity)
        shuffled = random.Random(-seed).sample(slices, len(slices))  # noqa: S311
        assert surviving_rows(shuffled, granularity) == expected, f"seed {seed}"
        for order in (slices, shuffled):
            assert published_one_by_one(order, granularity) == expected, f"seed {seed}"


@pytest.mark.parametrize("granularity", ["monthly", "weekly", "sprint"])
def test_a_ledger_does_not_grow_over_nights_with_unchanged_teams(granularity):
    ledger: list[LedgerEntry] = []
    for night in range(1, 61):
        for number, scope in enumerate(("org:Eng", "team:A")):
            end = min(LAST, FIRST + timedelta(days=night - 1))
            created = EPOCH + timedelta(days=night, minutes=number)
            entry = LedgerEntry(
                scope=scope,
                start=date(2025, 12, 29) if granularity == "weekly" else FIRST,
                end=end,
                export_id=f"{scope}-{night}",
                created_at=created,
                staged_at=created,
                published_at=created,
                teams=frozenset(),
                runs=frozenset([f"night_{night}"]),
            )
            places = [RowPlace("A", "Eng/A", FIRST, LAST, "S1"), RowPlace("Eng", "Eng", FIRST, LAST, "S1")]
            ledger.append(with_names(entry, places, granularity))
        ledger = prune(ledger, granularity, FIRST, LAST)
    assert [(entry.scope, entry.export_id) for entry in ledger] == [
        ("org:Eng", "org:Eng-60"),
        ("team:A", "team:A-60"),
    ]
    assert {len(entry.earlier_runs) for entry in ledger} == {RUN_LASTS.days}, "runs of the last nights, not of all"


def entry(export_id: str, minute: int, **fields: object) -> LedgerEntry:
    at = EPOCH + timedelta(minutes=minute)
    known = {"scope": "team:A", "start": FIRST, "end": LAST, "teams": frozenset({"Eng/CI/CD"})}
    return LedgerEntry(export_id=export_id, created_at=at, staged_at=at, published_at=at, **known | fields)  # type: ignore[arg-type]


def test_an_answer_that_tells_another_parent_is_not_pruned():
    below_ci = entry("exp_1", 0, parents=frozenset({("Eng/CI/CD", "Eng/CI")}))
    below_eng = entry("exp_2", 1, parents=frozenset({("Eng/CI/CD", "Eng")}))
    assert prune([below_ci, below_eng], "monthly", FIRST, LAST) == [below_ci, below_eng]


def test_a_stored_tombstone_of_751f940_is_not_pruned_until_a_later_answer_names_its_team():
    stored = entry("exp_1", 0, teams=frozenset({"Eng/A"}), tombstones=frozenset({"Eng/B"}))
    same = entry("exp_2", 1, teams=frozenset({"Eng/A"}))
    assert prune([stored, same], "monthly", FIRST, LAST) == [stored, same]
    both = replace(same, tombstones=frozenset({"Eng/B"}))
    assert [kept.export_id for kept in prune([stored, both], "monthly", FIRST, LAST)] == ["exp_2"]
