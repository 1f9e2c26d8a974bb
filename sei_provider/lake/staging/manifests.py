"""Manifests of a task's staging folder: the checkpoint that works on every Airflow version (DESIGN, decision 7).

Reads no Parquet and does not import pyarrow.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from pathlib import PurePosixPath
from typing import BinaryIO, cast

from sei_provider.lake.model import Manifest, SliceId, slice_id
from sei_provider.lake.storage.backend import LakePath
from sei_provider.lake.storage.store import (
    names,
    put_bytes,
    read_each,
    remove_each,
    remove_if_empty,
    staging_path,
)

STAGED_FORMAT = 2
"""Version of chunks and of their manifests. Raise it with each change that an older version of this package cannot
read. A file of one slice, and its manifest, have none: 751f940 wrote them in this way."""
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
    return _staged(folder, names(folder), published=published)


def resume(folder: LakePath) -> dict[str, Manifest]:
    """Return what earlier tries of a task have staged or published, and remove what they left unfinished."""
    folder = staging_path(folder)
    existing = names(folder)
    unfinished = [name for name in existing if name.endswith(".parquet") and f"{name[:-8]}.json" not in existing]
    remove_each([folder / name for name in unfinished])
    return _staged(folder, existing, published=True)


def _staged(folder: LakePath, existing: Sequence[str], *, published: bool) -> dict[str, Manifest]:
    with_rows = {name.removesuffix(".parquet") for name in existing if name.endswith(".parquet")}
    files = [name for name in existing if name.endswith(".json")]
    found: list[Manifest] = []
    marked: list[Manifest] = []
    for name, content in zip(files, read_each([folder / name for name in files], _parsed), strict=True):
        if name.startswith(_PUBLISHED):
            marked += (cast("Manifest", {**manifest, "published": True}) for manifest in content or ())
        elif content and name.removesuffix(".json") in with_rows:
            found += content
    # A chunk lies there until all of its slices are published.
    done = {_in_file(manifest) for manifest in marked if "request" in manifest}
    found = [manifest for manifest in found if _in_file(manifest) not in done] + (marked if published else [])
    # Of one export read twice, the slice that is still to be published comes last.
    found.sort(key=lambda one: (one["created_at"] or "", one["export_id"] or "", not one.get("published")))
    return {_request(manifest): manifest for manifest in found}


def _request(manifest: Manifest) -> str:
    return manifest.get("request") or PurePosixPath(str(manifest["path"])).stem.partition("-")[0]


def _in_file(manifest: Manifest) -> tuple[str, SliceId]:
    return PurePosixPath(str(manifest["path"])).name, slice_id(manifest)


def _parsed(data: BinaryIO) -> list[Manifest]:
    """Return the manifests that an object holds; none if it is damaged, so that their slices are exported again.

    As of one that a newer version of this package wrote.
    """
    try:
        content = json.load(data)
    except (ValueError, RecursionError):
        return []
    if isinstance(content, dict) and "slices" in content:
        content = content["slices"] if content.get("format") == STAGED_FORMAT else None
    found = content if isinstance(content, list) else [content]
    return found if all(_is_manifest(one) for one in found) else []


def _is_manifest(value: object) -> bool:
    """Return whether a value has the fields of a manifest, and text in those that manifests are found and sorted by."""
    return (
        isinstance(value, dict)
        and value.keys() >= _NEEDED
        and all(isinstance(value[name], str | None) for name in ("path", "created_at", "export_id"))
        and all(isinstance(value[name], str) for name in ("scope", "start", "end", "table"))
        and isinstance(value.get("request", ""), str)
    )


def mark_published(
    manifests: Sequence[Manifest], paths: Sequence[LakePath], others: Mapping[str, Collection[SliceId]]
) -> None:
    """Mark slices as published, and remove the files of which all slices are; `paths` are the manifests' own, opened.

    `others` are the slices of a file, by its path, that are not among them. A later try of their task finds the mark
    and does not request them again. It stays until the folder is swept.
    """
    by_folder: dict[str, list[tuple[Manifest, LakePath]]] = defaultdict(list)
    for manifest, path in zip(manifests, paths, strict=True):
        by_folder[str(path.parent)].append((manifest, path))
    done: dict[str, LakePath] = {}
    for slices in by_folder.values():
        folder, name = slices[0][1].parent, slices[0][1].name.removesuffix(".parquet")
        if any("request" in manifest for manifest, _ in slices):  # another publisher may mark others of this chunk
            listed = "\n".join(sorted(map(str, (_in_file(manifest) for manifest, _ in slices))))
            name = hashlib.sha256(listed.encode()).hexdigest()[:20]
        put_bytes(folder / f"{_PUBLISHED}{name}.json", json.dumps([manifest for manifest, _ in slices]).encode())
        files = {str(path): path for _, path in slices}
        left = {path: {*others[path]} for path in files if others.get(path)}
        if left:
            marked = _marked(folder)
            left = {path: rest for path, rest in left.items() if rest - marked[files[path].name]}
        done |= {path: file for path, file in files.items() if path not in left}
    # Manifests first: a file without a manifest does not count as staged, but a manifest without a file looks lost.
    remove_each([path.with_suffix(".json") for path in done.values()])
    remove_each(list(done.values()))


def _marked(folder: LakePath) -> dict[str, set[SliceId]]:
    """Return the slices of each file that are marked as published."""
    marks = [name for name in names(folder) if name.startswith(_PUBLISHED)]
    found: dict[str, set[SliceId]] = defaultdict(set)
    for content in read_each([folder / name for name in marks], _parsed):
        for manifest in content or ():
            file, slice_ = _in_file(manifest)
            found[file].add(slice_)
    return found


def discard(folder: LakePath) -> None:
    """Remove a task's staging folder with everything that `stage` and `publish` put there; other files stay."""
    folder = staging_path(folder)
    ours = [name for name in names(folder) if name.endswith((".parquet", ".json")) or name.startswith("_put-")]
    remove_each([folder / name for name in ours])
    remove_if_empty(folder)


def write_manifest(path: LakePath, manifest: Manifest) -> None:
    """Put a manifest beside its Parquet file, after it."""
    put_bytes(path, json.dumps(manifest, indent=1).encode())


def write_chunk_manifest(path: LakePath, manifests: Sequence[Manifest]) -> None:
    """Put the manifest of a chunk beside its Parquet file, after it; it lists the slices."""
    put_bytes(path, json.dumps({"format": STAGED_FORMAT, "slices": manifests}, indent=1).encode())
