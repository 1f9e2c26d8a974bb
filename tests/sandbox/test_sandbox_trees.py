"""Org trees: their list, their teams, all at once, and what can be wrong with them."""

from __future__ import annotations

from typing import Any

import pytest

from sei_provider.sandbox.data.organisation import Organisation

CALLS = ("", "/hierarchies", "/101/teams")


def walk(node: dict[str, Any]) -> list[dict[str, Any]]:
    return [node, *(below for child in node["children"] for below in walk(child))]


def test_the_trees_are_listed_with_the_fields_of_the_contract(instant) -> None:
    assert instant.trees().json() == {
        "records": [
            {"id": 101, "name": "Engineering", "rootTeamRefId": 1, "teamCount": 46},
            {"id": 102, "name": "Research", "rootTeamRefId": 2, "teamCount": 5},
        ],
        "totalCount": 2,
        "pageIndex": 0,
        "pageSize": 20,
    }


def test_pages_of_trees_count_from_0(instant) -> None:
    first, second, third = (instant.trees(pageIndex=index, pageSize=1).json() for index in range(3))
    assert [[tree["name"] for tree in page["records"]] for page in (first, second, third)] == [
        ["Engineering"],
        ["Research"],
        [],
    ]
    assert {page["totalCount"] for page in (first, second, third)} == {2}
    assert (second["pageIndex"], second["pageSize"]) == (1, 1)


def test_the_teams_of_a_tree_are_nested_and_those_of_the_organisation(instant) -> None:
    root = instant.trees("/101/teams").json()
    teams = Organisation(40)
    assert [node["refId"] for node in walk(root)] == [int(team.id) for team in teams.root.walk()]
    assert [node["name"] for node in walk(root)] == [team.name for team in teams.root.walk()]
    assert {node["leaf"] for node in walk(root) if not node["children"]} == {True}
    assert {node["leaf"] for node in walk(root) if node["children"]} == {False}
    assert root["parentRefId"] is None
    assert {child["parentRefId"] for group in root["children"] for child in group["children"]} == {10, 20, 30, 40, 50}
    assert root["children"][0]["children"][1] == {
        "refId": 12,
        "name": "NA",
        "displayName": "NA",
        "parentRefId": 10,
        "leaf": True,
        "developerCount": len(teams.team("12").developers),
        "children": [],
    }


def test_a_teams_id_as_a_string_is_the_team_of_an_export(instant, body_of) -> None:
    for tree in instant.trees().json()["records"]:
        for node in walk(instant.trees(f"/{tree['id']}/teams").json()):
            (row, *_) = instant.rows("sprint", body_of("sprint", team=str(node["refId"])))
            assert row["Team"] == node["name"]


def test_all_trees_come_at_once_with_the_fields_of_the_contract(instant) -> None:
    engineering, research = instant.trees("/hierarchies").json()
    assert len(walk(engineering)) == 46
    assert {node["orgTreeId"] for node in walk(engineering)} == {101}
    assert research == {
        "refId": 2,
        "name": "Research",
        "orgTreeId": 102,
        "children": [
            {
                "refId": 3,
                "name": "Labs",
                "orgTreeId": 102,
                "children": [
                    {"refId": 4, "name": "Platform Team", "orgTreeId": 102, "children": []},
                    {"refId": 5, "name": "Vacant", "orgTreeId": 102, "children": []},
                ],
            },
            {"refId": 6, "name": "Field Studies", "orgTreeId": 102, "children": []},
        ],
    }


@pytest.mark.parametrize("report", ["productivity", "sprint", "business_alignment"])
def test_the_second_tree_can_be_exported_by_its_name(report: str, instant, body_of) -> None:
    scope = {"orgTreeName": "Research"} | ({} if report == "productivity" else {"orgIdentifier": "acme"})
    rows = instant.rows(report, body_of(report) | {"scope": scope})
    assert {row["Team_Hierarchy"] for row in rows} == {team.hierarchy for team in Organisation(1).trees[1].root.walk()}


@pytest.mark.parametrize("path", CALLS)
def test_trees_need_an_account_as_parameter_or_header(path: str, instant) -> None:
    without = instant.trees(path, accountIdentifier="")
    assert without.status_code == 400
    assert "query parameter accountIdentifier or the header Harness-Account" in without.json()["message"]
    assert instant.http.get(f"/v2/org-trees{path}", headers={"Harness-Account": "acc"}).status_code == 200


@pytest.mark.parametrize("path", CALLS)
def test_trees_need_key_identifiers_and_content_type_like_every_call(path: str, instant) -> None:
    url = f"/v2/org-trees{path}"
    assert instant.http.get(url, headers={"authorization": "ApiKey wrong"}).status_code == 401
    assert instant.http.get(url, headers={"content-type": "text/plain"}).status_code == 415
    for missing in ("projectIdentifier", "orgIdentifier"):
        assert f"query parameter {missing} is required" in instant.trees(path, **{missing: ""}).json()["message"]


@pytest.mark.parametrize(
    ("path", "parameters", "message"),
    [
        ("", {"pageIndex": -1}, "pageIndex must be a whole number from 0, not '-1'"),
        ("", {"pageSize": 0}, "pageSize must be a whole number from 1, not '0'"),
        ("", {"page": 0}, "unknown parameter 'page'; there are projectIdentifier, orgIdentifier, accountIdentifier, t"),
        ("/hierarchies", {"pageIndex": 0}, "unknown parameter 'pageIndex'"),
        ("/101/teams", {"pageSize": 1}, "unknown parameter 'pageSize'"),
    ],
)
def test_a_parameter_that_a_tree_call_does_not_take_is_a_400(path, parameters, message, instant) -> None:
    answer = instant.trees(path, **parameters)
    assert answer.status_code == 400
    assert message in answer.json()["message"]


@pytest.mark.parametrize("tree_id", ["1", "103", "Engineering"])
def test_a_tree_is_found_by_its_own_id_only(tree_id: str, instant) -> None:
    answer = instant.trees(f"/{tree_id}/teams")
    assert (answer.status_code, answer.json()["message"]) == (404, f"Org tree not found: '{tree_id}'")


def test_one_tree_or_all_can_be_forbidden(api, sandbox) -> None:
    sandbox.fault("forbidden", team="Research")
    assert [api.trees(path).status_code for path in (*CALLS, "/102/teams")] == [200, 200, 200, 403]
    assert api.trees("/102/teams").json()["message"] == "Missing permission to view org tree 'Research'"
    sandbox.fault("forbidden")
    assert [api.trees(path).status_code for path in (*CALLS, "/102/teams")] == [403] * 4


def test_the_list_of_trees_can_have_a_next_page_for_ever(api, sandbox) -> None:
    sandbox.fault("endless_pages")
    page = api.trees(pageIndex=40, pageSize=1).json()
    assert [tree["name"] for tree in page["records"]] == ["Engineering"]
    assert page["totalCount"] == 42
    assert api.trees("/101/teams").status_code == 200


@pytest.mark.parametrize("path", ["/hierarchies", "/101/teams"])
def test_a_tree_can_hold_a_cycle(path: str, api, sandbox) -> None:
    sandbox.fault("cycle", times=1)
    reply = api.trees(path).json()
    nodes = walk(reply[0] if path == "/hierarchies" else reply)
    assert [node["refId"] for node in nodes][:4] == [1, 10, 11, 1], "the first leaf's child is the root once more"
    again = api.trees(path).json()
    assert [node["refId"] for node in walk(again[0] if path == "/hierarchies" else again)].count(1) == 1


def test_a_fault_of_trees_is_not_used_up_by_an_export(api, sandbox, clock, body_of) -> None:
    sandbox.fault("forbidden", times=1)
    export_id = api.create("sprint", body_of("sprint")).json()["exportId"]
    clock.now += 30
    assert api.status("sprint", export_id).json()["status"] == "completed"
    assert [api.trees().status_code for _ in range(2)] == [403, 200]
