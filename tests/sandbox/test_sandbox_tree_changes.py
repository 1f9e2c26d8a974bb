"""Org trees that change: teams renamed, moved, split and deleted, and reads that may be old."""

from __future__ import annotations

from typing import Any
from urllib.error import HTTPError

import pytest

FRESH = {"there_is_no_cache": "true"}


def teams(api: Any, tree: int = 101, **parameters: str) -> dict[int, dict[str, Any]]:
    def walk(node: dict[str, Any]) -> list[dict[str, Any]]:
        return [node, *(below for child in node["children"] for below in walk(child))]

    return {node["refId"]: node for node in walk(api.trees(f"/{tree}/teams", **parameters).json())}


def test_two_teams_swap_their_names_at_one_moment(api, sandbox) -> None:
    sandbox.change_teams(rename={"12": "null", "13": "NA"})
    found = teams(api, **FRESH)
    assert (found[12]["name"], found[13]["name"], found[13]["displayName"]) == ("null", "NA", "NA")


def test_a_team_is_moved_with_all_below_it_also_to_another_tree(api, sandbox) -> None:
    sandbox.change_teams(move={"10": "6"})
    assert 10 not in teams(api, **FRESH)
    found = teams(api, 102, **FRESH)
    assert (found[10]["parentRefId"], found[11]["parentRefId"], found[6]["leaf"]) == (6, 10, False)


def test_a_split_team_shares_its_developers_with_new_teams_of_new_ids(api, sandbox) -> None:
    before = teams(api, **FRESH)
    sandbox.change_teams(split={"11": ["Part A", "Part/B"]})
    found = teams(api, **FRESH)
    parts = [found[number] for number in found.keys() - before.keys()]
    assert sorted(part["name"] for part in parts) == ["Part A", "Part/B"]
    assert found[11]["leaf"] is False
    assert found[11]["developerCount"] == 1
    assert sum(part["developerCount"] for part in parts) + 1 == before[11]["developerCount"]


def test_a_deleted_team_is_gone_and_its_id_is_not_given_again(api, sandbox) -> None:
    sandbox.change_teams(split={"11": ["Short-lived"]})
    last = max(teams(api, **FRESH))
    sandbox.change_teams(delete=[str(last)])
    sandbox.change_teams(split={"11": ["Next"]})
    assert max(teams(api, **FRESH)) == last + 1


def test_a_read_without_there_is_no_cache_shows_the_trees_before_the_last_change(api, sandbox) -> None:
    sandbox.change_teams(rename={"1": "First"})
    sandbox.change_teams(rename={"1": "Second"})
    assert (teams(api)[1]["name"], teams(api, **FRESH)[1]["name"]) == ("First", "Second")
    for path in ("", "/hierarchies"):
        assert "First" in api.trees(path).text
        assert "Second" in api.trees(path, **FRESH).text


def test_there_is_no_cache_is_true_or_left_out(api) -> None:
    for path in ("", "/hierarchies", "/101/teams"):
        assert api.trees(path, there_is_no_cache="yes").status_code == 400
        assert api.trees(path, thereIsNoCache="true").status_code == 400


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"rename": {"999": "Nobody"}}, "there is no team '999'"),
        ({"rename": {"11": ""}}, "rename.11"),
        ({"move": {"1": "6"}}, "team 1 is the root of an org tree"),
        ({"move": {"10": "11"}}, "team 10 cannot be moved below itself"),
        ({"move": {"11": "999"}}, "there is no team '999'"),
        ({"split": {"11": []}}, "team 11 must be split into teams with names"),
        ({"delete": ["2"]}, "team 2 is the root of an org tree"),
        ({"delete": ["11", "11"]}, "there is no team '11'"),
    ],
)
def test_a_change_that_cannot_be_made_is_refused_and_nothing_changes(api, sandbox, change, reason) -> None:
    before = teams(api, **FRESH)
    with pytest.raises(HTTPError) as refused:
        sandbox.change_teams(**{"rename": {"12": "New"}} | change)
    assert reason in refused.value.read().decode()
    assert teams(api, **FRESH) == before
