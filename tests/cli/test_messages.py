"""What `airflow sei` offers and says: headings that name what they hold, complaints that name the option."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable, Iterator

import pytest
from airflow.cli.cli_config import ActionCommand, GroupCommand

from sei_provider.cli.definition import get_sei_cli_commands
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.server import serve
from sei_provider.testing import connect

Run = Callable[..., str]


def _add(parsers: ArgumentParser, command: ActionCommand | GroupCommand) -> None:
    if isinstance(command, GroupCommand):
        below = parsers.add_subparsers(required=True)
        for each in command.subcommands:
            _add(below.add_parser(each.name, help=each.help), each)  # type: ignore[arg-type]
    else:
        for argument in command.args:
            argument.add_to_parser(parsers)
        parsers.set_defaults(func=command.func)


@pytest.fixture(scope="module")
def parser() -> ArgumentParser:
    parser = ArgumentParser(prog="airflow sei")
    _add(parser, get_sei_cli_commands()[0])  # type: ignore[arg-type]
    return parser


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxControl]:
    with serve(teams=3, seconds=0) as control:
        yield control


@pytest.fixture
def run(
    parser: ArgumentParser,
    sandbox: SandboxControl,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Runs a command in this process; gives what it printed, or the line with which it ended."""
    connect(monkeypatch, sandbox.base_url, account_identifier="acc")

    def run(*words: str) -> str:
        args = parser.parse_args(words)
        try:
            args.func(args)
        except SystemExit as end:
            return str(end.code)
        return capsys.readouterr().out

    return run


def test_org_trees_stand_under_headings_that_say_so(run: Run) -> None:
    assert json.loads(run("teams", "--output", "json"))[0] == {
        "org_tree": "Engineering", "org_tree_id": "101", "teams": "5"
    }  # fmt: skip


def test_teams_stand_under_their_own_headings(run: Run) -> None:
    rows = json.loads(run("teams", "--org-tree", "Engineering", "--output", "json"))
    assert list(rows[0]) == ["id", "name", "developers"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--since", "yesterday"), "--since must be a date"),
        (("--since", ""), "--since must be a date"),
        (("--until", "2026-02-30"), "--until must be a date"),
        (("--since", "2026-02-02", "--until", "2026-02-01"), "--since 2026-02-02 is after --until 2026-02-01"),
        (("--at-most", "0"), "--at-most must be a whole number from 1, not 0"),
        (("--team", " "), "--team must be a team's id"),
        (("--status", "odd"), "unknown status 'odd'"),
    ],
)
def test_a_wrong_option_is_named_as_it_was_written(
    run: Run, sandbox: SandboxControl, words: tuple[str, ...], said: str
) -> None:
    before = len(sandbox.requests())
    assert run("exports", "list", "sprint", *words).startswith(said)
    assert len(sandbox.requests()) == before, "refused before any call"


@pytest.mark.parametrize(("words", "said"), [
    (("--from", "soon"), "--from must be a date"),
    (("--from", "2026-02-02", "--to", "2026-01-01"), "--from 2026-02-02 is after --to 2026-01-01"),
])  # fmt: skip
def test_coverage_names_its_options_too(run: Run, tmp_path: object, words: tuple[str, ...], said: str) -> None:
    assert run("coverage", "sprint_team_monthly", "--lake", str(tmp_path), *words).startswith(said)


def test_only_reports_that_have_a_list_are_offered_for_listing(run: Run, parser: ArgumentParser) -> None:
    assert run("exports", "list", "velocity") == "unknown report 'velocity'; the report names are: productivity, sprint"
    said = run("exports", "list", "Business_Alignment")
    assert said.startswith("SEI documents no list of business_alignment exports; those that can be listed are: ")


@pytest.mark.parametrize("command", ["show", "download"])
def test_legacy_reports_are_not_offered_as_exports(run: Run, command: str) -> None:
    for report in ("velocity", "team_report"):
        said = run("exports", command, report, "exp_1")
        _, _, offered = said.partition(": ")
        assert "business_alignment" in offered, said
        assert "contributor_report" not in offered, said
