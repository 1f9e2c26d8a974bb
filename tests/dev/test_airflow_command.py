"""`dev.airflow_command`: a command reads, is overtaken, and then writes, on a real SQLite file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from dev.airflow_command import take_turns


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "airflow.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE run (id TEXT)")
    return path


@pytest.fixture
def engine(database: Path) -> Engine:
    return create_engine(f"sqlite:///{database}")


def _overtake(database: Path) -> None:
    with closing(sqlite3.connect(database, timeout=0)) as other, other:
        other.execute("INSERT INTO run VALUES ('other')")


def test_who_takes_turns_is_not_overtaken(engine: Engine, database: Path) -> None:
    take_turns(engine)
    with engine.begin() as command, command.begin_nested():
        assert command.scalar(text("SELECT count(*) FROM run")) == 0
        with pytest.raises(sqlite3.OperationalError, match="database is locked"):
            _overtake(database)
        command.execute(text("INSERT INTO run VALUES ('ours')"))
    _overtake(database)
    with engine.begin() as command:
        assert command.scalars(text("SELECT id FROM run")).all() == ["ours", "other"]


def test_who_does_not_is_refused_at_once(engine: Engine, database: Path) -> None:
    with engine.begin() as command, command.begin_nested():
        assert command.scalar(text("SELECT count(*) FROM run")) == 0
        _overtake(database)
        with pytest.raises(OperationalError, match="database is locked"):
            command.execute(text("INSERT INTO run VALUES ('ours')"))
