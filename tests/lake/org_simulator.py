"""Simulator of org trees over time and of the nights that export them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from history_steps import Change, Night, Setting, Step
from ownership_model import Entry, Row, last_day

NAMES = ["Alpha", "Beta", "Gamma", "Alpha Legacy", "CI", "CI/CD", "Apps", "Delta"]
"""Few, so that they meet again. No team is called `CD`, so a path means one team at a time."""
FIRST_NIGHT = datetime(2026, 1, 19, 2, 30, tzinfo=UTC)
REUSE = timedelta(minutes=30)


@dataclass
class Team:
    name: str
    above: int | None


@dataclass(frozen=True)
class Export:
    scope: str
    export_id: str
    created_at: datetime
    rows: frozenset[Row]
    tree: int
    """Version of the tree and the sprints that it shows."""
    faulty: bool = False
    put_aside: frozenset[str] | None = frozenset()
    """Teams whose rows are in quarantine; None if nobody knows which."""


@dataclass
class Run:
    """Result that one try of a run handed on."""

    run_id: str
    start: date
    end: date
    scopes: list[str]
    clear_number: int = 0
    """Number of times that it had been cleared: it keeps its id then."""
    entries: list[Entry] = field(default_factory=list)
    trees: set[int] = field(default_factory=set)
    complete: bool = True

    @property
    def consistent(self) -> bool:
        """True if all was exported, from one and the same tree."""
        return self.complete and len(self.trees) == 1


@dataclass
class World:
    """The org tree, SEI, and the runs so far."""

    setting: Setting
    now: datetime = FIRST_NIGHT
    tree: int = 0
    teams: dict[int, Team] = field(default_factory=dict)
    sprints: dict[int, tuple[str, date, date]] = field(default_factory=dict)
    runs: list[Run] = field(default_factory=list)
    dead: list[int] = field(default_factory=list)
    exports: dict[tuple[str, date, date], Export] = field(default_factory=dict)
    truth: dict[tuple[str, str], int] = field(default_factory=dict)
    """Export and path → team."""
    above: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    """Export and path → the paths above it."""
    tree_of: dict[str, int] = field(default_factory=dict)
    """Export → version of the tree that it shows; -1 of one that does not show all."""
    made: int = 0

    def __post_init__(self) -> None:
        for number, (name, above) in enumerate(
            [("Eng", None), ("CI", 0), ("Apps", 0), ("Alpha", 1), ("Beta", 1), ("Gamma", 2), ("CI/CD", 0)]
        ):
            self.teams[number] = Team(name, above)
        for number in range(10):
            start = date(2025, 12, 22) + timedelta(weeks=2 * number)
            self.sprints[number] = (f"S{number}", start, start + timedelta(days=13))

    # The tree.

    def path(self, team: int) -> str:
        above = self.teams[team].above
        return self.teams[team].name if above is None else f"{self.path(above)}/{self.teams[team].name}"

    def paths_above(self, team: int) -> frozenset[str]:
        above = self.teams[team].above
        return frozenset() if above is None else self.paths_above(above) | {self.path(above)}

    def children(self, team: int) -> list[int]:
        return [number for number, other in self.teams.items() if other.above == team]

    def with_all_below(self, team: int) -> list[int]:
        return [team, *(below for child in self.children(team) for below in self.with_all_below(child))]

    def change(self, change: Change) -> None:
        """Change the tree, unless two teams would have one path then."""
        before = {number: Team(team.name, team.above) for number, team in self.teams.items()}
        movable = [number for number in self.teams if self.teams[number].above is not None]
        if change.kind in {"move_sprint", "rename_sprint", "delete_sprint"}:
            self.change_sprint(change)
        elif movable:
            one, two = movable[change.one % len(movable)], movable[change.two % len(movable)]
            name = NAMES[change.name % len(NAMES)]
            self.change_team(change.kind, one, two, name)
        paths = [self.path(number) for number in self.teams]
        if len(paths) != len(set(paths)):
            self.teams = before
        else:
            self.tree += 1
            self.dead += sorted(before.keys() - self.teams.keys())

    def change_team(self, kind: str, one: int, two: int, name: str) -> None:
        teams = self.teams
        if kind == "rename":
            teams[one].name = name
        elif kind == "rename_parent":
            above = teams[one].above
            if above:
                teams[above].name = name
        elif kind == "swap":
            teams[one].name, teams[two].name = teams[two].name, teams[one].name
        elif kind == "succeed":
            teams[one].name, teams[two].name = name, teams[one].name
        elif kind == "move" and two not in self.with_all_below(one):
            teams[one].above = two
        elif kind == "move_to_root":
            teams[one].above = 0
        elif kind == "split":
            teams[len(teams) + len(self.dead)] = Team(name, teams[one].above)
        elif kind == "split_below":
            teams[len(teams) + len(self.dead)] = Team(name, one)
        elif kind == "delete":
            for gone in self.with_all_below(one):
                del teams[gone]

    def change_sprint(self, change: Change) -> None:
        numbers = sorted(self.sprints)
        if self.setting.granularity != "sprint" or len(numbers) < 2:
            return
        number = numbers[change.one % len(numbers)]
        name, start, end = self.sprints[number]
        if change.kind == "delete_sprint":
            del self.sprints[number]
        elif change.kind == "rename_sprint":
            self.sprints[number] = (f"{name}'", start, end)
        else:
            days = timedelta(days=(change.two - 4) * 3)
            self.sprints[number] = (name, start + days, end + days)

    # The nights.

    def asked_scopes(self) -> list[int]:
        kind = self.setting.scopes
        return [
            number
            for number in self.teams
            if (kind == "all" or (kind == "leaf") == (not self.children(number))) and (number or self.setting.root)
        ]

    def range(self, periods: int) -> tuple[date, date]:
        """Return whole periods to date, as decision 4 says."""
        today = self.now.date()
        if self.setting.granularity == "weekly":
            return today - timedelta(days=today.weekday() + 7 * periods), today
        if self.setting.granularity == "sprint":
            return today - timedelta(days=20 + 15 * periods), today
        months = today.year * 12 + today.month - 1
        if self.setting.granularity == "quarterly":
            months = months - months % 3 - 3 * periods
        else:
            months -= periods
        return date(months // 12, months % 12 + 1, 1), today

    def run(self, night: Night) -> None:
        clears, old = night.kind in {"clear", "clear_failed"}, None
        if clears and not self.runs:
            return
        if clears:
            self.now += timedelta(hours=1, days=night.days)
            run_id = self.runs[night.cleared % len(self.runs)].run_id
            tries = [run for run in self.runs if run.run_id == run_id]
            old = tries[-1]
            run = Run(run_id, old.start, old.end, [], clear_number=len(tries))
        elif night.kind == "soon" and self.runs:
            self.now += timedelta(minutes=15)
            run = Run(f"manual{len(self.runs)}", self.runs[-1].start, self.runs[-1].end, [])
        else:
            self.now = datetime.combine(self.now.date() + timedelta(days=night.days), time(2, 30), UTC)
            run = Run(f"night{len(self.runs)}", *self.range(night.periods), [])
        numbers = self.asked_scopes() + (self.dead if night.dead_scopes else [])
        turn = night.order % len(numbers) if numbers else 0
        numbers = numbers[turn:] + numbers[:turn]
        if old and night.kind == "clear_failed":
            run.entries, run.trees = list(old.entries), set(old.trees)
            run.complete = all(self.tree_of[entry.export_id] >= 0 for entry in old.entries)
        done = {entry.scope for entry in run.entries}
        for position, number in enumerate(numbers[:: -1 if night.order % 2 else 1]):
            run.scopes.append(f"team:{number}")
            if f"team:{number}" in done:
                continue
            if night.failing >> number & 1:
                run.complete = False
                continue
            at = self.now + timedelta(seconds=20 * position)
            export = self.export(number, run, at, night)
            run.complete &= not export.faulty
            run.trees.add(export.tree)
            run.entries.append(
                Entry(
                    scope=export.scope,
                    start=run.start,
                    end=run.end,
                    export_id=export.export_id,
                    created_at=export.created_at,
                    staged_at=at + timedelta(minutes=5),
                    reading=night.reading,
                    runs=frozenset({(run.run_id, run.clear_number)}),
                    rows=export.rows,
                    unknown_paths=export.put_aside is None,
                    put_aside=export.put_aside or frozenset(),
                )
            )
        self.runs.append(run)

    def export(self, number: int, run: Run, at: datetime, night: Night) -> Export:
        """Return a new export, or that of an identical request within 30 minutes."""
        scope = f"team:{number}"
        found = self.exports.get((scope, run.start, run.end))
        if found and at - found.created_at < REUSE:
            return found
        self.made += 1
        export_id = f"exp_{self.made * 7 % 100:02d}_{self.made}"
        rows: set[Row] = set()
        empty = bool(night.empty >> number & 1)
        unknown = bool(night.unknown_paths >> number & 1) and number in self.teams
        put_aside: frozenset[str] | None = frozenset()
        if number in self.teams and not empty:
            teams = self.with_all_below(number) if self.setting.contains_children else [number]
            if unknown:
                put_aside = frozenset({self.path(teams[-1])} if len(teams) > 1 else ()) if night.knows_paths else None
            for team in teams[:-1] if unknown and len(teams) > 1 else teams:
                path = self.path(team)
                self.truth[export_id, path] = team
                self.above[export_id, path] = self.paths_above(team)
                rows |= {Row(self.teams[team].name, path, *period) for period in self.periods(run.start, run.end)}
        faulty = (empty or unknown) and number in self.teams
        export = Export(scope, export_id, at, frozenset(rows), self.tree, faulty, put_aside)
        self.tree_of[export_id] = -1 if faulty else self.tree
        self.exports[scope, run.start, run.end] = export
        return export

    def periods(self, start: date, end: date) -> Iterator[tuple[date, date, str | None]]:
        """Yield first day, last day and sprint of what an export of this range shows."""
        if self.setting.granularity == "sprint":
            for name, first, last in self.sprints.values():
                shown = {
                    "overlap": first <= end and start <= last,
                    "start": start <= first <= end,
                    "end": start <= last <= end,
                }
                if shown[self.setting.sprints]:
                    yield first, last, name
            return
        day = start
        while day <= end:
            last = last_day(self.setting.granularity, day)
            yield day, last, None
            day = last + timedelta(days=1)


def live(setting: Setting, steps: Iterable[Step]) -> World:
    """Return the world after these steps."""
    world = World(setting)
    for step in steps:
        if isinstance(step, Change):
            world.change(step)
        else:
            world.run(step)
    return world
