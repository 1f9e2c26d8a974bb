"""Help and messages of `airflow sei`: headings that name what they hold, complaints that name the option."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from collections.abc import Callable, Iterator
from datetime import UTC

import httpx
import pytest
from airflow.cli.cli_config import ActionCommand, GroupCommand
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sei_provider.cli.definition import get_sei_cli_commands
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.server import serve
from sei_provider.testing import connect
from tests.examples import examples
from tests.operators import argument_judge as judge

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


OPTIONS: dict[str, st.SearchStrategy[str]] = {
    "--since": st.sampled_from(
        ["2026-01-05", "20260105", " 2026-01-05 ", "yesterday", "", "2026-13-01", "2026-01-05T00:00"]
    ),
    "--until": st.sampled_from(["2026-02-05", "2026-01-01", "20260230", "now", "٢٠٢٦-01-01"]),
    "--team": st.sampled_from(["11", " 12 ", "team_a", "0", "-1", "11,12", "", "None", "١٢", "['11']"]),
    "--status": st.sampled_from(["failed", "COMPLETED", " Queued", "odd", "", "failed,queued"]),
    "--at-most": st.sampled_from(["1", "5", "150", "0", "-2"]),
}


@pytest.mark.fuzz
@given(
    report=st.sampled_from(["sprint", "Productivity", " sprint", "business_alignment", "team_report", "velocity", ""]),
    given_options=st.fixed_dictionaries({}, optional=OPTIONS),
    mine=st.booleans(),
)
@settings(max_examples=examples(40), suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_options_are_refused_before_any_call_or_sei_is_asked_for_what_was_meant(
    run: Run, monkeypatch: pytest.MonkeyPatch, report: str, given_options: dict[str, str], mine: bool
) -> None:
    meant = _meaning(report, given_options)
    asked: list[httpx.Request] = []
    send = httpx.Client.send
    with monkeypatch.context() as patch:
        patch.setattr(httpx.Client, "send", lambda self, call, **how: asked.append(call) or send(self, call, **how))
        said = _said(run, report, given_options, mine)
    if meant is None:
        assert asked == [], f"{said}: SEI was asked"
        assert "\n" not in said, "one line"
        assert said, "the reason"
    else:
        assert asked, said
        query = asked[0].url.params
        assert {name: query.get(name) for name in meant} == meant
        assert query["scope"] == ("mine" if mine else "all")


def _said(run: Run, report: str, options: dict[str, str], mine: bool) -> str:
    # With "=" a value may begin with a dash.
    return run("exports", "list", report, *(f"{name}={value}" for name, value in options.items()), *["--mine"][:mine])


def _meaning(report: str, options: dict[str, str]) -> dict[str, str | None] | None:
    """The query of the list call (seed 001), or None for what makes no sense."""
    if report.strip().lower() not in {"sprint", "productivity"}:
        return None
    days = {name: judge.day(options[name], UTC, ends=False) for name in ("--since", "--until") if name in options}
    if None in days.values() or any("T" in options[name] for name in days):
        return None
    first, last = days.get("--since"), days.get("--until")
    if first and last and first > last:
        return None
    team = judge.scope(options["--team"]) if "--team" in options else {}
    status = options.get("--status", "failed").strip().upper()
    at_most = int(options.get("--at-most", "50"))
    if team is None or status not in {"QUEUED", "PROCESSING", "COMPLETED", "FAILED", "CANCELLED"} or at_most < 1:
        return None
    return {
        "dateFrom": first and first.isoformat(),
        "dateTo": last and last.isoformat(),
        "teamId": team.get("teamId"),
        "status": status if "--status" in options else None,
        "limit": str(min(at_most, 100)),
    }
