"""Manifests of a task's staging folder: the memory that every Airflow has (DESIGN, decision 7).

No Parquet is read here, so a task that only looks what is staged pays nothing for it.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, cast

from sei_provider.lake.slices import Manifest
from sei_provider.lake.store import lake_path, put_bytes

if TYPE_CHECKING:
    from upath import UPath


def staged(folder: UPath) -> dict[str, Manifest]:
    """Give what a task's staging folder holds: the newest manifest of each request, by the request's hash.

    A folder that does not exist holds none. A Parquet file without a manifest was not finished and does not count,
    nor does a manifest whose Parquet file is gone.
    """
    folder = lake_path(folder)
    if not folder.exists():
        return {}
    files = list(folder.iterdir())
    whole = {path.stem for path in files if path.suffix == ".parquet"}
    found = [
        (path.stem.partition("-")[0], cast("Manifest", json.loads(path.read_text(encoding="utf-8"))))
        for path in files
        if path.suffix == ".json" and path.stem in whole
    ]
    return dict(sorted(found, key=lambda pair: (pair[1]["created_at"] or "", pair[1]["export_id"] or "")))


def discard(folder: UPath) -> None:
    """Remove a task's staging folder with all that `stage` put there; files of others stay."""
    folder = lake_path(folder)
    if not folder.exists():
        return
    for path in folder.iterdir():
        if path.suffix in {".parquet", ".json"} or path.name.startswith("_put-"):
            path.unlink(missing_ok=True)
    remove_if_empty(folder)


def write_manifest(path: UPath, manifest: Manifest) -> None:
    """Put a manifest beside its Parquet file, after it."""
    put_bytes(path, json.dumps(manifest, indent=1).encode())


def remove_if_empty(folder: UPath) -> None:
    """Remove the folder unless something is in it."""
    with suppress(OSError):  # another publisher removed it, or something came in: neither is a reason to fail
        if not any(folder.iterdir()):
            folder.rmdir()
