"""A batch of scopes as users write it: one reading, whatever it comes from."""

from __future__ import annotations

from enum import Enum, StrEnum

import pytest

from sei_provider.api import Scope, SeiInputError
from sei_provider.api.list_filters import paginate_exports
from sei_provider.api.scopes import parse_batch, parse_batch_json, parse_label


def test_a_batch_is_a_list_or_a_single_scope_each_once() -> None:
    assert parse_batch("12") == parse_batch(12) == parse_batch(["12", 12, {"teamId": "12"}]) == [Scope(team_id="12")]
    both = {"teamId": "12", "orgTreeName": "Engineering"}
    assert parse_batch((11, both)) == [Scope(team_id="11"), Scope("12", "Engineering")]
    assert [scope.value for scope in parse_batch([11, both, {"orgTreeName": "Web"}])] == [
        "11",
        both,
        {"orgTreeName": "Web"},
    ]


@pytest.mark.parametrize("team", ["456", " 12 ", "12\n", "team_abc123", "0", "0101", "5e12", "9" * 20, 1, 2**63 - 1])
def test_a_team_id_is_a_number_from_1_on_or_text_as_it_is_written(team: object) -> None:
    assert parse_batch(team) == parse_batch([{"teamId": team}]) == [Scope(team_id=str(team).strip())]


@pytest.mark.parametrize(
    "text",
    [
        "-1",
        "- 1",
        "+1",
        "1.0",
        "1,2",
        "1_2",
        "١٢",
        "１２",
        "²",
        "Ⅻ",
        "1\u00a02",
        "1\u200b",
        "_",
        "-a",
    ],
)
def test_text_that_is_no_id_is_refused_wherever_a_scope_stands(text: str) -> None:
    for value in (text, [text], ["11", text], {"teamId": text}, [{"teamId": text, "orgTreeName": "Web"}]):
        with pytest.raises(SeiInputError, match="is not a scope"):
            parse_batch(value)
    with pytest.raises(SeiInputError, match="is not a scope"):
        parse_label(f"team:{text}")
    with pytest.raises(SeiInputError, match="team_id must be an id"):
        paginate_exports("sprint", team_id=text)


@pytest.mark.parametrize("number", [0, -1, 2**63, True, 1.0])
def test_a_number_that_is_no_id_and_a_text_that_is_too_long_are_refused(number: float) -> None:
    for value in (number, "9" * 9000):
        with pytest.raises(SeiInputError, match=r"is not a scope|must be a list of scopes or a single scope"):
            parse_batch(value)


def test_members_of_an_enumeration_and_texts_of_a_subclass_are_the_text_that_they_hold() -> None:
    class Team(StrEnum):
        WEB = "11"

    class Tree(str, Enum):  # noqa: UP042 - its text in an f-string is Tree.WEB, unlike a StrEnum's
        WEB = "Web"

    [team, tree] = parse_batch([Team.WEB, {"orgTreeName": Tree.WEB}])
    assert (type(team.team_id), team.label, type(tree.org_tree), tree.label) == (str, "team:11", str, "org:Web")


def test_an_error_names_the_source_and_the_place_in_it() -> None:
    with pytest.raises(SeiInputError, match=r"number 2 of the form: '11,12' is not a scope"):
        parse_batch(["11", "11,12"], "the form")
    with pytest.raises(SeiInputError, match=r"number 1 of scopes is itself a list: .* map over batches with \.expand"):
        parse_batch([["11"], ["12"]])
    with pytest.raises(SeiInputError, match=r"the Variable x is not JSON: .*; write a list"):
        parse_batch_json("['11']", "the Variable x")
    with pytest.raises(SeiInputError, match="names a key twice: teamId, teamId"):
        parse_batch_json('{"teamId": 1, "teamId": 2}', "the Variable x")


def test_a_wrong_value_is_quoted_cut_and_without_addresses() -> None:
    with pytest.raises(SeiInputError) as refused:
        parse_batch("someone@example.com, " * 100)
    assert "@" not in str(refused.value)
    assert len(str(refused.value)) < 800


def test_a_scope_is_read_as_the_lake_names_it() -> None:
    assert parse_label("team:456") == parse_label("456") == Scope(team_id="456")
    assert parse_label("org:CI: the tree") == Scope(org_tree="CI: the tree")
    assert [parse_label(scope.label) for scope in (Scope("a1"), Scope(None, "X"))] == [Scope("a1"), Scope(None, "X")]
    for bad in ("", "team:", "org: ", "['11']", "11,12", "group:5", "team:11,12"):
        with pytest.raises(SeiInputError, match="is not a scope"):
            parse_label(bad)
