"""The team that a probe asks for, and what its org tree says about it. Plain values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sei_provider.api.teams import Team

SEPARATORS = ("/", " / ", ">", " > ", " → ", "|", "\\", ".", "::")
"""Separators of the names of a hierarchy; CONTRACT's examples have the first."""
_DEEP_ENOUGH = 3
_Found = tuple[Team, tuple[str, ...]]
"""A team, and the names from its tree's root down to it."""


@dataclass(frozen=True, slots=True)
class Place:
    """A team; the rest is empty where no org tree told it."""

    team_id: str
    name: str | None = None
    path: tuple[str, ...] = ()
    """Names from the tree's root down to the team."""
    names: frozenset[str] = frozenset()
    """Names and hierarchies that rows of the team and of those below it may have."""


def choose_leaf(roots: Sequence[Team]) -> Place | None:
    """Return a leaf team whose name no other team has, below as many teams as there are, with developers; if any."""
    found = [each for root in roots for each in _with_paths(root, ())]
    names = [team.name for team, _ in found]
    leaves = [(team, path) for team, path in found if not team.children and team.developer_count != 0]
    leaves.sort(key=lambda leaf: (names.count(leaf[0].name) > 1, "/" in leaf[0].name, -min(len(leaf[1]), _DEEP_ENOUGH)))
    return _place(*leaves[0]) if leaves else None


def find_team(roots: Sequence[Team], team_id: str) -> Place:
    """Return the team with an id; with its id only if no tree has it."""
    found = (each for root in roots for each in _with_paths(root, ()))
    return next((_place(team, path) for team, path in found if team.id == team_id), Place(team_id))


def _with_paths(team: Team, above: tuple[str, ...]) -> Iterator[_Found]:
    path = (*above, team.name)
    yield team, path
    for child in team.children:
        yield from _with_paths(child, path)


def _place(team: Team, path: tuple[str, ...]) -> Place:
    below = [each for _, each in _with_paths(team, path[:-1])]
    names = {"/".join(each[start:]) for each in below for start in range(len(each))}
    names |= {separator.join(path[start:]) for separator in SEPARATORS for start in range(len(path))}
    return Place(team.id, team.name, path, frozenset(names))
