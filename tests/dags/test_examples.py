"""Rules for all example DAGs: cheap to import, documented, retried, with names by which to find a team."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest
from airflow.sdk import DAG
from airflow.sdk.definitions.mappedoperator import MappedOperator

from bench.parse_time import Look, a_bare_file, examples, heavy, look_at

EXAMPLES = [path.stem for path in examples()]


@pytest.fixture(scope="module")
def bare() -> Iterator[Look]:
    with a_bare_file() as path:
        yield look_at(path)


@pytest.fixture(params=EXAMPLES)
def dag(request: pytest.FixtureRequest, load: Callable[[str], ModuleType]) -> DAG:
    return load(request.param).dag


def test_there_are_seven() -> None:
    assert [
        *(
            "sei_backfill",
            "sei_freshness",
            "sei_history",
            "sei_legacy_reports",
            "sei_maintenance",
            "sei_nightly",
            "sei_scorecard",
        )
    ] == EXAMPLES


def test_importing_them_calls_nobody_and_loads_nothing_heavy(bare: Look) -> None:
    look = look_at(*examples())
    assert look.calls == []
    assert heavy(look, bare) == []


def test_a_heavy_import_and_a_call_would_be_seen(tmp_path: Path, bare: Look) -> None:
    path = tmp_path / "bad.py"
    path.write_text(
        'import sqlite3, socket, pandas\nsqlite3.connect(":memory:")\nsocket.getaddrinfo("127.0.0.1", 80)\n'
    )
    look = look_at(path)
    assert [call.split()[0] for call in look.calls] == ["sqlite3.connect", "socket.getaddrinfo"]
    assert "pandas" in heavy(look, bare)


def test_it_and_its_tasks_are_documented(dag: DAG) -> None:
    assert dag.doc_md
    assert [task.task_id for task in dag.tasks if not task.doc_md] == []


def test_what_may_pass_is_tried_again_and_ever_later(dag: DAG) -> None:
    for task in dag.tasks:
        # Checks and the plan's parts look only at what is handed to them: nothing would change.
        if not task.task_id.rpartition(".")[2].startswith(("check", "part")):
            assert (task.retries, bool(task.retry_exponential_backoff)) == (3, True), task.task_id


def test_mapped_tasks_have_names(dag: DAG) -> None:
    in_mapped_groups = [task for task in dag.tasks if task.get_closest_mapped_task_group() is not None]
    mapped = [task for task in dag.tasks if isinstance(task, MappedOperator)] + in_mapped_groups
    assert [task.task_id for task in mapped if not task.map_index_template] == []


def test_no_form_requires_a_field_that_may_stay_empty(dag: DAG) -> None:
    params = {name: dag.params.get_param(name) for name in dag.params}
    empty = {name: param for name, param in params.items() if param.has_value and param.value in (None, [], "")}
    required = [name for name, param in empty.items() if "null" not in param.schema["type"]]
    assert required == []
    for param in empty.values():
        assert param.resolve(None) is None
