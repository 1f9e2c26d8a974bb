"""Depth of each team, and whether it is a leaf, from the hierarchies that one month names.

Team names may contain a slash, so a hierarchy cannot be split at every slash; its last part is the `team` column
(CONTRACT, section 3).
"""

from __future__ import annotations

from collections.abc import Collection


def depths_and_leaves(teams: Collection[tuple[str, str]]) -> dict[tuple[str, str], tuple[int, bool]]:
    """Return, for each (team, hierarchy), the number of teams above it and whether none lies below it.

    An ancestor that no row names is split off at the last slash, the only boundary known then.
    """
    names = {path: team for team, path in sorted(teams)}
    above = {(team, path): _ancestors(team, path, names) for team, path in teams}
    inner = {ancestor for ancestors in above.values() for ancestor in ancestors}
    return {pair: (len(ancestors), pair[1] not in inner) for pair, ancestors in above.items()}


def _ancestors(team: str, path: str, names: dict[str, str]) -> list[str]:
    found = []
    parent = _parent(team, path)
    while parent:
        found.append(parent)
        parent = _parent(names.get(parent, ""), parent)
    return found


def _parent(team: str, path: str) -> str:
    if team and path.endswith(f"/{team}"):
        return path.removesuffix(f"/{team}")
    return "" if path == team else path.rpartition("/")[0]
