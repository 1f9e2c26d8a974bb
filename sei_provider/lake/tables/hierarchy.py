"""Depth of each team, and whether it is a leaf, from the hierarchies that one month names.

Team names may contain a slash, so a hierarchy cannot be split at every slash; its last part is the `team` column
(CONTRACT, section 3).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from itertools import chain

from sei_provider.lake.bounds import MAX_HIERARCHY_LEVELS


def depths_and_leaves(teams: Collection[tuple[str, str]]) -> dict[tuple[str, str], tuple[int, bool]]:
    """Return, for each (team, hierarchy), the number of teams above it and whether none lies below it.

    An ancestor that no row names is split off at the last slash, the only boundary known then.
    """
    names = {path: team for team, path in sorted(teams)}
    parents = {(team, path): _parent(team, path) for team, path in teams}
    lines = {parent: _line(parent, names) for parent in set(parents.values())}
    inner = {ancestor for line in lines.values() for ancestor in line}
    return {pair: (len(lines[parent]), pair[1] not in inner) for pair, parent in parents.items()}


def parent_path(team: str, path: str) -> str | None:
    """Return the hierarchy of the team above; "" for a root, None if the `team` cell is not the last part of `path`."""
    if path == team:
        return ""
    return path.removesuffix(f"/{team}") if team and path.endswith(f"/{team}") else None


def usual_parent(path: str) -> str:
    """Return what stands before the last slash: the hierarchy of the team above, unless a team's name has a slash."""
    return path.rpartition("/")[0]


class Parents:
    """Teams above each hierarchy, as the `Team` cells tell and never the slashes (DESIGN, decision 12)."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._above: dict[str, set[str]] = {}
        for path, parent in pairs:
            self._above.setdefault(path, set()).add(parent)
        self._found: dict[str, frozenset[str]] = {}

    def ancestors(self, path: str) -> frozenset[str]:
        """Return the hierarchies above one, as far as chains of known parents lead.

        Two teams may share a path (`CD` below `Eng/CI`, and `CI/CD` below `Eng`); what is above either counts.
        """
        if path not in self._found:
            lines = (self.above(parent) for parent in self._above.get(path, ()))
            self._found[path] = frozenset(chain.from_iterable(lines))
        return self._found[path]

    def above(self, parent: str | None) -> frozenset[str]:
        """Return the hierarchies above a team whose parent is known: the parent and its ancestors."""
        return self.ancestors(parent) | {parent} if parent else frozenset()


def _line(parent: str, names: dict[str, str]) -> list[str]:
    """Return a parent and the teams above it; none for the parent of a root."""
    found: list[str] = []
    while parent and len(found) <= MAX_HIERARCHY_LEVELS:  # more are in rewritten files alone
        found.append(parent)
        parent = _parent(names.get(parent, ""), parent)
    return found


def _parent(team: str, path: str) -> str:
    parent = parent_path(team, path)
    return usual_parent(path) if parent is None else parent
