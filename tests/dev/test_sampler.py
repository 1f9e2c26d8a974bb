"""Sampled figures of a run, from a database with Airflow's column names and a clock that is moved by hand."""

import sqlite3
from pathlib import Path

import pytest

from dev.sampler import TaskKey, TaskSampler


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "airflow.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE task_instance (dag_id, task_id, run_id, map_index, state)")
        connection.executemany(
            "INSERT INTO task_instance VALUES ('nightly', 'export', 'r', ?, ?)",
            [(0, "running"), (1, "running"), (2, "deferred"), (3, "success")],
        )
    connection.close()
    return path


def test_workers_are_held_for_the_time_between_looks_times_the_running_tasks(database: Path) -> None:
    times = iter([10.0, 10.5, 12.0])
    sampler = TaskSampler(database, clock=lambda: next(times))
    for _ in range(3):
        sampler.look()
    assert sampler.running_seconds == {("nightly", "export"): 4.0}


def test_a_task_seen_deferred_once_is_remembered_after_it_went_on(database: Path) -> None:
    sampler = TaskSampler(database)
    sampler.look()
    with sqlite3.connect(database) as connection:
        connection.execute("UPDATE task_instance SET state = 'success'")
    connection.close()
    sampler.look()
    assert sampler.most_deferred == 1
    assert sampler.ever_deferred == {TaskKey("nightly", "export", "r", 2)}


def test_looking_cannot_change_the_database(database: Path) -> None:
    database.chmod(0o444)
    before = database.read_bytes()
    TaskSampler(database).look()
    assert database.read_bytes() == before
    assert [path.name for path in database.parent.iterdir()] == ["airflow.db"]
