"""The list of developers: on request, never in clear unless `keep` says so, and within reach of `erase`."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sei_provider import lake as sei_lake
from sei_provider.api.client import SeiClient
from sei_provider.lake import CsvError, read_table, stage_developers
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.server import serve
from sei_provider.testing import connect
from tests.operators.conftest import publish
from tests.operators.test_publish_and_check import Event
from tests.operators.test_teams import TABLE, export, read_trees
from tests.tasks import OutletEvents

SECRET = "353d11872e3d003d97275e4ddccdf9f7d4d29d0834fcc75ab117291386d24460"  # a key of the tests alone
PERSON = ["Developer 12-01", "developer-12-01@example.com"]


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxControl]:
    with serve(teams=3, seconds=0) as control:
        connect(monkeypatch, control.base_url, account_identifier="acc", personal_data_secret=SECRET)
        yield control


def bytes_of(lake: Path) -> bytes:
    return b"".join(path.read_bytes() for path in lake.rglob("*") if path.is_file())


def test_the_list_is_left_out_unless_it_is_asked_for(sandbox: SandboxControl, lake: Path) -> None:
    assert len(read_trees(lake, "before")) == 1
    assert not [request for request in sandbox.requests() if request["path"].endswith("/developers")]


def test_kept_in_clear_it_has_a_row_per_developer(sandbox: SandboxControl, lake: Path) -> None:
    publish(lake, read_trees(lake, "before", developers="keep"), [])
    rows = read_table(lake, "developers").to_pylist()
    [row] = [row for row in rows if row["developer"] == PERSON[0]]
    assert (row["developer_id"], row["developer_email"]) == ("12-1", PERSON[1])
    assert {row["team_id"] for row in rows} == {None}


@pytest.mark.parametrize("policy", ["hash", "drop"])
def test_under_another_policy_nothing_of_it_is_in_clear_anywhere(
    sandbox: SandboxControl, lake: Path, policy: str
) -> None:
    staged = read_trees(lake, "before", developers=policy)
    for _ in range(2):
        assert b"example.com" not in bytes_of(lake)
        rows = read_table(lake, "developers").to_pylist() if (lake / "developers").exists() else []
        assert "Developer 1" not in str(rows)
        publish(lake, staged, [])
    assert len(read_table(lake, "developers")) > 3


def test_a_person_is_erased_from_the_table_from_staging_and_from_later_lists(
    sandbox: SandboxControl, lake: Path
) -> None:
    publish(lake, read_trees(lake, "first", developers="keep"), [])
    before = len(read_table(lake, "developers"))
    read_trees(lake, "staged", developers="keep")
    found = sei_lake.erase(lake, PERSON, hash_key=SECRET.encode(), erased_at=datetime.now(UTC))
    assert {each["place"] for each in found} == {"table", "staging"}
    assert len(read_table(lake, "developers")) == before - 1
    publish(lake, read_trees(lake, "later", developers="keep"), [])
    rows = read_table(lake, "developers").to_pylist()
    assert (len(rows), PERSON[0] in str(rows)) == (before - 1, False)


def test_a_later_list_replaces_the_months_older_one(sandbox: SandboxControl, lake: Path) -> None:
    publish(lake, read_trees(lake, "first", developers="hash"), [])
    before = len(read_table(lake, "developers"))
    sandbox.change_teams(delete=["13"])
    publish(lake, read_trees(lake, "second", developers="hash"), [])
    assert 0 < len(read_table(lake, "developers")) < before


def test_a_table_of_another_name_for_the_figures_leaves_the_developers_their_own(
    sandbox: SandboxControl, lake: Path
) -> None:
    from airflow.sdk import Asset

    staged = [
        read_trees(lake, "b", developers="hash", developers_table="web_people"),
        export(lake, "e", ["11"], "2026-01"),
    ]
    events: Any = OutletEvents(Event)
    operator_result = publish(lake, staged, ["11"], table="web_figures", outlets=[Asset("figures")], events=events)
    assert {month["table"] for month in operator_result["published"]} == {"web_figures", "web_people"}
    assert [each["table"] for each in events[Asset("figures")].extra["published"]] == ["web_figures"]
    assert events[Asset("figures")].partitions == ["2026-01"]
    assert TABLE not in {path.name for path in lake.iterdir()}


@pytest.mark.parametrize("policy", ["clear", True, ""])
def test_an_unknown_policy_is_an_error_where_the_dag_is_read(lake: Path, policy: Any) -> None:
    with pytest.raises(Exception, match=r"developers=.* is unknown; use one of keep, hash, drop"):
        read_trees(lake, "before", developers=policy)


def test_teams_and_developers_need_a_table_each(lake: Path) -> None:
    with pytest.raises(Exception, match="teams and developers need a table each"):
        read_trees(lake, "before", developers="drop", developers_table="teams")


def test_without_a_secret_nothing_is_hashed_and_the_extra_is_named(
    sandbox: SandboxControl, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(monkeypatch, sandbox.base_url, account_identifier="acc")
    with pytest.raises(Exception, match="personal_data_secret"):
        read_trees(lake, "before", developers="hash")


@pytest.mark.parametrize(
    ("body", "teams"),
    [
        (
            b'\xef\xbb\xbfName,Email\r\n"One, the first",one@example.com\r\n"Two\nlines",two@example.com\r\n',
            {"all developers"},
        ),
        (b"Team,Name,Email\nWeb,One,one@example.com\n", {"Web"}),
    ],
)
def test_the_list_is_read_as_csv_with_or_without_a_team(tmp_path: Path, body: bytes, teams: set[str]) -> None:
    manifest = stage(tmp_path, body)
    sei_lake.publish(tmp_path / "lake", [manifest], published_at=datetime.now(UTC))
    rows = read_table(tmp_path / "lake", "developers").to_pylist()
    assert {row["team"] for row in rows} == teams
    assert rows[0]["developer"] in {"One", "One, the first"}


LIST = b"""Name,Email,Team,Start_Date,End Date,Granularity,Active Days,Manager Rating
One,one@example.com,Web,2020-01-01,,a,3,High
Two,two@example.com,,May 2021,2026-11-05,b,,
"""


def test_a_developers_own_days_stay_and_who_has_no_team_lands_too(tmp_path: Path) -> None:
    sei_lake.publish(tmp_path / "lake", [stage(tmp_path, LIST)], published_at=datetime.now(UTC))
    names = ["developer", "team", "sei_start_date", "sei_end_date", "sei_granularity", "active_days", "manager_rating"]
    rows = read_table(tmp_path / "lake", "developers").select(names).to_pylist()
    assert sorted([list(row.values()) for row in rows]) == [
        ["One", "Web", "2020-01-01", None, "a", 3.0, "High"],
        ["Two", "all developers", "May 2021", "2026-11-05", "b", None, None],
    ]


@pytest.mark.parametrize("policy", ["hash", "drop"])
def test_under_another_policy_the_team_alone_is_in_clear(tmp_path: Path, policy: str) -> None:
    manifest = stage(tmp_path, LIST, policy, hash_key=bytes.fromhex(SECRET))
    sei_lake.publish(tmp_path / "lake", [manifest], published_at=datetime.now(UTC))
    rows = read_table(tmp_path / "lake", "developers").to_pylist()
    assert [row["team"] for row in rows] == ["Web", "all developers"]
    cells = {str(value) for row in rows for value in row.values()}
    assert not cells & {"One", "one@example.com", "2020-01-01", "May 2021", "2026-11-05", "a", "b", "3.0", "3", "High"}


@pytest.mark.parametrize("body", [b'Name,Email\n"One', b"Name,Email\n\xff,x\n", b"", b"<html></html>"])
def test_what_is_no_csv_is_refused_without_its_values(tmp_path: Path, body: bytes) -> None:
    with pytest.raises(sei_lake.LakeError) as refused:
        stage(tmp_path, body)
    assert "One" not in str(refused.value)
    assert isinstance(refused.value, CsvError | sei_lake.BodyError)


def test_what_a_killed_task_left_of_the_list_is_swept_by_the_next(
    sandbox: SandboxControl, lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    real = SeiClient.download_developers

    def download(client: SeiClient, file: Any, **named: Any) -> int:
        size = real(client, file, **named)
        [made] = temporary.glob("*/developers")
        left = temporary / f"{made.parent.name}-of-a-killed-one"
        left.mkdir(mode=0o700)
        (left / "developers").write_text(PERSON[1])
        os.utime(left, (1, 1))
        return size

    monkeypatch.setattr(SeiClient, "download_developers", download)
    read_trees(lake, "first", developers="keep")
    assert list(temporary.glob("*-of-a-killed-one"))
    monkeypatch.setattr(SeiClient, "download_developers", real)
    read_trees(lake, "second", developers="keep")
    assert not list(temporary.glob("*-of-a-killed-one"))


def stage(tmp_path: Path, body: bytes, policy: str = "keep", **options: Any) -> Any:
    file = tmp_path / "list"
    file.write_bytes(body)
    return stage_developers(
        file,
        folder=tmp_path / "lake" / "_staging" / "task",  # type: ignore[arg-type]  # stage opens it
        table="developers",
        read_at=datetime.now(UTC),
        run_id="run",
        exported_at=datetime.now(UTC),
        personal_data=policy,
        **options,
    )
