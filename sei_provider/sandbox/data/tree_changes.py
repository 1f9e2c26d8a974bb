"""Changes of the org trees: teams renamed, moved, split and deleted. Each is checked before it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

from sei_provider.sandbox.data.organisation import Team

TreeChange: TypeAlias = Callable[[dict[str, Team], dict[str, str], int], int]
"""Changes the teams by id and the ids of their parents in place; takes and returns the last id that was given."""


def renamed(names: Mapping[str, str]) -> TreeChange:
    """Give teams other names, so that two can swap theirs."""

    def apply(nodes: dict[str, Team], _above: dict[str, str], last_id: int) -> int:
        for team_id, name in names.items():
            nodes[team_id] = replace(_known(nodes, team_id), name=name)
        return last_id

    return apply


def moved(parents: Mapping[str, str]) -> TreeChange:
    """Put teams, with all below them, below other teams, also those of another tree."""

    def apply(nodes: dict[str, Team], above: dict[str, str], last_id: int) -> int:
        for team_id, parent in parents.items():
            _known(nodes, parent)
            _require_no_root(nodes, above, team_id)
            if team_id in (parent, *_line(parent, above)):
                msg = f"team {team_id} cannot be moved below itself"
                raise ValueError(msg)
            del above[team_id]  # so that it comes last among its new siblings
            above[team_id] = parent
        return last_id

    return apply


def split(parts: Mapping[str, Iterable[str]]) -> TreeChange:
    """Make child teams of teams, which keep their first developer and divide the others."""

    def apply(nodes: dict[str, Team], above: dict[str, str], last_id: int) -> int:
        for team_id, listed in parts.items():
            team, names = _known(nodes, team_id), tuple(listed)
            if not names or not all(names):
                msg = f"team {team_id} must be split into teams with names"
                raise ValueError(msg)
            for number, name in enumerate(names):
                last_id += 1
                developers = team.developers[1 + number :: len(names)]
                nodes[str(last_id)] = Team(str(last_id), name, "", team.group, developers)
                above[str(last_id)] = team_id
            nodes[team_id] = replace(team, developers=team.developers[:1])
        return last_id

    return apply


def deleted(team_ids: Iterable[str]) -> TreeChange:
    """Remove teams with all below them."""

    def apply(nodes: dict[str, Team], above: dict[str, str], last_id: int) -> int:
        for team_id in team_ids:
            _require_no_root(nodes, above, team_id)
            gone = [each for each in nodes if team_id in (each, *_line(each, above))]
            for each in gone:
                del nodes[each], above[each]
        return last_id

    return apply


def _line(team_id: str, above: Mapping[str, str]) -> Iterator[str]:
    """Yield the ids of the teams above one."""
    while team_id in above:
        team_id = above[team_id]
        yield team_id


def _known(nodes: Mapping[str, Team], team_id: str) -> Team:
    if team_id not in nodes:
        msg = f"there is no team {team_id!r}"
        raise ValueError(msg)
    return nodes[team_id]


def _require_no_root(nodes: Mapping[str, Team], above: Mapping[str, str], team_id: str) -> None:
    _known(nodes, team_id)
    if team_id not in above:
        msg = f"team {team_id} is the root of an org tree and stays there"
        raise ValueError(msg)
