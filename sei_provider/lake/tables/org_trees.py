"""Publish of staged readings of the org trees: into their table of teams, and to the code that tells teams' ids."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sei_provider.lake.errors import DamagedObjectError, LakeError, StagingError, TableDefinitionError
from sei_provider.lake.model import Manifest
from sei_provider.lake.staging.org_trees import TreeReading, load_reading
from sei_provider.lake.storage.backend import LakePath
from sei_provider.lake.storage.scratch import scratch_folder
from sei_provider.lake.storage.store import fetch_each
from sei_provider.lake.tables.team_ids import OrgTrees
from sei_provider.lake.tables.teams import KnownTeam, add_readings


def publish_readings(
    root: LakePath,
    by_table: Mapping[str, Sequence[tuple[Manifest, LakePath]]],
    refused: list[tuple[Manifest, LakeError]],
) -> OrgTrees:
    """Bring tables of teams up to date, and return what is known then; note the readings that cannot be used.

    The staged readings stay: other publish tasks need them too.
    """
    readings: list[TreeReading] = []
    known: dict[str, KnownTeam] = {}
    for table, slices in sorted(by_table.items()):
        with scratch_folder() as scratch:
            files = [staged.file for staged in fetch_each([path for _, path in slices], scratch)]
            found = [load_reading(file) for file in files if file]
        for (manifest, path), file in zip(slices, files, strict=True):
            if file is None:
                msg = f"the reading of the org trees at {path} is gone: clear the task that read them, and this one"
                refused.append((manifest, StagingError(msg)))
        try:
            known |= add_readings(root, table, found)
        except (DamagedObjectError, TableDefinitionError) as error:
            refused += [(manifest, error) for manifest, _ in slices]
        else:
            readings += found
    return OrgTrees(readings, known)
