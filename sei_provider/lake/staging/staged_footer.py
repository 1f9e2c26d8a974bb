"""Footer of a staged file: what it tells of each slice, and where in the file the rows of each lie."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import chain
from typing import Any

from sei_provider.lake.errors import NewerFormatError
from sei_provider.lake.model import Slice, SliceId, SliceKey, run_key
from sei_provider.lake.staging.manifests import STAGED_FORMAT

CHUNK_KEY = b"sei.chunk"
"""Footer entry of a file of several slices: the format, the distinct sets of columns, and by slice what the entries
below say of a file of one, the number of its set of columns, and its rows as [number of the first, how many], as JSON.
"""
SLICE_KEY = b"sei.slice"
"""Footer entry: the slice, its export, its run, and how many rows went to quarantine, as JSON."""
COLUMNS_KEY = b"sei.columns"
"""Footer entry: [name, SEI's header, type or null, whether it is hashed and nobody declared it, whether `columns=`
named it] of each column, as JSON. A column without a type is text until it is published. The lineage columns are left
out: they are the same in every row, and known from the slice."""
PATHS_KEY = b"sei.paths"
"""Footer entry: the distinct [team, team hierarchy] of the rows, as JSON."""
SPRINTS_KEY = b"sei.sprints"
"""Footer entry where periods are sprints: [hierarchy, sprint or its first day, first day, last day], as JSON."""
PERIODS_KEY = b"sei.periods"
"""Footer entry: distinct [hierarchy, start date, sprint] if periods are sprints, otherwise [start date], as JSON."""


@dataclass(frozen=True, slots=True)
class StagedFile:
    """One staged slice, without its rows."""

    slice: Slice
    export_id: str
    created_at: datetime
    exported_at: datetime
    run_id: str
    """The run that staged it, the first by name of several that staged one export at one moment."""
    runs: frozenset[str]
    """The same, or all of them, as `run_key` names them."""
    reading: str
    """Hash of the way in which the export was read; "" if 751f940 staged it."""
    quarantined: int
    unknown_paths: bool
    """True if rows went to quarantine whose team is not known."""
    paths_put_aside: frozenset[str]
    """Hierarchies of the rows that went to quarantine, as far as they are known."""
    teams: frozenset[tuple[str, str]]
    """(Team, hierarchy) of its rows."""
    periods: Sequence[Sequence[str | None]]
    sprint_days: frozenset[tuple[str, str, date, date]]
    """(Hierarchy, sprint, first day, last day)."""

    @property
    def slice_key(self) -> SliceKey:
        """Return what marks its rows once published: scope, export id and time of staging."""
        return self.slice.scope, self.export_id, self.exported_at

    @property
    def lineage(self) -> tuple[str, str, datetime, str]:
        """Return the values of the columns `LINEAGE`, the same in every row."""
        return self.slice.scope, self.export_id, self.exported_at, self.run_id

    @property
    def months(self) -> frozenset[date]:
        """Return the first days of the months that its rows start in."""
        starts = (period[1] if len(period) > 1 else period[0] for period in self.periods)
        return frozenset(date.fromisoformat(str(start)).replace(day=1) for start in starts)


@dataclass(frozen=True, slots=True)
class Described:
    """Entry of a footer about one slice, with the place of its rows."""

    staged: StagedFile
    columns: bytes
    """Entry `COLUMNS_KEY`, unparsed."""
    names: Sequence[str] | None
    """Names of its columns; None for those of the file."""
    ranges: Sequence[tuple[int, int]] | None
    """Its rows in the file: number of the first, how many; None if all are its own."""

    @property
    def slice_id(self) -> SliceId:
        """Return what manifests call it."""
        slice_ = self.staged.slice
        return slice_.scope, slice_.start.isoformat(), slice_.end.isoformat(), self.staged.export_id


def describe(footer: Mapping[bytes, bytes]) -> Iterator[Described]:
    """Yield what the footer of a staged file tells of its slices. Raises `NewerFormatError`."""
    if CHUNK_KEY not in footer:
        values = {key: json.loads(footer[key]) for key in (SLICE_KEY, PATHS_KEY, PERIODS_KEY)}
        values[SPRINTS_KEY] = json.loads(footer.get(SPRINTS_KEY, b"[]"))
        yield Described(_staged(values), footer[COLUMNS_KEY], None, None)
        return
    chunk = json.loads(footer[CHUNK_KEY])
    if chunk["format"] > STAGED_FORMAT:
        msg = (
            f"a staged file has format {chunk['format']}, and this version of the package reads formats up to "
            f"{STAGED_FORMAT}: install the version that wrote it"
        )
        raise NewerFormatError(msg)
    columns = [json.dumps(each).encode() for each in chunk["columns"]]
    for one in chunk["slices"]:
        values = {key: one[key.decode()] for key in (SLICE_KEY, PATHS_KEY, PERIODS_KEY)}
        values[SPRINTS_KEY] = one.get(SPRINTS_KEY.decode(), [])
        names = [column[0] for column in chunk["columns"][one["columns"]]]
        ranges = [(first, count) for first, count in one["rows"]]
        yield Described(_staged(values), columns[one["columns"]], names, ranges)


def _staged(values: Mapping[bytes, Any]) -> StagedFile:
    value = values[SLICE_KEY]
    slice_ = Slice.from_json(value)
    if policy := value.get("personal_data"):
        slice_ = replace(slice_, definition={**slice_.definition, "personal_data": policy})
    staged = StagedFile(
        slice=slice_,
        export_id=value["export_id"],
        created_at=datetime.fromisoformat(value["created_at"]),
        exported_at=datetime.fromisoformat(value["exported_at"]),
        run_id=value["run_id"],
        runs=frozenset([run_key(value["run_id"], value.get("clear_number", 0))]),
        reading=value.get("reading", ""),
        quarantined=value["quarantined"],
        unknown_paths=value.get("unknown_paths", value["quarantined"] > 0),
        paths_put_aside=frozenset(value.get("paths_put_aside", ())),
        teams=frozenset((team or "", path) for team, path in values[PATHS_KEY]),
        periods=values[PERIODS_KEY],
        sprint_days=frozenset(
            (path, sprint, date.fromisoformat(first), date.fromisoformat(last))
            for path, sprint, first, last in values[SPRINTS_KEY]
        ),
    )
    require_text(slice_.table, slice_.report, slice_.scope, slice_.granularity)
    require_text(staged.export_id, staged.run_id, staged.reading, *staged.paths_put_aside)
    require_text(*chain.from_iterable(staged.teams))
    if staged.quarantined < 0:
        msg = "it has a negative number of rows"
        raise ValueError(msg)
    return staged


def require_text(*values: object) -> None:
    """Raise `TypeError` unless all values are text."""
    for value in values:
        if not isinstance(value, str):
            msg = f"a {type(value).__name__} stands where text must be"
            raise TypeError(msg)
