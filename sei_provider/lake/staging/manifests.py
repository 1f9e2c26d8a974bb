"""Manifests of a task's staging folder: the memory that every Airflow has (DESIGN, decision 7).

No Parquet is read here, so a task that only looks what is staged pays nothing for it.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, cast

from sei_provider.lake.model import Manifest
from sei_provider.lake.storage.store import lake_path, names, put_bytes, read_each, remove_each, remove_if_empty

if TYPE_CHECKING:
    from upath import UPath


def staged(folder: UPath) -> dict[str, Manifest]:
    """Give what a task's staging folder holds: the newest manifest of each request, by the request's hash.

    A folder that does not exist holds none. A Parquet file without a manifest was not finished and does not count,
    nor does a manifest whose Parquet file is gone.
    """
    folder = lake_path(folder)
    there = names(folder)
    whole = {name.removesuffix(".parquet") for name in there if name.endswith(".parquet")}
    stems = [name.removesuffix(".json") for name in there if name.endswith(".json")]
    stems = [stem for stem in stems if stem in whole]
    read = read_each([folder / f"{stem}.json" for stem in stems], json.load)
    found = [
        (stem.partition("-")[0], cast("Manifest", manifest))
        for stem, manifest in zip(stems, read, strict=True)
        if manifest is not None
    ]
    return dict(sorted(found, key=lambda pair: (pair[1]["created_at"] or "", pair[1]["export_id"] or "")))


def discard(folder: UPath) -> None:
    """Remove a task's staging folder with all that `stage` put there; files of others stay."""
    folder = lake_path(folder)
    ours = [name for name in names(folder) if name.endswith((".parquet", ".json")) or name.startswith("_put-")]
    remove_each([folder / name for name in ours])
    remove_if_empty(folder)


def write_manifest(path: UPath, manifest: Manifest) -> None:
    """Put a manifest beside its Parquet file, after it."""
    put_bytes(path, json.dumps(manifest, indent=1).encode())
