"""Table of the teams: one row per team id, brought up to date by readings of the org trees.

One object, `<lake>/<table>/data.parquet`, put atomically. Knows no rows of exports.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import stamina

from sei_provider.lake.arrow_values import to_rows, to_table
from sei_provider.lake.damage import parsing
from sei_provider.lake.distinct import sorted_by
from sei_provider.lake.errors import ConflictError, TableDefinitionError
from sei_provider.lake.model import TreeTeam
from sei_provider.lake.parquet import read_rows
from sei_provider.lake.staging.org_trees import TEAM_FIELDS, TreeReading
from sei_provider.lake.storage.backend import LakePath
from sei_provider.lake.storage.scratch import scratch_folder
from sei_provider.lake.storage.store import fetch, locked, put, read
from sei_provider.lake.tables.layout import DATA, FORMAT, FORMAT_KEY, table_folder
from sei_provider.lake.tables.schema import check_format
from sei_provider.lake.tables.stored_schema import read_schema

_TIME = pa.timestamp("us", "UTC")
_SCHEMA = pa.schema(
    [
        *TEAM_FIELDS,
        pa.field("first_seen", _TIME, nullable=False),
        pa.field("last_seen", _TIME, nullable=False),
        ("unchanged_since", _TIME),
    ]
)
_ORIGIN_KEY = b"sei.origin"


@dataclass(frozen=True, slots=True)
class KnownTeam:
    """A team as the latest reading that has it shows it, and the readings that have it."""

    team: TreeTeam
    first_seen: datetime
    """Time of the first reading that has it, by SEI's clock."""
    last_seen: datetime
    unchanged_since: datetime | None
    """Time of the first of the readings since which name, path, parent and `leaf` are the same and no other team
    has its path. None if a later reading lacks it, or if another team has its path."""


def teams_path(root: LakePath, table: str) -> LakePath:
    """Return the path of the object that holds a table of teams."""
    return table_folder(root, table) / DATA


def read_teams(root: LakePath, table: str) -> pa.Table | None:
    """Return a table of teams; None if there is none of this name."""
    path = teams_path(root, table)
    with parsing(path):
        return read(path, read_rows)


def add_readings(root: LakePath, table: str, readings: Iterable[TreeReading]) -> dict[str, KnownTeam]:
    """Bring a table of teams up to date by one atomic put, and return its rows by id.

    Each team keeps its row for good, as its last reading shows it. Idempotent: a reading that was added before changes
    nothing. An older reading than those that the table knows moves `first_seen` only. Raises `TableDefinitionError` if
    the teams there are of another account, organization or project, or if the table holds figures.
    """
    readings = sorted(readings, key=lambda reading: (reading.read_at, reading.started_at))
    path = teams_path(root, table)
    with locked(path.parent), scratch_folder() as scratch:
        for attempt in stamina.retry_context(
            on=ConflictError, attempts=40, timeout=None, wait_initial=0.05, wait_max=5
        ):
            with attempt:
                fetched = fetch(path, scratch / "before")
                known: dict[str, KnownTeam] = {}
                origin: Mapping[str, str | None] = {}
                if fetched.file:
                    with parsing(path):
                        rows = read_rows(fetched.file)
                        known, origin = _known(rows), json.loads(rows.schema.metadata[_ORIGIN_KEY])
                        check_format(int(rows.schema.metadata[FORMAT_KEY]), str(path))
                elif read_schema(path.parent).columns:
                    msg = f"table {table} holds figures: give the teams another one with table= of SeiTeamsOperator"
                    raise TableDefinitionError(msg)
                after = known
                for reading in readings:
                    origin = _one_origin(table, origin, reading.origin)
                    after = _with(after, reading)
                if after != known:
                    metadata = {FORMAT_KEY: str(FORMAT), _ORIGIN_KEY: json.dumps(origin)}
                    pq.write_table(_table(after).replace_schema_metadata(metadata), scratch / "after")
                    put(path, scratch / "after", if_match=fetched.version)
    return after


def _with(known: Mapping[str, KnownTeam], reading: TreeReading) -> dict[str, KnownTeam]:
    shared = Counter((team.tree, team.path) for team in reading.teams)
    trees = {team.tree for team in reading.teams}
    after = dict(known)
    for team_id, row in known.items():
        is_covered = reading.is_whole or row.team.tree in trees
        if is_covered and team_id not in reading.by_id and reading.read_at >= row.last_seen:
            after[team_id] = replace(row, unchanged_since=None)
    for team_id, team in reading.by_id.items():
        at, is_alone = reading.read_at, shared[team.tree, team.path] == 1
        since = at if is_alone else None
        old = known.get(team_id)
        if old is None:
            after[team_id] = KnownTeam(team, at, at, since)
            continue
        is_same = is_alone and _place(team) == _place(old.team)
        if at >= old.last_seen:
            if is_same and old.unchanged_since:
                since = old.unchanged_since
            after[team_id] = KnownTeam(team, min(at, old.first_seen), at, since)
            continue
        since = old.unchanged_since
        if since and at >= since and not is_same:
            since = old.last_seen  # how it was between these two readings is not known
        after[team_id] = replace(old, first_seen=min(at, old.first_seen), unchanged_since=since)
    return after


def _place(team: TreeTeam) -> tuple[str | bool | None, ...]:
    return team.tree, team.path, team.name, team.parent_id, team.leaf


def _one_origin(table: str, known: Mapping[str, str | None], new: Mapping[str, str | None]) -> Mapping[str, str | None]:
    """Return the origin of a table; the first value that is told is kept."""
    for name in sorted(known.keys() & new.keys()):
        if known[name] and new[name] and known[name] != new[name]:
            msg = (
                f"table {table} holds the teams of the {name} {known[name]!r}, and these are of {new[name]!r}: give "
                "each a table of its own with table= of SeiTeamsOperator"
            )
            raise TableDefinitionError(msg)
    return {name: known.get(name) or new.get(name) for name in {**known, **new}}


def _table(known: Mapping[str, KnownTeam]) -> pa.Table:
    rows = [
        {
            **asdict(row.team),
            "first_seen": row.first_seen,
            "last_seen": row.last_seen,
            "unchanged_since": row.unchanged_since,
        }
        for row in known.values()
    ]
    return sorted_by(to_table(rows, _SCHEMA), ["tree", "path"])


def _known(rows: pa.Table) -> dict[str, KnownTeam]:
    names = TEAM_FIELDS.names
    return {
        row["id"]: KnownTeam(
            TreeTeam(**{name: row[name] for name in names}),
            row["first_seen"],
            row["last_seen"],
            row["unchanged_since"],
        )
        for row in to_rows(rows)
    }
