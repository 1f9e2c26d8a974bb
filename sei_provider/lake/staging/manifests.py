"""Manifests of a task's staging folder: the checkpoint that works on every Airflow version (DESIGN, decision 7).

Reads no Parquet and does not import pyarrow.
"""

from __future__ import annotations

import json
from typing import cast

from sei_provider.lake.model import Manifest
from sei_provider.lake.storage.backend import LakePath
from sei_provider.lake.storage.store import lake_path, names, put_bytes, read_each, remove_each, remove_if_empty


def staged(folder: LakePath) -> dict[str, Manifest]:
    """Return the newest manifest of each request in a task's staging folder, by the request's fingerprint.

    A folder that does not exist holds none. A Parquet file without a manifest is unfinished and does not count, nor
    does a manifest whose Parquet file is gone.
    """
    folder = lake_path(folder)
    existing = names(folder)
    with_rows = {name.removesuffix(".parquet") for name in existing if name.endswith(".parquet")}
    stems = [name.removesuffix(".json") for name in existing if name.endswith(".json")]
    stems = [stem for stem in stems if stem in with_rows]
    read = read_each([folder / f"{stem}.json" for stem in stems], json.load)
    found = [
        (stem.partition("-")[0], cast("Manifest", manifest))
        for stem, manifest in zip(stems, read, strict=True)
        if manifest is not None
    ]
    return dict(sorted(found, key=lambda pair: (pair[1]["created_at"] or "", pair[1]["export_id"] or "")))


def discard(folder: LakePath) -> None:
    """Remove a task's staging folder with everything that `stage` put there; other files stay."""
    folder = lake_path(folder)
    ours = [name for name in names(folder) if name.endswith((".parquet", ".json")) or name.startswith("_put-")]
    remove_each([folder / name for name in ours])
    remove_if_empty(folder)


def write_manifest(path: LakePath, manifest: Manifest) -> None:
    """Put a manifest beside its Parquet file, after it."""
    put_bytes(path, json.dumps(manifest, indent=1).encode())
