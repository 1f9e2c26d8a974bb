"""Org trees and teams: read, found by name, and refused if the reply is not a tree."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from sei_provider.api import OrgTree, SeiAuthError, SeiInputError, SeiNotFoundError, SeiReplyError, Team
from sei_provider.api.redaction import redacting
from sei_provider.sandbox.control import SandboxControl
from tests.api.conftest import MakeClient, answering

ACCOUNT = {"account_identifier": "acc"}


def record(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": number, "name": f"Tree {number}", "rootTeamRefId": number * 10, "teamCount": 4} | fields


def trees(*records: object, total: int | None = None) -> httpx.Response:
    return httpx.Response(200, json={"records": list(records), "totalCount": total or len(records)})


def node(ref_id: object, *children: object, **fields: Any) -> dict[str, Any]:
    named = {"refId": ref_id, "name": f"Team {ref_id}", "displayName": "shown", "parentRefId": None}
    return named | {"leaf": not children, "developerCount": 3, "children": list(children)} | fields


def test_the_sandboxs_teams_are_found_by_name_by_id_and_as_listed(
    client_to: MakeClient, sandbox: SandboxControl
) -> None:
    client = client_to(sandbox.base_url, **ACCOUNT)
    listed = client.list_org_trees()
    assert listed
    for tree in listed:
        root = client.list_teams(tree)
        assert root.id == tree.root_team_id
        assert len(list(root.walk())) == tree.team_count
        assert root == client.list_teams(tree.name) == client.list_teams(tree.id)
    leaves = {team.name for team in root.walk() if team.leaf}
    assert leaves == {team.name for team in root.walk() if not team.children}
    assert all(team.developer_count is not None for team in root.walk())


@pytest.mark.parametrize("count", [None, -1, 2.5, True, "7", 10**19, {}])
def test_what_is_no_count_is_none(client_to: MakeClient, count: object) -> None:
    answer, _ = answering(trees(record(1, teamCount=count)), httpx.Response(200, json=node(10, developerCount=count)))
    client = client_to(answer, **ACCOUNT)
    assert [tree.team_count for tree in client.list_org_trees()] == [None]
    assert client.list_teams(1).developer_count is None


def test_trees_and_teams_are_read_as_documented(client_to: MakeClient) -> None:
    answer, asked = answering(
        trees(record(1), record(2, rootTeamRefId=None, teamCount=None)),
        httpx.Response(200, json=node(10, node(11), node("x12", node(13)))),
    )
    client = client_to(answer, **ACCOUNT)
    assert client.list_org_trees() == [
        OrgTree(id=1, name="Tree 1", root_team_id="10", team_count=4),
        OrgTree(id=2, name="Tree 2"),
    ]
    root = client.list_teams(1)
    assert [(team.id, team.name, team.leaf) for team in root.walk()] == [
        ("10", "Team 10", False),
        ("11", "Team 11", True),
        ("x12", "Team x12", False),
        ("13", "Team 13", True),
    ]
    identifiers = {"accountIdentifier": "acc", "projectIdentifier": "web", "orgIdentifier": "acme"}
    identifiers |= {"there_is_no_cache": "true"}  # without it a list may be old
    assert [request.url.path.removeprefix("/prod1/sei/api") for request in asked] == [
        "/v2/org-trees",
        "/v2/org-trees/1/teams",
    ]
    assert dict(asked[0].url.params) == identifiers | {"pageIndex": "0", "pageSize": "100"}
    assert dict(asked[1].url.params) == identifiers


def test_the_root_of_a_tree_tells_when_sei_answered_by_its_own_clock(client_to: MakeClient) -> None:
    told = {"date": "Mon, 02 Mar 2026 02:30:00 GMT"}
    for headers, read_at in ((told, datetime(2026, 3, 2, 2, 30, tzinfo=UTC)), ({}, None)):
        answer, _ = answering(httpx.Response(200, json=node(10, node(11)), headers=headers))
        root = client_to(answer, **ACCOUNT).list_teams(1)
        assert (root.read_at, root.children[0].read_at) == (read_at, None)


def test_row_14_a_team_id_is_text_that_a_scope_takes() -> None:
    assert [Team.from_reply(node(ref_id)).id for ref_id in (7, "7", "team_abc123")] == ["7", "7", "team_abc123"]


def test_trees_are_read_page_by_page(client_to: MakeClient) -> None:
    answer, asked = answering(trees(record(1), record(2), total=3), trees(record(3), total=3))
    assert [tree.id for tree in client_to(answer, **ACCOUNT).list_org_trees()] == [1, 2, 3]
    assert [request.url.params["pageIndex"] for request in asked] == ["0", "1"]


@pytest.mark.parametrize("call", ["list_org_trees", "list_teams"])
def test_without_an_account_nothing_is_asked_and_the_extra_is_named(client_to: MakeClient, call: str) -> None:
    answer, asked = answering(trees())
    with pytest.raises(SeiInputError, match="set the connection's extra account_identifier"):
        getattr(client_to(answer), call)(*(["Engineering"] if call == "list_teams" else []))
    assert asked == []


@pytest.mark.parametrize(
    ("name", "records", "words"),
    [
        ("Sales", [record(1), record(2)], r"no org tree is called 'Sales'; there are: 'Tree 1' \(id 1\), 'Tree 2'"),
        ("Sales", [], "there are: none that this key may read"),
        ("Tree 1", [record(1), record(2, name="Tree 1")], r"2 org trees are called 'Tree 1'; .*\(id 1\).*\(id 2\)"),
    ],
)
def test_a_name_that_no_tree_or_more_than_one_has_is_an_error_naming_the_trees(
    client_to: MakeClient, name: str, records: list[Any], words: str
) -> None:
    answer, _ = answering(trees(*records))
    with pytest.raises(SeiInputError, match=words):
        client_to(answer, **ACCOUNT).list_teams(name)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (node(1, node(2, node(1))), "goes in a circle: team 1 is below itself"),
        (node(1, node(2, node(3)), node(3)), "names team 3 twice, the second time below team 1"),
        (node(1, node(2), node("2")), "names team 2 twice"),
        ([node(1)], "a team without a usable refId, name or list of children; it has: list"),
        ({"error": "x", "name": "Team"}, "it has: error, name"),
        (node(None), "a team without a usable refId"),
        (node(True), "a team without a usable refId"),
        (node(""), "a team without a usable refId"),
        (node(1, name=None, displayName=None), "a team without"),
        (node(1, children={"2": node(2)}), "a team without"),
        (node(1, "2"), "it has: str"),
    ],
)
def test_what_is_no_tree_of_teams_is_an_error_that_says_why(client_to: MakeClient, reply: Any, words: str) -> None:
    answer, _ = answering(httpx.Response(200, json=reply))
    with pytest.raises(SeiReplyError, match=words):
        client_to(answer, **ACCOUNT).list_teams(1)


def test_a_team_called_by_its_display_name_only_is_taken() -> None:
    assert Team.from_reply(node(1, name=None)).name == "shown"
    assert Team.from_reply({"refId": 1, "name": "NA"}) == Team(id="1", name="NA")


@pytest.mark.parametrize("levels", [101, 100_000])
def test_a_tree_that_is_too_deep_is_an_error(client_to: MakeClient, levels: int) -> None:
    text = "".join(f'{{"refId":{level},"name":"x","children":[' for level in range(levels)) + "]}" * levels
    answer, _ = answering(httpx.Response(200, text=text))
    with pytest.raises(SeiReplyError, match=r"deeper than 100 levels|nested too deeply"):
        client_to(answer, **ACCOUNT).list_teams(1)


def test_a_tree_whose_paths_are_far_larger_than_its_answer_is_an_error(client_to: MakeClient) -> None:
    reply = node("top", *(node(number) for number in range(400)))
    for level in range(1, 98):
        reply = node(f"level-{level}", reply, name="x" * 1000)
    answer, _ = answering(httpx.Response(200, json=reply))  # 160 KB, with paths of 40 MB
    with pytest.raises(SeiReplyError, match=r"paths of 4[0-9],[0-9,]+ characters in all; at most 33,554,432"):
        client_to(answer, **ACCOUNT).list_teams(1)


def test_names_of_a_tree_do_not_hold_a_worker_while_the_key_is_looked_for() -> None:
    reply = {"refId": 1, "name": "x", "children": [node(number, name="x" * 2000) for number in range(2, 502)]}
    with redacting("pat.acme.sesame-open-1234"):
        began = time.process_time()
        assert len(Team.from_reply(reply).children) == 500
    assert time.process_time() - began < 2.0  # a megabyte; it took 4 seconds, and now half a second


@pytest.mark.parametrize(
    "reply",
    [
        node("a@example.com", node("a@example.com")),
        node(1, node("a@example.com"), node("a@example.com")),
        node(1, node("a@example.com", node(2), node(2))),
    ],
)
def test_an_address_as_the_id_of_a_team_is_in_no_error(client_to: MakeClient, reply: Any) -> None:
    answer, _ = answering(httpx.Response(200, json=reply))
    with pytest.raises(SeiReplyError) as caught:
        client_to(answer, **ACCOUNT).list_teams(1)
    assert "example.com" not in str(caught.value)


def test_an_address_as_the_name_of_a_tree_is_in_no_error(client_to: MakeClient) -> None:
    answer, _ = answering(trees(record(1, name="a@example.com")), httpx.Response(404))
    client = client_to(answer, **ACCOUNT)
    [tree] = client.list_org_trees()
    with pytest.raises(SeiNotFoundError, match="teams of org tree '<e-mail>'"):
        client.list_teams(tree)


def test_a_hundred_levels_are_read() -> None:
    reply = node(0)
    for level in range(1, 100):
        reply = node(level, reply)
    assert len(list(Team.from_reply(json.loads(json.dumps(reply))).walk())) == 100


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ({"trees": []}, "SEI's list of org trees has no list 'records' but: trees"),
        ({"records": [{"id": 1}]}, "an org tree without a usable id or name; it has: id"),
        ({"records": [record(1, id="1")]}, "an org tree without a usable id"),
        ({"records": ["Engineering"]}, "it has: str"),
        ({"records": [], "totalCount": "3"}, "no usable totalCount"),
    ],
)
def test_a_list_of_trees_of_another_shape_is_an_error(client_to: MakeClient, reply: Any, words: str) -> None:
    answer, _ = answering(httpx.Response(200, json=reply))
    with pytest.raises(SeiReplyError, match=words):
        client_to(answer, **ACCOUNT).list_org_trees()


def test_the_sandboxs_cycle_endless_pages_and_forbidden_trees_are_errors_in_bounded_time(
    client_to: MakeClient, quiet_sandbox: SandboxControl
) -> None:
    client = client_to(quiet_sandbox.base_url, **ACCOUNT)
    (name, *_) = [tree.name for tree in client.list_org_trees()]
    quiet_sandbox.fault("cycle")
    with pytest.raises(SeiReplyError, match="goes in a circle"):
        client.list_teams(name)
    quiet_sandbox.clear_faults()
    quiet_sandbox.fault("endless_pages")
    with pytest.raises(SeiReplyError, match="does not end by page 10: the last 10 pages held nothing new"):
        client.list_org_trees()
    quiet_sandbox.clear_faults()
    quiet_sandbox.fault("forbidden")
    with pytest.raises(SeiAuthError, match=r"HTTP 403.*Missing permission"):
        client.list_org_trees()


def test_a_tree_that_does_not_exist_is_an_error_that_names_it(client_to: MakeClient, sandbox: SandboxControl) -> None:
    with pytest.raises(SeiNotFoundError, match="read the teams of org tree 999 with HTTP 404"):
        client_to(sandbox.base_url, **ACCOUNT).list_teams(999)
