"""`sei_provider.testing`: the files of docs/testing.md as they stand there, and what the fixtures promise."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, Variable, task

from sei_provider.hooks.sei import SeiHook
from sei_provider.sandbox.control import SandboxControl
from sei_provider.testing import connect

pytest_plugins = ["sei_provider.testing"]

PAGE = Path(__file__).parents[2] / "docs" / "testing.md"
DAG_FILE, TEST_FILE = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
SHOWN: dict[str, Any] = {}
exec(compile(TEST_FILE, "test_sprints.py", "exec"), SHOWN)  # noqa: S102 - this project's own page
TESTS = [name for name in SHOWN if name.startswith("test_")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the page's DAG, in which the test runs."""
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "sprints.py").write_text(DAG_FILE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", TESTS)
@pytest.mark.usefixtures("folder")
def test_the_tests_of_the_page_pass_as_they_stand_there(
    name: str, sei_sandbox: SandboxControl, sei_lake: Path, sei_dag: Callable[..., DAG]
) -> None:
    SHOWN[name](sei_sandbox, sei_lake, sei_dag)


def test_the_first_test_of_the_page_has_five_lines() -> None:
    [shown] = re.findall(rf"def {TESTS[0]}\(.*\n((?:    .*\n)+)", TEST_FILE)
    assert 1 + len(shown.splitlines()) <= 5


def test_the_connection_leads_to_the_sandbox(sei_sandbox: SandboxControl, monkeypatch: pytest.MonkeyPatch) -> None:
    assert SeiHook().test_connection()[0]
    connect(monkeypatch, sei_sandbox.base_url, conn_id="sei_web", account_identifier="acc")
    assert [team.name for team in SeiHook("sei_web").list_teams("Engineering")] == ["Engineering"]
    assert len(sei_sandbox.requests()) > 1


class TestOptions:
    @pytest.fixture
    def sei_sandbox_options(self) -> dict[str, Any]:
        return {"teams": 7, "seconds": 0, "key": "another"}

    def test_a_fixture_of_ones_own_chooses_the_sandboxs_options(self, sei_sandbox: SandboxControl) -> None:
        assert sei_sandbox.key == "another"
        assert SeiHook().test_connection()[0]


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("1 / 0\n", "does not import:\n"),
        ("dag = None\n", r"defines the DAGs \(none\)"),
        (
            "from airflow.sdk import DAG\na, b = DAG('a'), DAG('b')\n",
            "defines the DAGs a, b",
        ),
    ],
)
def test_a_file_that_gives_no_dag_is_told(tmp_path: Path, sei_dag: Callable[..., DAG], file: str, said: str) -> None:
    path = tmp_path / "some.py"
    path.write_text(file, encoding="utf-8")
    with pytest.raises(ValueError, match=said):
        sei_dag(path)


def test_a_dag_made_in_the_test_is_ready_too(sei_dag: Callable[..., DAG], sei_lake: Path) -> None:
    found = []
    with DAG("made_here", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:

        @task
        def look() -> None:
            found.append(Variable.get("sei_lake"))

        look()
    assert sei_dag(dag).test().state == "success"  # type: ignore[attr-defined]
    assert found == [str(sei_lake)]


def test_airflows_own_database_is_left_alone(sei_airflow_database: Path) -> None:
    from airflow import settings

    assert str(settings.engine.url).endswith(f"{sei_airflow_database.parent}/airflow.db")
