"""A real Airflow at DEBUG against a server that repeats the key: it is nowhere, and is found once redaction is off."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.stack import Stack
from sei_provider.lake import read_table
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.data.organisation import Organisation
from sei_provider.sandbox.server import serve
from tests.api.hostile_answers import ADDRESS, KEY, SIGNATURE, leaks
from tests.leaks.echo import Echo, echo_server
from tests.leaks.finder import Finder
from tests.tasks import REUSE

TEAMS = [team.id for team in Organisation(5).leaves]
GOOD, KEY_IN_LINK, FAILING, ALSO_GOOD, REFUSED = TEAMS
SECONDS = 240


@pytest.fixture(scope="module")
def sandbox() -> Iterator[SandboxControl]:
    with serve(teams=5, seconds=3, key=KEY) as control:
        control.fault("fail", team=FAILING)
        yield control


@pytest.fixture(scope="module")
def echo(sandbox: SandboxControl) -> Iterator[Echo]:
    with echo_server(sandbox.base_url, key_in_link_of=KEY_IN_LINK, refused=REFUSED) as server:
        yield server


@pytest.fixture(scope="module")
def stack(echo: Echo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("leaks")
    (folder / "temporary").mkdir()
    extra = {"org_identifier": "default", "project_identifier": "sandbox", "account_identifier": "acme"}
    connection = {"conn_type": "sei", "host": echo.url, "password": KEY, "extra": extra}
    with Stack(
        folder / "airflow",
        dags=Path(__file__).parent / "dags",
        lake=folder / "lake",
        parallelism=2,
        environment={
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "DEBUG",
            "AIRFLOW_CONN_SEI_DEFAULT": json.dumps(connection),
            "TMPDIR": str(folder / "temporary"),
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "3600",
        },
    ) as started:
        started.wait_for_dags("leak_case")
        started.airflow.unpause("leak_case")
        yield started


def searched(stack: Stack, lake: Path, *, redact: bool) -> Finder:
    """Run the DAG, watching, and look everywhere when it has ended."""
    logs = {"task logs": stack.task_logs, "process logs": stack.home / "processes"}
    with Finder(stack.database, {**logs, "lake": lake, "temporary": lake.parent / "temporary"}) as finder:
        conf = {"scopes": TEAMS, "lake": str(lake), "redact": redact}
        run_id = stack.airflow.trigger("leak_case", conf=conf)
        assert stack.airflow.wait("leak_case", run_id, timeout=SECONDS) == "failed"
    return finder


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_key_a_signature_and_an_address_are_nowhere_and_are_found_once_redaction_is_off(
    stack: Stack, echo: Echo, sandbox: SandboxControl
) -> None:
    lake = stack.home.parent / "lake"
    finder = searched(stack, lake, redact=True)
    print(f"\nlooked at: {dict(sorted(finder.looked_at.items()))}")  # noqa: T201 - the list of places, for a person
    assert finder.found == {}
    landed = set(read_table(lake, "sprint_team_monthly")["_scope"].to_pylist())
    assert landed == {f"team:{GOOD}", f"team:{ALSO_GOOD}"}
    assert finder.looked_at.keys() >= {
        "table task_instance", "table xcom", "table trigger", "table log", "table rendered_task_instance_fields",
        "task logs", "process logs", "lake: .json", "lake: .parquet", "ps", "temporary",
    }  # fmt: skip
    assert min(echo.calls[kind] for kind in ("create", "read", "download")) > 1

    sandbox.advance(REUSE)
    blind = searched(stack, lake.with_name("other"), redact=False)
    print(f"found without redaction: {blind.found}")  # noqa: T201 - as above
    assert {KEY[at : at + 10] for at in range(len(KEY) - 9)} & blind.found["table xcom"]
    assert {ADDRESS, SIGNATURE} <= blind.found["task logs"]


@pytest.mark.parametrize("secret", [KEY, SIGNATURE, ADDRESS, KEY[::-1], KEY[5:15]])
def test_the_finder_finds_a_secret_in_any_place(secret: str, tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("x" * 19_995 + secret)
    finder = Finder(tmp_path / "none", {"logs": tmp_path})
    finder._look_at(finder._files("logs"))
    assert finder.found.keys() == {"logs"}
    assert leaks("nothing at all") == []
