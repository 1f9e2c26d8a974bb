"""`python -m dev.preloaded <arguments>`: the `airflow` command, once it has imported what DAG files and tasks import.

The scheduler's LocalExecutor forks a process for each task, and the DAG processor one for each look at a DAG file. A
process that is forked with these modules need not import them: that is most of what a short task costs.
"""

import pkgutil
import sys
from importlib import import_module
from importlib.util import find_spec

import sei_provider


def preload() -> None:
    """Import the modules of tasks, also those that an operator imports only when it runs."""
    import pandas  # noqa: ICN001, F401 - of the scorecard
    from airflow.sdk import DAG, Asset, Param, TaskGroup, Variable, task  # noqa: F401
    from airflow.sdk.execution_time import task_runner  # noqa: F401

    for dag_bag in ("airflow.dag_processing.dagbag", "airflow.models.dagbag"):  # the former since Airflow 3.2
        if find_spec(dag_bag):
            import_module(dag_bag)
    for part in ("api", "hooks", "lake", "operators", "triggers"):
        for module in pkgutil.walk_packages([f"{sei_provider.__path__[0]}/{part}"], f"sei_provider.{part}."):
            import_module(module.name)


if __name__ == "__main__":
    from airflow.__main__ import main

    preload()
    sys.exit(main())
