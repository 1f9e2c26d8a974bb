"""Ids of the teams that rows name by a path: told where two readings of the org trees leave no doubt, otherwise not.

Plain values. Knows no files. The ids decide nothing of ownership (DESIGN, decision 12).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pyarrow as pa

from sei_provider.lake.arrow_values import to_array
from sei_provider.lake.columns import TEAM_ID, personal_columns
from sei_provider.lake.distinct import factorize
from sei_provider.lake.model import SliceKey, TreeTeam
from sei_provider.lake.staging.org_trees import TreeReading
from sei_provider.lake.staging.staged_footer import StagedFile
from sei_provider.lake.tables.teams import KnownTeam

TeamIds = Mapping[tuple[str, str], str]
"""(Team, hierarchy) of rows of one slice → the team's id."""

_SECOND = timedelta(seconds=1)
"""SEI tells times in whole seconds."""


@dataclass(frozen=True, slots=True)
class OrgTrees:
    """Knowledge of the org trees: the readings that come with some slices, and the table of teams."""

    readings: Sequence[TreeReading] = ()
    known: Mapping[str, KnownTeam] = field(default_factory=dict)
    """Rows of the table of teams by id, which these readings have brought up to date."""

    def ids_of(self, file: StagedFile, *, reused: bool) -> TeamIds:
        """Return the ids of the teams that a slice names, as far as they are certain.

        That is the scope's own team, if it is a leaf, and each path that the reading before SEI made the export and the
        reading after it was staged both have exactly once in the tree, for the same team. If SEI has `reused` an export
        that is older than the readings, the table of teams tells which teams have not changed since. It is assumed that
        a change between the two readings is not undone between them.
        """
        if not self.readings or "team" in personal_columns(file.slice.report):  # people, who are no teams
            return {}
        before, after = self._before(file, reused=reused), self._after(file)
        readings = [reading for reading in (before, after) if reading]
        scope = file.slice.scope
        from_root = _begin_at_root(scope, readings, [path for _, path in file.teams])
        found = {}
        for team, path in file.teams:
            team_id = _own_leaf(scope, readings, team, path)
            if team_id is None and before and after:
                team_id = _named(scope, before, after, team, path, from_root=from_root)
            if team_id:
                found[team, path] = team_id
        return found

    def _before(self, file: StagedFile, *, reused: bool) -> TreeReading | None:
        """Return the last reading before SEI made the export.

        Within one second the reading came first if SEI made the export for the task that followed the reading.
        """
        latest = file.created_at - _SECOND if reused else file.created_at
        earlier = [reading for reading in self.readings if reading.started_at < file.exported_at]
        found = [reading for reading in earlier if reading.read_at <= latest]
        if found:
            return max(found, key=lambda reading: (reading.read_at, reading.started_at))
        since = file.created_at - _SECOND
        unchanged = [row for row in self.known.values() if row.unchanged_since and row.unchanged_since <= since]
        return TreeReading([row.team for row in unchanged], since, since) if unchanged else None

    def _after(self, file: StagedFile) -> TreeReading | None:
        """Return the first reading that began after the export was staged."""
        found = [reading for reading in self.readings if reading.started_at >= file.exported_at]
        return min(found, key=lambda reading: reading.started_at, default=None)


def with_team_ids(rows: pa.Table, ids: Mapping[SliceKey, TeamIds]) -> pa.Table:
    """Add the column `team_id` to rows of slices, null where no id is told."""
    if not any(ids.values()):
        return rows
    names = ["_scope", "_export_id", "_exported_at", "team", "team_hierarchy"]
    codes, keys = factorize(rows, names)
    found = [ids.get((scope, export, at), {}).get((team or "", path)) for scope, export, at, team, path in keys]
    return rows.append_column(TEAM_ID, to_array(found, pa.string()).take(codes))


def _own_leaf(scope: str, readings: Sequence[TreeReading], team: str, path: str) -> str | None:
    """Return the scope's team if it is a leaf in all readings and the row is its own.

    Where a hierarchy starts is not documented, nor whether it ends with the team: SEI's one example of time in status
    ends with the team above (CONTRACT, sections 1a and 3). Both readings are needed to tell this from a child team, and
    so they are where the file has no hierarchy: a child that has left may have had its parent's name.
    """
    scope_id = _scope_id(scope)
    own = [reading.by_id[scope_id] for reading in readings if scope_id and scope_id in reading.by_id]
    if not all(each.leaf for each in own):
        return None
    for each in own:
        paths = {each.path, each.name}
        if len(own) > 1:
            paths |= {f"{scope}/{each.name}", each.path.removesuffix(f"/{each.name}")}
        if team == each.name and path in paths:
            return scope_id
    return None


def _begin_at_root(scope: str, readings: Sequence[TreeReading], paths: Sequence[str]) -> bool:
    """Return whether the paths of a slice begin at the root of the tree, and not at the scope.

    If they began at the scope, its own row would not be at the scope's path or below it.
    """
    scope_id = _scope_id(scope)
    tops = {reading.by_id[scope_id].path for reading in readings if scope_id and scope_id in reading.by_id}
    return not tops or any(all(f"{path}/".startswith(f"{top}/") for path in paths) for top in tops)


def _named(scope: str, before: TreeReading, after: TreeReading, team: str, path: str, *, from_root: bool) -> str | None:
    """Return the one team that a path names in both readings of the scope's tree."""
    trees = [_trees(scope, reading) for reading in (before, after)]
    found = []
    for reading, its, others in zip((before, after), trees, reversed(trees), strict=True):
        teams: dict[str, TreeTeam] = {}
        own = reading.by_id.get(_scope_id(scope) or "")
        full = path if from_root or not own else own.path.removesuffix(own.name) + path
        for tree in its or others:
            there = reading.at(tree, full)
            if len(there) > 1:
                return None
            teams |= {each.id: each for each in there}
        found.append(teams)
    if found[0].keys() != found[1].keys() or len(found[0]) != 1:
        return None
    [team_id] = found[0]
    return team_id if team in {teams[team_id].name for teams in found} else None


def _trees(scope: str, reading: TreeReading) -> list[str]:
    """Return the tree of a scope in a reading; none if the reading lacks it."""
    scope_id = _scope_id(scope)
    if scope_id is not None:
        return [reading.by_id[scope_id].tree] if scope_id in reading.by_id else []
    tree = scope.removeprefix("org:")
    return [tree] if any(team.tree == tree for team in reading.teams) else []


def _scope_id(scope: str) -> str | None:
    """Return the team id of a scope; None of an org tree."""
    kind, _, name = scope.partition(":")
    return name if kind == "team" else None
