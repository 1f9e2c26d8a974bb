"""Judge of what a table must hold after a history. It knows the org tree as it was, and not the owner rule.

Decision 12's property: after a complete run that reached as far as every run before it, each living team has exactly
one row for each period, by today's name, from that run, and nothing else of its scopes is left. What the judge leaves
out, because the words do not promise it:

- A run whose exports show two trees, since SEI gave back some that it had made before: these lack today's names.
- A run that is lower than others of that period: it did not reach as far, or some of its exports are older than theirs.
- A row of a scope that was not asked for, at a path that no scope of the run has or lies above, unless one of them
  named it in a run that brought both: nothing in the exports tells that it is of these scopes, such as the children of
  a team that had its last child moved away and is exported no more. `coverage` marks such a scope stale, and `retire`
  ends it.
- A row below a scope of the run by a chain of teams that no row names: "a chain that the ledger's rows do not resolve
  is not below". A late clear may bring one, of a new scope, that reaches less far than the run.
- One run for a sprint of all teams: "the period is the sprint (hierarchy, and its name …)", so after two nights to the
  20th and 21st a team above is renamed and a sprint to 1 February moved to end on the 20th; three more nights, then the
  first is cleared. It reaches the last day that the new paths know, and is the newest there; the old paths know one
  that the last night reached further into. The judge asks each path's rows for its own run.
- A sprint that moved to other days, where the team was renamed as well or the sprint is not in the answer: "otherwise
  absence tells nothing".
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date

from org_simulator import Run, World
from ownership_model import Entry, Row, Survivor, last_day


def higher(entry: Entry, last: date) -> tuple[object, ...]:
    return (min(last, entry.end), entry.created_at, entry.export_id, entry.staged_at)


def all_periods(world: World, runs: list[Run]) -> dict[tuple[Row, date], set[str]]:
    """Return each period that any export shows (as a row without a team), with the last day it ever had → its teams.

    A sprint is one of a team's path, as decision 12 says. So it may have several last days after it moved: a path that
    is new since knows only the last.
    """
    rows = {row for run in runs for entry in run.entries for row in entry.rows}
    ends: dict[tuple[object, str], date] = {}
    for row in rows:
        end = row.end if row.sprint else last_day(world.setting.granularity, row.start)
        assert end
        key = (row.sprint or row.start, row.path)
        ends[key] = max(end, ends.get(key, end))
    found: dict[tuple[Row, date], set[str]] = defaultdict(set)
    for period in {Row("", "", *row[2:]) for row in rows}:
        for (name, path), last in ends.items():
            if name == (period.sprint or period.start):
                found[period, last].add(path)
    return found


def asked(entry: Entry, period: Row) -> bool:
    if period.sprint is None:
        return entry.start <= period.start <= entry.end
    assert period.end
    whole = entry.start <= period.start and period.end <= entry.end
    return whole or any(row[2:] == period[2:] for row in entry.rows)


def asked_for_row(entry: Entry, kept: Survivor, request: Entry) -> bool:
    """True if an entry asked for the sprint of a row, which came with this request, by decision 12's words."""
    row = kept.row
    names_it = any((row.path, row.sprint) == (other.path, other.sprint) for other in entry.rows)
    contains = entry.start <= request.start and request.end <= entry.end
    return row.sprint is None or asked(entry, row) or names_it or contains


def newest_whole_run(world: World, runs: list[Run], period: Row, last: date) -> Run | None:
    """Return the complete run that reached as far into the period as every other and is the newest, or None.

    Where there is none, half-failed runs count as one if together they show every scope as the tree is at last.
    """
    asking = {entry.key: entry for run in runs for entry in run.entries if asked(entry, period) or period.sprint}
    for run in runs:
        own = {entry.key for entry in run.entries}
        if run.consistent and all(asked(entry, period) for entry in run.entries if entry.rows):
            lowest = min(higher(entry, last) for entry in run.entries)
            if all(higher(entry, last) < lowest for key, entry in asking.items() if key not in own):
                return run
    together = Run("together", date.min, date.max, runs[-1].scopes)
    for scope in together.scopes:
        of_scope = [entry for entry in asking.values() if entry.scope == scope and asked(entry, period)]
        if not of_scope:
            return None
        together.entries.append(max(of_scope, key=lambda entry: higher(entry, last)))
    own = {entry.key for entry in together.entries}
    lowest = min((higher(entry, last) for entry in together.entries), default=None)
    fresh = all(world.tree_of[entry.export_id] == world.tree for entry in together.entries)
    if lowest is None or not fresh:
        return None
    others = [entry for key, entry in asking.items() if key not in own and higher(entry, last) > lowest]
    if period.sprint and any(row.sprint == period.sprint for entry in others for row in entry.rows):
        return None  # on other days by now
    if any(entry.scope not in together.scopes or world.tree_of[entry.export_id] != world.tree for entry in others):
        return None
    return together


def judge(world: World, runs: list[Run], state: Iterable[Survivor]) -> Counter[str]:
    """Count what decision 12's property forbids in a table of these runs: `lost`, `twice`, `stale`."""
    faults: Counter[str] = Counter()
    state = list(state)
    for (period, last), paths in all_periods(world, runs).items():
        run = newest_whole_run(world, runs, period, last)
        if run:
            faults["judged together" if run.run_id == "together" else "judged"] += 1
            faults += judge_period(world, runs, run, period, [kept for kept in state if kept.row.path in paths], paths)
    return faults


def was_named_below(runs: list[Run], scopes: set[str], kept: Survivor) -> bool:
    """True if one of the scopes named the row's team before, in a run that handed on both."""
    return any(
        entry.scope in scopes and kept.row in entry.rows and any(other.key == kept[:3] for other in earlier.entries)
        for earlier in runs
        for entry in earlier.entries
    )


def is_below(world: World, kept: Survivor, roots: set[str], named: set[str]) -> bool:
    """True if a row lies below one of the roots, by teams that rows name."""
    above = world.above[kept.export_id, kept.row.path]
    return any({path for path in above if len(path) > len(root)} <= named for root in roots & above)


def judge_period(
    world: World, runs: list[Run], run: Run, period: Row, state: list[Survivor], judged: set[str]
) -> Counter[str]:
    """Count the faults of the rows of these paths, in a table's rows of them."""
    faults: Counter[str] = Counter()
    own = {entry.key for entry in run.entries}
    named = {row.path for earlier in runs for entry in earlier.entries for row in entry.rows}
    requests = {entry.key: entry for earlier in runs for entry in earlier.entries}
    scopes = {entry.scope for entry in run.entries if asked(entry, period)}
    expected: dict[int, str] = {}
    roots = set()
    for entry in run.entries:
        paths = {row.path for row in entry.rows if row[2:] == period[2:]}
        teams = {world.truth[entry.export_id, path]: path for path in paths}
        expected |= teams
        if len(paths) > 1:
            roots.add(teams[int(entry.scope.removeprefix("team:"))])
    held: Counter[int] = Counter()
    for kept in state:
        if (kept.row.sprint or kept.row.start) != (period.sprint or period.start):
            continue
        team = world.truth[kept.export_id, kept.row.path]
        if kept[:3] in own:
            held[team] += kept.row[2:] == period[2:]
        elif not any(asked_for_row(entry, kept, requests[kept[:3]]) for entry in run.entries):
            continue
        elif kept.row.path in expected.values():
            faults["twice"] += 1
        elif kept.scope in scopes or is_below(world, kept, roots, named) or was_named_below(runs, scopes, kept):
            faults["twice" if team in expected else "stale"] += 1
    faults["lost"] += sum(not held[team] for team, path in expected.items() if path in judged)
    faults["twice"] += sum(held[team] > 1 for team in expected)
    return faults
