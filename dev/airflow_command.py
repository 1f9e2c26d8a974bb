"""`python -m dev.airflow_command <arguments>`: the `airflow` command, beside the processes of an Airflow on SQLite.

SQLite has one writer at a time. A transaction that reads first, is overtaken by a writer and then writes gets
"database is locked" at once, whatever its timeout. `airflow backfill create` does that for each run that it makes.
Therefore every transaction of the command takes the write lock before it reads. This is for commands only, because
Airflow's API server at times opens a transaction inside another and would wait for itself.
"""

import sqlite3
import sys

from sqlalchemy import Connection, Engine, event


def take_turns(engine: Engine | type[Engine]) -> None:
    """Have each transaction of this engine, or of all engines, wait for its turn to write when it begins.

    The recipe of SQLAlchemy's page on SQLite, "Serializable isolation / Savepoints / Transactional DDL".
    """

    @event.listens_for(engine, "connect")
    def leave_begin_to_us(connection: sqlite3.Connection, _entry: object) -> None:
        connection.isolation_level = None

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


if __name__ == "__main__":
    from airflow.__main__ import main

    take_turns(Engine)
    sys.exit(main())
