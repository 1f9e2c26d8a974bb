"""Test bench: a lake, and short ways to stage made-up exports into it."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import obstore
from upath import UPath

from sei_provider import lake
from sei_provider.lake import Manifest, Published, Slice
from sei_provider.lake.storage.backend import LakePath
from sei_provider.lake.storage.object_path import ObjectPath

EPOCH = datetime(2026, 3, 1, 2, 30, tzinfo=UTC)
STORES = ["disk", "memory", "s3"]
HEADER = "Squad Path,Team,Start_Date,End_Date,PR_MERGED,Note"
"""Deliberately not the sandbox's headers: the hierarchy has a name that only `columns` knows."""


def at(minute: float) -> datetime:
    return EPOCH + timedelta(minutes=minute)


def team_row(path: str, start: str, merged: object = 1, note: str = "", end: str = "") -> str:
    """Return a row for the team at `path`, whose last part is its name."""
    return f"{path},{path.rsplit('/', 1)[-1]},{start},{end},{merged},{note}"


@dataclass
class Bench:
    """One lake, and exports numbered in the order in which SEI made them."""

    folder: Path
    table: str = "productivity_team_monthly"
    report: str = "productivity"
    granularity: str = "monthly"
    header: str = HEADER
    metrics: frozenset[str] = frozenset({"PR_MERGED", "CODING_DAYS"})
    definition: dict[str, object] = field(default_factory=lambda: {"aggregation": "mean"})
    columns: dict[str, Any] = field(default_factory=lambda: {"Squad Path": "team_hierarchy"})
    root: LakePath | None = None
    store: str = "disk"
    endpoint: str = ""
    single_writer: bool = False
    run: str = "manual__1"
    staged: float | None = None
    """Times at which exports are staged, in minutes; by default half a minute after SEI has made each."""
    options: dict[str, Any] = field(default_factory=dict)
    """Further arguments of `stage`."""

    @property
    def lake(self) -> LakePath:
        return self.root or UPath(self.folder / "lake")

    @property
    def staging(self) -> LakePath:
        return self.lake / "_staging" / "task"

    def slice(self, scope: str = "team:1", start: str = "2026-01-01", end: str = "2026-01-31") -> Slice:
        return Slice(
            table=self.table,
            report=self.report,
            scope=scope,
            start=date.fromisoformat(start),
            end=date.fromisoformat(end),
            granularity=self.granularity,
            metrics=self.metrics,
            definition=self.definition,
        )

    def stage_bytes(self, body: bytes, slice_: Slice, *, age: float = 1, export_id: str | None = None) -> Manifest:
        file = self.folder / "body"
        file.write_bytes(body)
        return self.stage_file(file, slice_, age=age, export_id=export_id)

    def stage_file(self, file: Path, slice_: Slice, *, age: float, export_id: str | None = None) -> Manifest:
        return lake.stage(
            file,
            folder=self.staging,
            slice=slice_,
            request="f00d",
            export_id=export_id or f"exp_{age:g}",
            created_at=at(age),
            run_id=self.run,
            exported_at=at(age + 0.5 if self.staged is None else self.staged),
            columns=self.columns,
            single_writer=self.single_writer,
            **self.options,
        )

    def stage(
        self, scope: str, rows: list[str], *, age: float, start: str = "2026-01-01", end: str = "2026-01-31"
    ) -> Manifest:
        body = "\n".join([self.header, *rows, ""]).encode()
        return self.stage_bytes(gzip.compress(body), self.slice(scope, start, end), age=age)

    def publish(self, *manifests: Manifest, minute: float = 1000) -> list[Published]:
        return lake.publish(self.lake, manifests, published_at=at(minute), single_writer=self.single_writer)

    def export(self, scope: str, rows: list[str], *, age: float, **dates: str) -> list[Published]:
        """Stage one slice and publish it at once."""
        return self.publish(self.stage(scope, rows, age=age, **dates))

    def rows(self, *columns: str) -> list[tuple[object, ...]]:
        found = lake.read_table(self.lake, self.table).to_pylist()
        return sorted((tuple(row[name] for name in columns) for row in found), key=str)

    def owners(self) -> dict[str, list[str]]:
        """Return team path → the exports that its rows come from."""
        owners: dict[str, list[str]] = {}
        for path, export in self.rows("team_hierarchy", "_export_id"):
            owners.setdefault(str(path), []).append(str(export))
        return owners

    def path(self, manifest: Manifest) -> LakePath:
        """File in which the rows of a manifest are staged, as it says."""
        return self.lake / str(manifest["path"]).removeprefix(f"{self.lake}/")

    def objects(self, ending: str = "data.parquet") -> dict[str, bytes]:
        """All objects whose names end so; the one by which a store is asked about conditions only by its own name."""
        if isinstance(self.lake, ObjectPath):
            store = self.lake.store.store
            found = [each["path"] for each in obstore.list(store, self.lake.key).collect()]
            wanted = [key for key in found if key.endswith(ending) and (ending or not key.endswith("/_conditions"))]
            return {key: bytes(obstore.get(store, key).bytes()) for key in wanted}
        fs = self.lake.fs
        fs.invalidate_cache()
        return {path: fs.cat_file(path) for path in fs.find(self.lake.path) if path.endswith(ending)}
