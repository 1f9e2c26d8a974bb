"""Requests that are not in the lake, told by table, scope and range, and summed up for a person on call."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from sei_provider.api.errors import SeiInputError
from sei_provider.api.request import ExportRequest, Scope
from sei_provider.api.validation import quoted
from sei_provider.triggers.export import few

if TYPE_CHECKING:
    from sei_provider.lake import Manifest

ASKED = "asked"
"""The key of the XCom that an export task pushes before any call."""
ERROR = "error"
"""The key of the XCom with the error that has ended an export task before it could hand on all manifests."""
MEND_AND_CLEAR = (
    "What to do: a retry would fail in the same way, so correct the cause; then clear the task, with what is downstream"
)
RETRY_OR_CLEAR = (
    "What to do: nothing while Airflow has tries left, which request this only; then clear it, with what is downstream"
)
NOT_RUN = frozenset({"skipped", "removed"})
"""States of a task that was not to run, so nothing of it can be missing."""
_VARYING = re.compile(r"(?<!HTTP )\b\S*\d\S*")
"""Ids, times and line numbers: two reasons that differ in these only are one."""


class Asked(TypedDict):
    """Value of the XCom `asked`: all that one export task requests."""

    table: str
    report: str
    start: str
    """`YYYY-MM-DD`, as `end`."""
    end: str
    scopes: list[str]
    """Labels as in manifests: `team:456`, `org:Engineering`."""
    source: NotRequired[list[str]]
    """The report as a data set of OpenLineage: namespace and name."""


def asked_by(requests: Sequence[ExportRequest], table: str, source: tuple[str, str]) -> Asked:
    """Return what the requests of one task ask for: one range of each scope, in one request or one for each period."""
    return Asked(
        table=table,
        report=requests[0].report,
        start=min(request.start for request in requests).isoformat(),
        end=max(request.end for request in requests).isoformat(),
        scopes=list(dict.fromkeys(request.scope.label for request in requests)),
        source=[*source],
    )


class Missing(TypedDict):
    """One scope that was asked for and is not in the lake, and why."""

    scope: str
    """`all` if not even the scopes are known."""
    error: str
    table: NotRequired[str]
    start: NotRequired[str]
    end: NotRequired[str]
    task: NotRequired[str]
    """The task to clear."""
    path: NotRequired[str]
    """The hierarchy of the scope's team, as the lake knows it from an older export."""
    keeps_rows: NotRequired[bool]
    """The table has older rows of the scope in this range."""


@dataclass(frozen=True, slots=True)
class ExportTask:
    """One task instance that was to export, upstream of publish."""

    name: str
    map_index: int
    report: str | None
    state: str | None
    asked: Asked | None
    error: str | None = None
    """The error that ended it, if it told one."""


def find_missing(expected: Any, manifests: Sequence[Manifest], exports: Sequence[ExportTask]) -> list[Missing]:
    """Return what was asked for and is not staged, each with the error where one is known."""
    scopes = list(dict.fromkeys(labels_of(expected)))
    if not scopes:
        error = "no scope was asked for, because the task that lists the teams failed or found none"
        return [Missing(scope="all", error=error)]
    ran = [export for export in exports if export.state not in NOT_RUN]
    task_of = {
        (export.asked["table"], scope): export.name
        for export in ran
        if export.asked
        for scope in export.asked["scopes"]
    }
    missing = [_failed(bad, task_of) for bad in manifests if bad["error"] is not None]
    asked = [export for export in ran if export.asked]
    silent = [export for export in ran if not export.asked]
    missing += _not_handed_on(asked, manifests)
    known = {manifest["scope"] for manifest in manifests}
    known |= {scope for export in asked if export.asked for scope in export.asked["scopes"]}
    unknown = [scope for scope in scopes if scope not in known]
    if len(silent) == 1 and unknown:
        missing += [Missing(scope=scope, error=_silence(silent[0]), task=silent[0].name) for scope in unknown]
    elif silent:
        missing += [Missing(scope="all", error=_silence(export), task=export.name) for export in silent]
    elif len(ran) == len(exports):  # otherwise they are those of the tasks that were skipped
        error = "its export task handed nothing on: see that task's log"
        missing += [Missing(scope=scope, error=error) for scope in unknown]
    if not exports:
        missing += _ranges_not_handed_on(expected, manifests, unknown)
    return missing


def check_expected(expected: Any) -> None:
    """Raise `SeiInputError` unless publish can expect this: scopes, or the dicts of `expand_kwargs`; maybe none."""
    for _ in labels_of(expected):
        pass


def check_staged(staged: Any) -> list[Manifest]:
    """Return the manifests that export tasks handed on. Raises `SeiInputError` for anything else."""
    found = list(flat(staged))
    for item in found:
        if not isinstance(item, Mapping) or not {"scope", "table", "start", "end", "error"} <= set(item):
            msg = f"staged must be the results of export tasks, as in staged=export.output, not {quoted(item)}"
            raise SeiInputError(msg)
    return found


def sum_up(missing: Iterable[Missing]) -> str:
    """Return one line a reason, each with its scopes: the first few by name, and how many more."""
    groups: dict[tuple[str, str], list[Missing]] = defaultdict(list)
    for lack in missing:
        reason = lack["error"].replace(lack["scope"], "0")
        groups[_place(lack), _VARYING.sub("", reason)].append(lack)
    return "\n".join(
        f"{place}{few(_named(lack) for lack in lacks)}: {lacks[0]['error']}" for (place, _), lacks in groups.items()
    )


def flat(value: Any, *, keep_none: bool = False) -> Iterator[Any]:
    """Flatten nested lists, as mapped tasks give them; None counts as an empty list, unless it is kept."""
    if value is None and not keep_none:
        return
    if isinstance(value, Sequence | AbstractSet) and not isinstance(value, str | bytes | bytearray | memoryview):
        for member in value:
            yield from flat(member, keep_none=keep_none)
    else:
        yield value


def labels_of(expected: Any) -> Iterator[str]:
    """Yield the labels of scopes, of lists of them, and of the dicts of `expand_kwargs`. Raises `SeiInputError`."""
    for item in flat(expected):
        if isinstance(item, Mapping) and "scopes" in item:  # as `expand_kwargs` takes it
            yield from labels_of(item["scopes"])
        else:
            yield Scope.parse(item).label


def _failed(manifest: Manifest, task_of: Mapping[tuple[str, str], str]) -> Missing:
    lack = Missing(
        scope=manifest["scope"],
        error=str(manifest["error"]),
        table=manifest["table"],
        start=manifest["start"],
        end=manifest["end"],
    )
    if task := task_of.get((manifest["table"], manifest["scope"])):
        lack["task"] = task
    return lack


def _not_handed_on(exports: Sequence[ExportTask], manifests: Collection[Manifest]) -> Iterator[Missing]:
    """Yield what the tasks asked for and no manifest tells of; a split export has one manifest for each part."""
    ranges: dict[tuple[str, str], list[tuple[date, date]]] = defaultdict(list)
    for manifest in manifests:
        ranges[manifest["table"], manifest["scope"]].append(_range(manifest["start"], manifest["end"]))
    taken: Counter[tuple[str, str, str, str]] = Counter()
    for export in exports:
        if (asked := export.asked) is None:
            continue
        table, start, end = asked["table"], asked["start"], asked["end"]
        first, last = _range(start, end)
        for scope in asked["scopes"]:
            taken[table, scope, start, end] += 1
            days = sum((to - since).days + 1 for since, to in ranges[table, scope] if first <= since and to <= last)
            if days < taken[table, scope, start, end] * ((last - first).days + 1):
                ended = f"its export task {export.name} ({export.report}) handed nothing on: it {_state(export)}"
                lack = Missing(scope=scope, error=export.error or ended, table=table, start=start, end=end)
                yield lack if export.state == "success" else {**lack, "task": export.name}


def _ranges_not_handed_on(
    expected: Any, manifests: Collection[Manifest], unknown: Collection[str]
) -> Iterator[Missing]:
    """Yield the items of `expand_kwargs` of which no manifest tells, although one tells of their scopes."""
    for item in flat(expected):
        if not (isinstance(item, Mapping) and "scopes" in item):
            continue
        try:
            first, last = _range(str(item["start"])[:10], str(item["end"])[:10])
        except (KeyError, ValueError):  # a template, or given to all tasks: the manifests' own ranges are all we know
            first, last = date.min, date.max
        report = str(item.get("report") or "").strip().lower()
        there = {
            manifest["scope"]
            for manifest in manifests
            if manifest["table"].startswith(report)
            and _range(manifest["start"], manifest["end"])[0] <= last
            and first <= _range(manifest["start"], manifest["end"])[1]
        }
        error = f"no export task handed on {report or 'anything'} from {item.get('start')} to {item.get('end')}"
        for scope in labels_of(item["scopes"]):
            if scope not in there and scope not in unknown:
                yield Missing(scope=scope, error=error)


def _silence(export: ExportTask) -> str:
    report = f"the report {export.report}" if export.report else "a report that is not known"
    told = f": {export.error}" if export.error else ""
    why = f"it {_state(export)} before it had told what it asks for{told}"
    return f"its export task {export.name}, for {report}, handed nothing on: {why}"


def _state(export: ExportTask) -> str:
    states = {
        "failed": "failed",
        "upstream_failed": "did not run, because a task before it failed,",
        "success": "succeeded, so look at the tasks between it and publish",
    }
    return states.get(str(export.state), "ended")


def _range(start: str, end: str) -> tuple[date, date]:
    return date.fromisoformat(start), date.fromisoformat(end)


def _place(lack: Missing) -> str:
    return f"{lack['table']}, {lack['start']} to {lack['end']}: " if "start" in lack and "table" in lack else ""


def _named(lack: Missing) -> str:
    return f"{lack['scope']} ({lack['path']})" if "path" in lack else lack["scope"]
