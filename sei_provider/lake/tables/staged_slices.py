"""Slices in hand of a publish: fetched, opened, and told from those that are gone or damaged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

import pyarrow as pa

from sei_provider.lake.damage import STAGED, damaged_object, parsing
from sei_provider.lake.errors import DamagedObjectError, LakeError
from sei_provider.lake.model import Manifest, SliceId, SliceKey, slice_id
from sei_provider.lake.staging.staged_file import StagedFiles
from sei_provider.lake.storage.backend import LakePath
from sei_provider.lake.storage.store import fetch_each


class UnreadableRowsError(Exception):
    """Rows of a staged file cannot be read; its cause tells why."""


class SlicesInHand(StagedFiles):
    """Staged files of a publish. Damage of a large one shows only when its rows are read."""

    origins: Mapping[Path, LakePath] = {}
    """Path in the lake of each local file."""

    def pieces(
        self,
        slice_keys: Collection[SliceKey] | None = None,
        columns: Collection[str] | None = None,
        month: date | None = None,
    ) -> Iterator[pa.Table]:
        """Yield rows as staged files do. Raises `UnreadableRowsError`; then `leave_out_unreadable` makes them whole."""
        try:
            with parsing("a staged file", STAGED):
                yield from super().pieces(slice_keys, columns, month)
        except DamagedObjectError as error:
            raise UnreadableRowsError from error

    def leave_out_unreadable(self) -> dict[SliceKey, DamagedObjectError]:
        """Read all rows of large files, forget the slices of which some cannot be read, and return their errors."""
        errors: dict[SliceKey, DamagedObjectError] = {}
        for path, runs in self._large.items():
            for slice_key in {slice_key for slice_key, _ in runs}:
                try:
                    with parsing(self.origins[path], STAGED):
                        for _ in self._large_runs({slice_key}, None, None):
                            pass
                except DamagedObjectError as error:
                    errors[slice_key] = error
                    del self.files[slice_key]
            self._large[path] = [(slice_key, run) for slice_key, run in runs if slice_key not in errors]
        return errors


def open_slices(
    slices: Sequence[tuple[Manifest, LakePath]], scratch: Path
) -> tuple[SlicesInHand, list[Manifest], dict[tuple[str, str], LakeError], dict[str, frozenset[SliceId]]]:
    """Fetch and open the staged files of some manifests, each with its path.

    Returns also the manifests whose slices are gone, the errors of those that are damaged, and all slices of each file
    that may hold others, by its path.
    """
    paths = {str(path): path for _, path in slices}
    fetched = dict(zip(paths, fetch_each(list(paths.values()), scratch), strict=True))
    wanted: dict[Path, set[SliceId]] = defaultdict(set)
    for manifest, path in slices:
        if file := fetched[str(path)].file:
            wanted[file].add(slice_id(manifest))
    opened, unreadable = _open_readable(wanted)
    opened.origins = {each.file: paths[path] for path, each in fetched.items() if each.file}
    gone: list[Manifest] = []
    damaged: dict[tuple[str, str], LakeError] = {}
    for manifest, path in slices:
        file = fetched[str(path)].file
        if file is None or slice_id(manifest) not in opened.chunks.get(file, {slice_id(manifest)}):
            gone.append(manifest)
        elif found := unreadable.get((file, slice_id(manifest))):
            error = damaged_object(path, found.__cause__, STAGED)
            damaged[manifest["scope"], manifest["export_id"] or ""] = error
    in_files = {path: opened.chunks[each.file] for path, each in fetched.items() if each.file in opened.chunks}
    return opened, gone, damaged, in_files


def _open_readable(
    wanted: Mapping[Path, Collection[SliceId]],
) -> tuple[SlicesInHand, dict[tuple[Path, SliceId], DamagedObjectError]]:
    """Open the slices whose rows can be read, also of a file of which some rows cannot. Returns the others' errors.

    A file whose footer is wrong is refused as a whole: nobody knows whose rows it holds.
    """
    opened = SlicesInHand(wanted, wanted)
    errors: dict[tuple[Path, SliceId], DamagedObjectError] = {}
    for file, error in opened.damaged.items():
        alone = {one: StagedFiles([file], {file: {one}}).damaged.get(file) for one in wanted[file]}
        if any(each and not isinstance(each.__cause__, pa.ArrowException | OSError) for each in alone.values()):
            alone = dict.fromkeys(wanted[file], error)
        errors |= {(file, one): each for one, each in alone.items() if each}
    if not errors:
        return opened, errors
    readable = {file: {one for one in ids if (file, one) not in errors} for file, ids in wanted.items()}
    return SlicesInHand([file for file, ids in readable.items() if ids], readable), errors
