"""Prints figures of a run so that a person can read them. Decides nothing and changes nothing."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import pyarrow as pa

from dev.airflow_client import AirflowClient, task_name
from dev.lake_files import STAGING, LakeFile
from dev.sampler import TaskSampler
from sei_provider.plural import plural

COLUMNS_SHOWN = 9
ROWS_SHOWN = 5


def say(line: str) -> None:
    """Print one line at once."""
    print(line, flush=True)


def heading(text: str) -> None:
    """Print a heading."""
    say(f"\n{text}\n{'-' * len(text)}")


def run(airflow: AirflowClient, dag_id: str, run_id: str) -> None:
    """Print how many task instances a run had, by state."""
    counts = airflow.counts(dag_id, run_id)
    states = ", ".join(f"{number} {state}" for state, number in sorted(counts.items()))
    print(f"{dag_id} {run_id}: {plural(sum(counts.values()), 'task')} ({states})", flush=True)


def failed_try(airflow: AirflowClient, task: Mapping[str, Any]) -> None:
    """Print the log of a task instance's last try."""
    dag_id, run_id, task_id = (str(task[field]) for field in ("dag_id", "dag_run_id", "task_id"))
    heading(f"{dag_id}.{task_name(task)} failed at try {task['try_number']} of {task['max_tries'] + 1}")
    log = airflow.task_log(dag_id, run_id, task_id, map_index=task["map_index"], try_number=task["try_number"])
    print(log, flush=True)


def workers(sampler: TaskSampler) -> None:
    """Print for how long tasks held workers, and how many waited without one."""
    for (dag_id, task_id), seconds in sorted(sampler.running_seconds.items()):
        print(f"{f'{dag_id}.{task_id}':<50} {seconds:7.1f} s")
    print(f"workers held in all: {sum(sampler.running_seconds.values()):.1f} s (sampled)")
    print(f"tasks seen deferred: {len(sampler.ever_deferred)}, most at once: {sampler.most_deferred}")


def requests(summary: Mapping[str, Any], exports: Counter[str]) -> None:
    """Print what the sandbox counted: exports, requests by kind, and who sent them.

    `summary` is what the sandbox's `/_sandbox/summary` answers.
    """
    made = exports.total()
    print(f"exports made: {made} ({', '.join(f'{number} {name}' for name, number in sorted(exports.items()))})")
    by_kind = ", ".join(f"{number} {kind}" for kind, number in summary["by_kind"].items())
    per_export = f"{summary['requests'] / made:.2f} per export" if made else "no export"
    print(f"requests: {summary['requests']} ({by_kind}), {per_export}")
    for agent, kinds in summary["by_user_agent"].items():
        print(f"  from {agent}: " + ", ".join(f"{number} {kind}" for kind, number in kinds.items()))


def tree(files: Sequence[LakeFile]) -> None:
    """Print a lake's files with bytes and rows; of its staging only how much there is."""
    published = [file for file in files if file.path.parts[0] != STAGING]
    width = max((len(str(file.path)) for file in published), default=0)
    for file in published:
        rows = "" if file.rows is None else f"{file.rows:>8,} rows"
        print(f"{file.path!s:<{width}} {file.size:>10,} bytes {rows}".rstrip())
    staged = [file for file in files if file not in published]
    print(f"{STAGING}: {plural(len(staged), 'file')}, {plural(sum(file.size for file in staged), 'byte')}")


def first_rows(table: pa.Table) -> None:
    """Print the first rows of a table, the first and last columns if it is wide."""
    with pd.option_context("display.width", 200, "display.max_colwidth", 32):
        print(table.slice(0, ROWS_SHOWN).to_pandas().to_string(index=False, max_cols=COLUMNS_SHOWN))
