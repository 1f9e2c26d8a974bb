"""Manifests of a task's staging folder: the checkpoint that works on every Airflow version (DESIGN, decision 7).

Reads no Parquet and does not import pyarrow.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import BinaryIO, cast

from sei_provider.lake.model import Manifest
from sei_provider.lake.storage.backend import LakePath
from sei_provider.lake.storage.store import (
    names,
    put_bytes,
    read_each,
    remove_each,
    remove_if_empty,
    staging_path,
)

_PUBLISHED = "published-"
"""Prefix of the objects that list manifests of published slices, whose rows are gone from staging."""
_NEEDED = frozenset({"scope", "start", "end", "table", "path", "rows", "export_id", "created_at", "error"})


def staged(folder: LakePath, *, published: bool = False) -> dict[str, Manifest]:
    """Return the newest manifest of each request in a task's staging folder, by the request's fingerprint.

    A folder that does not exist holds none. A Parquet file without a manifest is unfinished and does not count, nor
    does a manifest that is damaged, or whose Parquet file is gone. `published` adds those that are marked as published:
    they have the key `published`, and no rows in staging any more.
    """
    folder = staging_path(folder)
    existing = names(folder)
    with_rows = {name.removesuffix(".parquet") for name in existing if name.endswith(".parquet")}
    files = [name for name in existing if name.endswith(".json")]
    found: list[Manifest] = []
    for name, content in zip(files, read_each([folder / name for name in files], _parsed), strict=True):
        if name.startswith(_PUBLISHED):
            found += (cast("Manifest", {**manifest, "published": True}) for manifest in content or () if published)
        elif content and name.removesuffix(".json") in with_rows:
            found += content
    # Of one export read twice, the slice that is still to be published comes last.
    found.sort(key=lambda one: (one["created_at"] or "", one["export_id"] or "", not one.get("published")))
    return {PurePosixPath(str(manifest["path"])).stem.partition("-")[0]: manifest for manifest in found}


def _parsed(data: BinaryIO) -> list[Manifest]:
    """Return the manifests that an object holds; none if it is damaged, so that their slices are exported again."""
    try:
        content = json.load(data)
    except (ValueError, RecursionError):
        return []
    found = content if isinstance(content, list) else [content]
    return found if all(_is_manifest(one) for one in found) else []


def _is_manifest(value: object) -> bool:
    """Return whether a value has the fields of a manifest, and text in those that manifests are found and sorted by."""
    return (
        isinstance(value, dict)
        and value.keys() >= _NEEDED
        and all(isinstance(value[name], str | None) for name in ("path", "created_at", "export_id"))
    )


def mark_published(manifests: Sequence[Manifest], paths: Sequence[LakePath]) -> None:
    """Mark slices as published and remove their rows; `paths` are the manifests' own, opened.

    A later try of their task finds the mark and does not request them again. It stays until the folder is swept.
    """
    by_folder: dict[str, list[tuple[Manifest, LakePath]]] = defaultdict(list)
    for manifest, path in zip(manifests, paths, strict=True):
        by_folder[str(path.parent)].append((manifest, path))
    for slices in by_folder.values():
        folder, name = slices[0][1].parent, slices[0][1].name.removesuffix(".parquet")
        put_bytes(folder / f"{_PUBLISHED}{name}.json", json.dumps([manifest for manifest, _ in slices]).encode())
    # Manifests first: a file without a manifest does not count as staged, but a manifest without a file looks lost.
    remove_each([path.with_suffix(".json") for path in paths])
    remove_each(paths)


def discard(folder: LakePath) -> None:
    """Remove a task's staging folder with everything that `stage` and `publish` put there; other files stay."""
    folder = staging_path(folder)
    ours = [name for name in names(folder) if name.endswith((".parquet", ".json")) or name.startswith("_put-")]
    remove_each([folder / name for name in ours])
    remove_if_empty(folder)


def write_manifest(path: LakePath, manifest: Manifest) -> None:
    """Put a manifest beside its Parquet file, after it."""
    put_bytes(path, json.dumps(manifest, indent=1).encode())
