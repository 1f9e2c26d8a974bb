"""From a tree of teams to the scopes to ask for, and to batches of them. Pure: knows no transport and no report."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

from sei_provider.api.errors import SeiInputError
from sei_provider.api.teams import Team

T = TypeVar("T")


def plan_scopes(root: Team, max_teams: int) -> list[str]:
    """The team ids to export so that the rows of every team below `root`, and its own, are asked for.

    An export of a team contains its child teams (CONTRACT row 26). So a team with at most `max_teams` teams in its
    subtree, itself counted, is one scope for all of them, and as high in the tree as will fit. A team with more is a
    scope too, since no other export but those of the teams above it carries its own rows; what it contains is asked
    for again below it. Such an export may well be too big: the operator then splits it, by dates first, and if that
    does not help, it lists the team's own rows as missing. The teams below have landed by their own scopes. Each
    team is thus asked for once by a scope that fits, and beyond that only by those teams above it that do not fit.

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
    """The scopes in their order, in as few batches as `size` allows, whose sizes differ by one at the most.

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
