"""Tables over time: generated histories of an org tree, held against a model of decision 12 and a judge.

`make fuzz` tries many and prints what they lost, held twice, left stale, or let depend on the order: 0 of each.
"""

from __future__ import annotations

import gzip
import itertools
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from random import Random

import pytest
from history_examples import CLEARED_AFTER_A_MOVE, CLEARED_AFTER_A_SHORTER_SPRINT, MOVED_SPRINT, WITHOUT
from history_judge import judge
from history_steps import Change, History, Night, Setting, histories
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from org_simulator import Run, World, live
from ownership_model import MUTANTS, Entry, OwnerRule, Row, Survivor, as_a_set, last_day
from upath import UPath

from sei_provider import lake
from sei_provider.lake import Manifest, Slice
from sei_provider.lake.model import run_key
from sei_provider.lake.tables.ownership import LedgerEntry, RowPlace, prune, surviving_rows, with_names
from tests.examples import examples

TOLD: Counter[str] = Counter()
FAULTS = ("lost", "twice", "stale", "order-dependent")
SETTINGS = settings(
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)


@pytest.fixture(autouse=True, scope="module")
def _tell() -> Iterator[None]:
    yield
    told = ", ".join(f"{TOLD[fault]:,} {fault}" for fault in FAULTS)
    rest = ", ".join(f"{TOLD[name]:,} {name}" for name in sorted(TOLD.keys() - set(FAULTS)))
    print(f"histories: {told}; {rest}")  # noqa: T201  `make fuzz` shows it


def all_entries(runs: Iterable[Run]) -> list[Entry]:
    return [entry for run in runs for entry in run.entries]


def ledger_entry(entry: Entry) -> LedgerEntry:
    return LedgerEntry(
        scope=entry.scope,
        start=entry.start,
        end=entry.end,
        export_id=entry.export_id,
        created_at=entry.created_at,
        teams=frozenset(),
        published_at=entry.staged_at,
        staged_at=entry.staged_at,
        reading=entry.reading,
        runs=frozenset(run_key(*run) for run in entry.runs),
        unknown_paths=entry.unknown_paths,
        put_aside=entry.put_aside,
    )


def places(entry: Entry) -> list[RowPlace]:
    return [RowPlace(*row) for row in entry.rows]


def by_the_code(entries: Iterable[Entry], granularity: str) -> set[Survivor]:
    slices = [(ledger_entry(entry), places(entry)) for entry in entries]
    return {Survivor(*key, Row(*place)) for *key, place in surviving_rows(slices, granularity)}


def count(faults: Counter[str]) -> None:
    TOLD.update(faults)
    assert not any(faults[fault] for fault in FAULTS), faults


@pytest.mark.fuzz
@settings(SETTINGS, max_examples=examples(200))
@example(MOVED_SPRINT, Random(0))  # noqa: S311
@example(CLEARED_AFTER_A_MOVE, Random(0))  # noqa: S311
@example(CLEARED_AFTER_A_SHORTER_SPRINT, Random(0))  # noqa: S311
@given(histories, st.randoms(use_true_random=False))
def test_a_table_holds_what_the_model_holds_and_the_judge_demands(history: History, random: Random) -> None:
    setting, steps = history
    world = live(setting, steps)
    entries = all_entries(world.runs)
    state = by_the_code(entries, setting.granularity)
    shuffled = random.sample(entries, len(entries))
    faults = judge(world, world.runs, state)
    faults["order-dependent"] += by_the_code(shuffled, setting.granularity) != state
    faults["histories"] += 1
    count(faults)
    assert state == OwnerRule(entries, setting.granularity).survivors()


@pytest.mark.parametrize(
    ("mutant", "history"), WITHOUT, ids=[f"{number}-{mutant.__name__}" for number, (mutant, _) in enumerate(WITHOUT)]
)
def test_the_judge_finds_each_part_of_the_rule_that_is_taken_away(mutant: type[OwnerRule], history: History) -> None:
    setting, steps = history
    world = live(setting, steps)
    entries = all_entries(world.runs)

    def faults(rule: type[OwnerRule]) -> Counter[str]:
        return judge(world, world.runs, rule(entries, setting.granularity).survivors())

    whole, without = faults(OwnerRule), faults(mutant)
    assert whole["judged"] + whole["judged together"]
    assert not any(whole[fault] for fault in FAULTS)
    assert any(without[fault] for fault in FAULTS)
    count(judge(world, world.runs, by_the_code(entries, setting.granularity)))


def test_every_part_of_the_rule_is_taken_away_once() -> None:
    assert {mutant for mutant, _ in WITHOUT} == set(MUTANTS)


def months(entries: Iterable[Entry]) -> list[date]:
    return sorted({row.start.replace(day=1) for entry in entries for row in entry.rows})


def of_month(entry: Entry, month: date) -> Entry:
    return replace(entry, rows=frozenset(row for row in entry.rows if row.start.replace(day=1) == month))


@pytest.mark.fuzz
@settings(SETTINGS, max_examples=examples(100))
@example(  # A team of the first answer is deleted and the ones above it are renamed; its own scope came before.
    (
        Setting("monthly", "all", False, True),
        [Night(failing=1 << 1), Night(), Change("delete", 2, 0, 0), Change("rename", 0, 0, 7), Night()],
    ),
    2,
).via("what an answer named")
@example(  # The empty answer of a team comes while the scopes above it fail.
    (Setting("monthly", "all", True, True), [Night(), Night(failing=1 << 0 | 1 << 1, empty=1 << 3)]),
    2,
).via("what an answer named, which is empty now")
@example(  # The first of two nights is cleared: it reaches less far into the quarter than the second.
    (
        Setting("quarterly", "leaf", False, True),
        [Night(), Night(days=13), Night(days=30), Night(kind="clear", cleared=1)],
    ),
    4,
).via("how far it reached")
@example(  # A scope that failed in the first of two nights comes when this night is cleared; then it is deleted.
    (
        Setting("monthly", "all", False, True),
        [
            Night(periods=1, failing=1 << 3),
            Night(periods=1, failing=1 << 3),
            Night(kind="clear_failed"),
            Change("delete", 2, 0, 0),
            Change("rename", 0, 0, 7),
            Night(periods=1, days=2),
        ],
    ),
    2,
).via("its runs")
@example(  # A team is deleted; then a new one's rows go to quarantine, which takes its place in the answer.
    (
        Setting("monthly", "all", False, True),
        [
            Night(),
            Change("delete", 2, 0, 0),
            Night(),
            Change("split_below", 0, 0, 7),
            Night(unknown_paths=1 << 1),
        ],
    ),
    3,
).via("that all its paths are known")
@example(  # A sprint that the first day of the second request cuts is deleted, and that night is cleared.
    (
        Setting("sprint", "leaf", False, True),
        [Night(), Night(days=6), Change("delete_sprint", 1, 0, 0), Night(kind="clear", cleared=1)],
    ),
    3,
).via("its sprints")
@given(histories, st.integers(1, 9))
def test_a_pruned_ledger_fares_as_the_unpruned_whatever_follows(history: History, pruned_at: int) -> None:
    setting, steps = history
    world = live(setting, steps)
    runs = world.runs
    before = all_entries(runs[:pruned_at])
    after = [entry for entry in all_entries(runs[pruned_at:]) if entry not in before]  # staged once, published once
    for month in months(before + after):
        last = last_day("monthly", month)
        asking = [of_month(entry, month) for entry in before if entry.start <= last and month <= entry.end]
        early = {entry.key: entry for entry in as_a_set(asking)}
        merged = [with_names(ledger_entry(entry), places(entry), setting.granularity) for entry in early.values()]
        late = [(ledger_entry(entry), places(entry)) for entry in (of_month(entry, month) for entry in after)]
        kept = prune(merged, setting.granularity, month, last)
        slices = [(e, places(early[e.scope, e.export_id, e.reading])) for e in kept]
        unpruned = [(ledger_entry(entry), places(entry)) for entry in early.values()]
        held = surviving_rows([*slices, *late], setting.granularity)
        TOLD["prunings"] += 1
        assert held == surviving_rows([*unpruned, *late], setting.granularity)


# Through real files.

HEADER = "Team_Hierarchy,Team,Start_Date,End_Date,Sprint,PR_MERGED"


class Files:
    """A lake on disk, and runs staged and published there."""

    def __init__(self, folder: Path, granularity: str) -> None:
        self.folder = folder
        self.lake = UPath(folder / "lake")
        self.granularity = granularity
        self.table = f"productivity_team_{granularity}"
        self.numbers = itertools.count()

    def stage(self, entry: Entry) -> Manifest:
        number = next(self.numbers)
        file = self.folder / f"{number}.csv.gz"
        rows = [f"{row.path},{row.team},{row.start},{row.end},{row.sprint or ''},1" for row in sorted(entry.rows)]
        file.write_bytes(gzip.compress("\n".join([HEADER, *rows, ""]).encode()))
        ((run, clear_number),) = entry.runs
        reading = {} if entry.reading == "a" else {"Iteration": "sprint"}
        return lake.stage(
            file,
            folder=self.lake / "_staging" / str(number),
            slice=Slice(
                table=self.table,
                report="sprint" if self.granularity == "sprint" else "productivity",
                scope=entry.scope,
                start=entry.start,
                end=entry.end,
                granularity=self.granularity,
                metrics=frozenset({"PR_MERGED"}),
                definition={},
            ),
            request="f00d",
            export_id=entry.export_id,
            created_at=entry.created_at,
            run_id=run,
            clear_number=clear_number,
            exported_at=entry.staged_at,
            columns=reading,
        )

    def publish(self, entries: Iterable[Entry], world: World) -> None:
        manifests = [self.stage(entry) for entry in entries]
        lake.publish(self.lake, manifests, published_at=world.now + timedelta(days=1))

    def rows(self) -> Counter[tuple[str, str, Row]]:
        """Return scope, export and place of each row."""
        if not (self.lake / self.table).exists():
            return Counter()
        return Counter(
            (
                row["_scope"],
                row["_export_id"],
                Row(row["team"], row["team_hierarchy"], row["start_date"], row["end_date"], row["sprint"] or None),
            )
            for row in lake.read_table(self.lake, self.table).to_pylist()
        )


@pytest.mark.fuzz
@settings(SETTINGS, max_examples=examples(20, costly=100))
@given(history=histories, random=st.randoms(use_true_random=False))
def test_files_hold_what_the_model_holds_in_any_order_of_publishing(
    tmp_path_factory: pytest.TempPathFactory, history: History, random: Random
) -> None:
    setting, steps = history
    world = live(setting, [replace(s, unknown_paths=0) if isinstance(s, Night) else s for s in steps][:6])
    entries = all_entries(world.runs)
    expected = OwnerRule(entries, setting.granularity).survivors()
    as_they_came = [run.entries for run in world.runs]
    shuffled = random.sample(as_they_came, len(as_they_came))
    for runs in (as_they_came, [random.sample(run, len(run)) for run in shuffled]):
        files = Files(tmp_path_factory.mktemp("lake"), setting.granularity)
        for run in runs:
            files.publish(run, world)
        held = files.rows()
        TOLD["lakes"] += 1
        TOLD["order-dependent"] += held.keys() != {(kept.scope, kept.export_id, kept.row) for kept in expected}
        assert held == Counter((kept.scope, kept.export_id, kept.row) for kept in expected)


# What the words of decision 12 say besides.


@pytest.mark.fuzz
@settings(SETTINGS, max_examples=20)
@example(27)
@given(st.integers(2, 27))
def test_nights_with_unchanged_teams_do_not_lengthen_the_ledger(nights: int) -> None:
    world = live(Setting("monthly", "all", True, True), [Night()] + [Night(days=0, kind="clear")] * nights)
    scopes = len(world.runs[0].scopes)
    entries = [with_names(ledger_entry(entry), places(entry), "monthly") for entry in all_entries(world.runs)]
    assert len(prune(entries, "monthly", date(2026, 1, 1), date(2026, 1, 31))) <= 2 * scopes
