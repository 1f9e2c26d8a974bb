"""Scopes planned from a tree of teams: each team is in one, and in no more than necessary, whatever the tree."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sei_provider.api import Scope, SeiInputError, Team
from sei_provider.api.planner import batches, plan_scopes


def team(id_: int | str, *children: Team) -> Team:
    return Team(id=str(id_), name=f"Team {id_}", children=children, leaf=not children)


@st.composite
def trees(draw: st.DrawFn) -> Team:
    """Any tree of up to 40 teams: each team but the first is below some team before it."""
    parents = [draw(st.integers(0, number)) for number in range(draw(st.integers(0, 39)))]

    def grown(number: int) -> Team:
        return team(number, *(grown(child) for child, parent in enumerate(parents, start=1) if parent == number))

    return grown(0)


def by_id(root: Team) -> dict[str, Team]:
    return {each.id: each for each in root.walk()}


def covered(scope: Team) -> list[str]:
    return [each.id for each in scope.walk()]


@settings(deadline=None)
@given(trees(), st.integers(1, 45))
def test_every_team_is_asked_for_once_by_a_scope_that_fits_or_by_its_own(root: Team, max_teams: int) -> None:
    teams = by_id(root)
    scopes = [teams[scope] for scope in plan_scopes(root, max_teams)]
    fitting = [scope for scope in scopes if len(covered(scope)) <= max_teams]
    too_big = [scope for scope in scopes if len(covered(scope)) > max_teams]
    times = Counter(id_ for scope in fitting for id_ in covered(scope))
    own = Counter(scope.id for scope in too_big)
    assert times + own == Counter(dict.fromkeys(teams, 1))


@settings(deadline=None)
@given(trees(), st.integers(1, 45))
def test_only_a_team_whose_own_rows_no_smaller_export_carries_is_asked_for_though_too_big(
    root: Team, max_teams: int
) -> None:
    planned = plan_scopes(root, max_teams)
    too_big = {each.id for each in root.walk() if len(covered(each)) > max_teams}
    assert {scope for scope in planned if scope in too_big} == too_big
    assert all(by_id(root)[scope].children for scope in too_big)


@settings(deadline=None)
@given(trees(), st.integers(1, 45))
def test_there_is_no_plan_with_fewer_scopes(root: Team, max_teams: int) -> None:
    """Each fitting scope is as high as will fit: the team above it is too big."""
    planned = set(plan_scopes(root, max_teams))
    for parent in root.walk():
        for child in parent.children:
            if child.id in planned:
                assert len(covered(parent)) > max_teams


@settings(deadline=None)
@given(trees(), st.integers(1, 45))
def test_the_same_tree_gives_the_same_plan_parents_first(root: Team, max_teams: int) -> None:
    planned = plan_scopes(root, max_teams)
    assert planned == plan_scopes(root, max_teams)
    order = covered(root)
    assert planned == sorted(planned, key=order.index)


def test_a_tree_that_fits_is_one_scope_and_one_too_big_goes_down_to_where_it_fits() -> None:
    root = team("root", team("a", team("a1"), team("a2")), team("b"))
    assert plan_scopes(root, 5) == ["root"]
    assert plan_scopes(root, 4) == ["root", "a", "b"]
    assert plan_scopes(root, 2) == ["root", "a", "a1", "a2", "b"]
    assert Scope.parse(plan_scopes(root, 5)[0]) == Scope(team_id="root")


def test_no_export_holds_less_than_one_team() -> None:
    with pytest.raises(SeiInputError, match="max_teams must be at least 1 team in an export, not 0"):
        plan_scopes(team("root"), 0)


@settings(deadline=None)
@given(st.lists(st.integers(), max_size=350), st.integers(1, 120))
def test_batches_hold_every_scope_in_order_and_are_few_and_even(scopes: list[int], size: int) -> None:
    made = batches(scopes, size)
    assert [scope for batch in made for scope in batch] == scopes
    assert len(made) == -(-len(scopes) // size)
    lengths = [len(batch) for batch in made]
    assert all(0 < length <= size for length in lengths)
    assert not lengths or max(lengths) - min(lengths) <= 1


def test_an_empty_batch_is_no_batch() -> None:
    with pytest.raises(SeiInputError, match="at least 1 scope, not 0"):
        batches([1], 0)
