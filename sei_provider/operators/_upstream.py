"""The tasks of the provider upstream of publish and check, found in the DAG, with what Airflow knows of their runs."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from airflow.sdk.definitions.mappedoperator import MappedOperator
from airflow.sdk.definitions.xcom_arg import XComArg

from sei_provider.operators._missing import ASKED, ERROR, ExportTask, flat

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context


def sources_of(value: object) -> frozenset[str]:
    """Return the ids of the tasks whose results an argument takes, and all words of its templates, which may be ids."""
    texts = [text for text in flat(value) if isinstance(text, str)]
    words = {word for text in texts for word in re.findall(r"[\w.-]+", text)}
    return frozenset(words | {task.task_id for task, _ in XComArg.iter_xcom_references(value)})


def upstream_states(
    operator: BaseOperator, context: Context, kind: type, *, through: Collection[str]
) -> dict[str, dict[int, str | None]]:
    """Return the states of the tasks of this kind upstream: task id → map index → state.

    They are upstream directly, or by way of the tasks `through`, such as one that merges the results of several.
    Within a mapped task group only the instance of the same map index is upstream.
    """
    tasks = _upstream(operator, kind, through)
    ids = [task.task_id for task in tasks]
    if not ids:
        return {}
    ti: Any = context["ti"]
    said = ti.get_task_states(dag_id=ti.dag_id, task_ids=ids, run_ids=[ti.run_id]).get(ti.run_id, {})
    group = operator.get_closest_mapped_task_group()
    states: dict[str, dict[int, str | None]] = {}
    for task in tasks:
        names = {task.task_id: -1} | {
            name: int(number)
            for name in said
            if name not in ids and (number := name.removeprefix(f"{task.task_id}_")) != name and number.isdecimal()
        }
        found = {index: said[name] and str(said[name]) for name, index in names.items() if name in said}
        if group is not None and task.get_closest_mapped_task_group() is group:
            found = {index: state for index, state in found.items() if index in {ti.map_index, -1}}
        states[task.task_id] = dict(sorted(found.items()))
    return states


def upstream_exports(
    operator: BaseOperator, context: Context, kind: type, expected: Any, *, through: Collection[str]
) -> list[ExportTask]:
    """Return the export tasks upstream, as `upstream_states`, each with what it asked for before its first call."""
    found = []
    expected_items = [item for item in flat(expected) if isinstance(item, Mapping) and "scopes" in item]
    reports = {task.task_id: _report(task) for task in _upstream(operator, kind, through)}
    for task_id, states in upstream_states(operator, context, kind, through=through).items():
        for map_index, state in states.items():
            asked = context["ti"].xcom_pull(task_ids=task_id, key=ASKED, map_indexes=map_index)
            in_expected = expected_items[map_index] if 0 <= map_index < len(expected_items) else {}
            report = asked["report"] if asked else reports[task_id] or in_expected.get("report")
            name = task_id if map_index < 0 else f"{task_id} (map index {map_index})"
            error = None
            if state == "failed":
                error = context["ti"].xcom_pull(task_ids=task_id, key=ERROR, map_indexes=map_index)
            found.append(ExportTask(name, map_index, report, state, asked, error))
    return found


def _upstream(operator: BaseOperator, kind: type, through: Collection[str]) -> list[Any]:
    """Return the tasks of this kind; the search ends at other tasks of the provider, whose upstream is their own."""
    found: dict[str, Any] = {}
    pending, seen = _before(operator), {operator.task_id}
    direct = set(operator.upstream_task_ids)
    while pending:
        task = pending.pop(0)
        its = task.operator_class if isinstance(task, MappedOperator) else type(task)
        if isinstance(its, type) and issubclass(its, kind):
            found[task.task_id] = task
        elif task.task_id not in seen and not _is_ours(its):
            seen.add(task.task_id)
            if task.task_id in through or task.task_id not in direct:
                pending += _before(task)
    return list(found.values())


def _is_ours(operator_class: Any) -> bool:
    bases = getattr(operator_class, "__mro__", ())
    return any(base.__module__.startswith("sei_provider.operators.") for base in bases)


def _before(task: Any) -> list[Any]:
    return list(task.upstream_list) if task.upstream_task_ids else []


def _report(task: Any) -> str | None:
    report = task.partial_kwargs.get("report") if isinstance(task, MappedOperator) else task.report
    return None if report is None else str(report)
