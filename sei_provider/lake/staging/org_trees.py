"""Readings of the org trees: staged as Parquet with a manifest, like the rows of an export, and read back.

Knows no table and no call.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from sei_provider.lake.arrow_values import to_table
from sei_provider.lake.model import ALL_TREES, Manifest, TreeTeam, checked_table_name
from sei_provider.lake.parquet import read_rows
from sei_provider.lake.periods import in_utc
from sei_provider.lake.staging.manifests import write_manifest
from sei_provider.lake.storage.backend import LakePath
from sei_provider.lake.storage.scratch import scratch_folder
from sei_provider.lake.storage.store import lake_path, put, require_safe_writes

TEAM_FIELDS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("name", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        ("parent_id", pa.string()),
        pa.field("tree", pa.string(), nullable=False),
        pa.field("depth", pa.int32(), nullable=False),
        pa.field("leaf", pa.bool_(), nullable=False),
        ("developer_count", pa.int64()),
    ]
)
READING = "teams-"
"""Beginning of the names of staged readings."""
_READING_KEY = b"sei.org_trees"
"""Footer entry: when the reading was made, and of which trees and origin, as JSON."""


@dataclass(frozen=True, slots=True)
class TreeReading:
    """Teams of one or several org trees, as SEI told them at one time."""

    teams: Sequence[TreeTeam]
    read_at: datetime
    """Time of SEI's last answer among them, by SEI's clock."""
    started_at: datetime
    """Time of the first call, by our clock."""
    is_whole: bool = True
    """True if it is of all org trees."""
    origin: Mapping[str, str | None] = field(default_factory=dict)
    """Account, organization and project, as far as they are known."""
    by_id: Mapping[str, TreeTeam] = field(init=False)
    _by_path: Mapping[tuple[str, str], Sequence[TreeTeam]] = field(init=False)

    def __post_init__(self) -> None:
        by_path: dict[tuple[str, str], list[TreeTeam]] = defaultdict(list)
        for team in self.teams:
            by_path[team.tree, team.path].append(team)
        object.__setattr__(self, "by_id", {team.id: team for team in reversed(self.teams)})
        object.__setattr__(self, "_by_path", by_path)

    def at(self, tree: str, path: str) -> Sequence[TreeTeam]:
        """Return the teams that have a path in a tree."""
        return self._by_path.get((tree, path), ())


def stage_teams(
    teams: Iterable[TreeTeam],
    *,
    folder: LakePath,
    table: str,
    scope: str,
    started_at: datetime,
    read_at: datetime,
    run_id: str,
    origin: Mapping[str, str | None] | None = None,
    single_writer: bool = False,
) -> Manifest:
    """Put one reading of the org trees into `folder` as Parquet, then put its manifest.

    `scope` is `ALL_TREES`, or `org:` and the name of the one tree that was read. `started_at` is when the first call
    was made, by our clock; `read_at` when SEI answered the last one, by SEI's. Both puts are atomic, and the manifest
    comes last. Raises `StoreError` if a disk is full or the lake cannot be written.
    """
    folder = lake_path(folder)
    require_safe_writes(folder, single_writer=single_writer)
    started_at, read_at = in_utc(started_at, "started_at"), in_utc(read_at, "read_at")
    rows = to_table(map(asdict, teams), TEAM_FIELDS)
    reading = {
        "read_at": read_at.isoformat(),
        "started_at": started_at.isoformat(),
        "is_whole": scope == ALL_TREES,
        "origin": dict(origin or {}),
        "run_id": run_id,
    }
    target = folder / f"{READING}{started_at:%Y%m%dT%H%M%S%f}.parquet"
    with scratch_folder() as scratch:
        pq.write_table(rows.replace_schema_metadata({_READING_KEY: json.dumps(reading)}), scratch / "object")
        put(target, scratch / "object")
    day = read_at.date().isoformat()
    manifest = Manifest(
        scope=scope,
        start=day,
        end=day,
        table=checked_table_name(table),
        path=str(target),
        rows=len(rows),
        export_id=None,
        created_at=read_at.isoformat(),
        error=None,
        teams=True,
    )
    write_manifest(target.with_suffix(".json"), manifest)
    return manifest


def load_reading(file: Path) -> TreeReading:
    """Read what `stage_teams` put, from a local file."""
    rows = read_rows(file)
    reading = json.loads(rows.schema.metadata[_READING_KEY])
    return TreeReading(
        [TreeTeam(**row) for row in rows.to_pylist()],
        read_at=datetime.fromisoformat(reading["read_at"]),
        started_at=datetime.fromisoformat(reading["started_at"]),
        is_whole=reading["is_whole"],
        origin=reading["origin"],
    )
