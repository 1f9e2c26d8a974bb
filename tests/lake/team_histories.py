"""Org trees that change over nights, and a judge of `team_id` written from the contract and not from the code.

The figure of each row is the id of its team, so the judge knows the truth of every row.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from hypothesis import strategies as st
from lake_bench import Bench, at

from sei_provider import lake
from sei_provider.lake import Manifest, TreeTeam
from sei_provider.lake.model import ALL_TREES

NAMES = ("Eng", "A", "B", "A/B", "B/A", "CI", "CI/CD", "CD")
TABLE = "productivity_team_monthly"
DIALECTS = ("from the root", "from the scope", "no hierarchy")


@dataclass(frozen=True)
class Node:
    name: str
    parent: int | None


World = dict[int, Node]
"""Teams by id; those without a parent are the roots of trees, which are called as they are."""


def path_of(world: World, team: int, top: int | None = None) -> str:
    node = world[team]
    above = "" if node.parent is None or team == top else path_of(world, node.parent, top) + "/"
    return above + node.name


def root_of(world: World, team: int) -> int:
    parent = world[team].parent
    return team if parent is None else root_of(world, parent)


def below(world: World, team: int) -> set[int]:
    """Return a team with all teams below it."""
    found = {team}
    for child, node in world.items():
        if node.parent == team:
            found |= below(world, child)
    return found


def is_leaf(world: World, team: int) -> bool:
    return all(node.parent != team for node in world.values())


def tree_teams(world: World) -> list[TreeTeam]:
    return [
        TreeTeam(
            id=str(team),
            name=node.name,
            path=path_of(world, team),
            parent_id=None if node.parent is None else str(node.parent),
            tree=f"tree {root_of(world, team)}",
            depth=path_depth(world, team),
            leaf=is_leaf(world, team),
        )
        for team, node in world.items()
    ]


def path_depth(world: World, team: int) -> int:
    parent = world[team].parent
    return 0 if parent is None else 1 + path_depth(world, parent)


def changed(world: World, change: tuple[Any, ...]) -> World:
    """Return the world after one change; one that cannot be made changes nothing."""
    kind, first, second, name = change
    ids = sorted(world)
    team, other = ids[first % len(ids)], ids[second % len(ids)]
    after = dict(world)
    if kind == "rename":
        after[team] = replace(world[team], name=name)
    elif kind == "swap":
        siblings = [each for each in ids if world[each].parent == world[team].parent and each != team]
        other = siblings[second % len(siblings)] if siblings else other
        after[team] = replace(world[team], name=world[other].name)
        after[other] = replace(world[other], name=world[team].name)
    elif kind == "move" and world[team].parent is not None and other not in below(world, team):
        after[team] = replace(world[team], parent=other)
    elif kind == "create":
        after[max(ids) + 1] = Node(name, team)
    elif kind == "split":
        after |= {max(ids) + 1: Node(name, team), max(ids) + 2: Node(world[team].name, team)}
    elif kind == "delete" and world[team].parent is not None:
        after = {key: node for key, node in world.items() if key not in below(world, team)}
    return after


@dataclass(frozen=True)
class Night:
    """Changes between the readings, and what each export of the night saw."""

    changes: list[tuple[Any, ...]]
    exports: list[tuple[int, int]]
    """(Number of the scope, number of the change after which it was made)."""
    between: list[tuple[Any, ...]]
    """Changes after the night."""
    has_before: bool = True
    has_after: bool = True
    reuses: bool = False
    """SEI gives back the exports of the night before, where their scopes are asked for again."""


CHANGES = st.tuples(
    st.sampled_from(["rename", "swap", "move", "create", "split", "delete"]),
    st.integers(0, 20),
    st.integers(0, 20),
    st.sampled_from(NAMES),
)
NIGHTS = st.builds(
    Night,
    changes=st.lists(CHANGES, max_size=2),
    exports=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 2)), min_size=1, max_size=5),
    between=st.lists(CHANGES, max_size=3),
    has_before=st.sampled_from([True, True, True, False]),
    has_after=st.sampled_from([True, True, True, False]),
    reuses=st.sampled_from([False, False, True]),
)
WORLDS = st.sampled_from(
    [
        {1: Node("Eng", None), 2: Node("A", 1), 3: Node("B", 1), 4: Node("A", 2), 5: Node("A/B", 1)},
        {1: Node("Eng", None), 2: Node("CI", 1), 3: Node("CD", 2), 4: Node("CI/CD", 1)},
        {
            1: Node("Eng", None),
            2: Node("Eng", 1),
            3: Node("A", 2),
            4: Node("A", 1),
            5: Node("A", None),
            6: Node("B", 5),
        },
        {1: Node("A", None), 2: Node("B", 1), 3: Node("A", 2), 4: Node("B", 3), 5: Node("B", None), 6: Node("A", 5)},
    ]
)


@dataclass
class Exported:
    """One export: its scope, and the world that it saw."""

    scope: int
    world: World
    minute: float
    readings: list[World]
    """The last reading before it and the first after it: what is undone between these cannot be known."""


@dataclass
class Story:
    """Nights that land in two lakes: one with readings of the trees, one without."""

    bench: Bench
    plain: Bench
    dialect: str
    world: World
    readings: list[tuple[float, World]] = field(default_factory=list)
    exports: dict[str, Exported] = field(default_factory=dict)
    told: dict[str, tuple[World | None, World | None, bool]] = field(default_factory=dict)
    """Export id → the readings of the night that published it last, and whether SEI reused it."""
    _night: int = 0

    def run(self, night: Night) -> None:
        start, manifests, plain = self._night * 60.0, [], []
        states = [self.world]
        for change in night.changes:
            states.append(changed(states[-1], change))
        if night.has_before:
            manifests.append(self._read(states[0], start))
        reused = {each.scope: key for key, each in self.exports.items()} if night.reuses and self._night else {}
        for number, (scope, step) in enumerate(dict(night.exports).items()):
            seen = states[min(step, len(states) - 1)]
            team = sorted(seen)[scope % len(seen)]
            export_id = reused.get(team) or f"exp_{self._night:03}_{number}"
            if not reused.get(team):
                self.exports[export_id] = Exported(team, seen, start + 10 + number, [])
            export = self.exports[export_id]
            before = states[0] if night.has_before else None
            self.told[export_id] = before, states[-1] if night.has_after else None, bool(reused.get(team))
            for bench, into in ((self.bench, manifests), (self.plain, plain)):
                manifest = self._stage(bench, export_id, export, start + 20 + number)
                into.append({**manifest, "reused": True} if reused.get(team) else manifest)
        if night.has_after:
            manifests.append(self._read(states[-1], start + 40))
        for bench, found in ((self.bench, manifests), (self.plain, plain)):
            bench.publish(*found, minute=start + 50)
        self.world = states[-1]
        for change in night.between:
            self.world = changed(self.world, change)
        self._night += 1

    def _read(self, world: World, minute: float) -> Manifest:
        self.readings.append((minute, world))
        return lake.stage_teams(
            tree_teams(world),
            folder=self.bench.staging,
            table="teams",
            scope=ALL_TREES,
            started_at=at(minute),
            read_at=at(minute),
            run_id="night",
        )

    def _stage(self, bench: Bench, export_id: str, export: Exported, staged: float) -> Manifest:
        rows = []
        for team in sorted(below(export.world, export.scope)):
            top = export.scope if self.dialect == "from the scope" else None
            name, path = export.world[team].name, path_of(export.world, team, top)
            begin = f"{name}," if self.dialect == "no hierarchy" else f"{path},{name},"
            rows.append(f"{begin}2026-01-01,2026-01-31,{team},")
        header = "Team," if self.dialect == "no hierarchy" else "Team_Hierarchy,Team,"
        body = "\n".join([f"{header}Start_Date,End_Date,PR_MERGED,Note", *rows, ""]).encode()
        bench.staged = staged
        return bench.stage_bytes(body, bench.slice(f"team:{export.scope}"), age=export.minute, export_id=export_id)

    def is_undone(self, export: Exported, team: int) -> bool:
        """Tell whether neither the last reading before an export nor the first after it has a team where it was."""
        before = [world for minute, world in self.readings if minute <= export.minute][-1:]
        after = [world for minute, world in self.readings if minute > export.minute][:1]
        place = path_of(export.world, team)
        return not any(team in world and path_of(world, team) == place for world in (*before, *after))


def certain(story: Story, export_id: str, team: int) -> bool:
    """Tell whether the contract promises the id: the scope's own leaf team, or a path that both readings have once."""
    export, (before, after, reused) = story.exports[export_id], story.told[export_id]
    if before is None or after is None or reused:
        return False
    path, name = path_of(export.world, team), export.world[team].name
    if team == export.scope and all(team in world and is_leaf(world, team) for world in (before, after)):
        return any((path_of(world, team), world[team].name) == (path, name) for world in (before, after))
    if story.dialect != "from the root":
        return False

    def has_once(world: World) -> bool:
        tree = root_of(export.world, team)
        there = [each for each in world if root_of(world, each) == tree and path_of(world, each) == path]
        return there == [team] and world[team].name == name

    return has_once(before) and has_once(after)
