"""Names that others chose, on a terminal: escape codes, markup, bidi and control characters do nothing there."""

from __future__ import annotations

import json
import unicodedata
from argparse import ArgumentParser
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from sei_provider.api import SeiError
from sei_provider.cli import commands
from sei_provider.cli.output import print_rows
from sei_provider.printable import printable
from sei_provider.testing import connect
from sei_provider.triggers.export import few
from tests.api.raw_server import raw_server
from tests.api.raw_server import said as answering
from tests.cli.test_messages import parser  # noqa: F401  the fixture
from tests.examples import examples

FORMATS = ["table", "plain", "json", "yaml"]
NASTY = [
    "\x1b[31mred\x1b[0m", "\x1b]8;;http://example.com\x07link", "\x9b2J", "[/x]", "[red]a", "[", "[link=x]y[/link]",
    ":warning:", "a\u202eb\u2066c", "line\nbreak\r\ttab", "\x7f\x08\x08", "\u2028\u2029\u200b\ufeff", "\\[", "\\x1b",
    "Ünïcode 学",
]  # fmt: skip


def is_harmless(shown: str) -> bool:
    return all(char == "\n" or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in shown)


def shown_as(rows: list[dict[str, Any]], output: str) -> str:
    written = StringIO()
    with redirect_stdout(written):
        print_rows(rows, output)
    return written.getvalue()


@pytest.mark.parametrize("output", FORMATS)
@settings(max_examples=examples(60), deadline=None)
@given(name=st.sampled_from(NASTY) | st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_no_name_steers_a_terminal_or_crashes_a_format(output: str, name: str) -> None:
    rows = [{"id": "1", "name": name, name or "x": 5}]
    shown = shown_as(rows, output)
    assert is_harmless(shown)
    read = {"json": json.loads, "yaml": yaml.safe_load}.get(output)
    if read:
        assert read(shown)[0]["name"] == name.replace("\x7f", r"\x7f")
    elif len(name) < 20 and name.split():
        assert "".join(printable(name).split()) in "".join(shown.split())


def hostile_command(name: str) -> dict[str, tuple[list[str], Any]]:
    """Each command that asks SEI, and an answer that holds the name wherever it can."""
    export = {
        "exportId": "exp_1", "status": "failed", "createdAt": "2026-01-01T00:00:00Z", "error": name,
        "orgTreeName": name, "errorMessage": name, "message": name, "failureReason": name,
    }  # fmt: skip
    trees = {"content": [{"id": 1, "name": name, "rootTeamRefId": 11, "teamCount": 1}], "totalPages": 1}
    return {
        "trees": (["teams"], trees),
        "teams": (["teams", "--org-tree", "x"], {"id": 11, "name": name, "children": [], "teams": []}),
        "show": (["exports", "show", "productivity", "exp_1"], export),
        "list": (["exports", "list", "productivity"], {"content": [export], "exports": [export], "totalPages": 1}),
        "check": (["check"], {"content": [export], "totalPages": 1}),
        "download": (["exports", "download", "productivity", "exp_1"], export),
    }


@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request"])
@pytest.mark.parametrize("output", FORMATS)
@pytest.mark.parametrize("command", hostile_command(""))
def test_no_command_prints_what_a_hostile_server_wants(
    parser: ArgumentParser,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    output: str,
    status: str,
) -> None:
    name = "".join(NASTY)
    words, answer = hostile_command(name)[command]
    words = words if command == "download" else [*words, "--output", output]
    with raw_server(answering(answer, status=status)) as server:
        connect(monkeypatch, server.base_url, account_identifier="acc")
        args = parser.parse_args(words)
        try:
            args.func(args)
            said = ""
        except SystemExit as end:
            said = str(end.code)
    captured = capsys.readouterr()
    assert is_harmless(captured.out + captured.err + said)


@pytest.mark.parametrize("name", NASTY)
def test_an_error_is_one_line_of_what_can_be_seen(name: str) -> None:
    with pytest.raises(SystemExit) as end, commands._errors_as_lines():
        raise SeiError(name)
    assert is_harmless(str(end.value.code))
    assert "\n" not in str(end.value.code)


def test_names_in_a_tasks_messages_are_harmless_too() -> None:
    assert is_harmless(few(NASTY))
