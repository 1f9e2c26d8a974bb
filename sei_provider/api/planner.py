"""Plans scopes from a tree of teams, and batches of scopes. Knows no transport and no report."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

from sei_provider.api.errors import SeiInputError
from sei_provider.api.teams import Team

T = TypeVar("T")


def plan_scopes(root: Team, max_teams: int) -> list[str]:
    """Return the team ids to export so that the exports hold the rows of `root` and of every team below it.

    An export of a team contains its child teams (CONTRACT row 26). So a team whose subtree, itself included, has at
    most `max_teams` teams is one scope for all of them, as high in the tree as possible. A larger team is a scope too,
    because only exports of it or of a team above it hold its own rows; the teams below it get scopes of their own.
    The export of a larger team may be too big. The operator then splits it, by dates first; if that does not help,
    only the team's own rows are missing. So each team is in one scope that fits, and in those of the larger teams
    above it.

    Parents come before their children, and children in SEI's order, so the same tree gives the same plan. Raises
    `SeiInputError` if `max_teams` is less than 1.
    """
    if max_teams < 1:
        msg = f"max_teams must be at least 1 team in an export, not {max_teams}"
        raise SeiInputError(msg)
    if _fits(root, max_teams):
        return [root.id]
    return [root.id, *(scope for child in root.children for scope in plan_scopes(child, max_teams))]


def batches(scopes: Sequence[T], size: int) -> list[list[T]]:
    """Split scopes, in their order, into the fewest batches of at most `size`, whose sizes differ by one at most.

    One task takes one batch (DESIGN, decision 5: about 100). Raises `SeiInputError` if `size` is less than 1.
    """
    if size < 1:
        msg = f"the size of a batch must be at least 1 scope, not {size}"
        raise SeiInputError(msg)
    count = -(-len(scopes) // size)
    borders = [len(scopes) * number // count for number in range(count + 1)] if count else []
    return [list(scopes[start:end]) for start, end in pairwise(borders)]


def _fits(team: Team, max_teams: int) -> bool:
    return all(number <= max_teams for number, _ in enumerate(team.walk(), start=1))
