"""Fixtures for pytest: SEI's sandbox, a lake, and Airflow's database, for tests that call `dag.test()`.

Opt in with `pytest_plugins = ["sei_provider.testing"]` in a test file or in the tests' top `conftest.py`. Needs pytest.

PYTEST_DONT_REWRITE: it asserts nothing, so a test may also import from it before it opts in.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sei_provider.sandbox.server import serve

if TYPE_CHECKING:
    from airflow.sdk import DAG

    from sei_provider.sandbox.control import SandboxControl

_BUNDLE = "tests"


@pytest.fixture
def sei_sandbox_options() -> Mapping[str, Any]:
    """The options of `sei_sandbox`, fields of `SandboxOptions`. Override this fixture to choose others."""
    return {"teams": 3, "seconds": 0}


@pytest.fixture
def sei_sandbox(sei_sandbox_options: Mapping[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxControl]:
    """A `SandboxControl` of a sandbox on a free port of localhost, to which the connection `sei_default` leads.

    Its leaf teams have the ids 11, 12, 13 and so on. Its exports are done at once.
    """
    with serve(**sei_sandbox_options) as sandbox:
        connect(monkeypatch, sandbox.base_url, password=sandbox.key)
        yield sandbox


@pytest.fixture
def sei_lake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The path of an empty lake, which is also the value of the Airflow Variable `sei_lake`."""
    lake = tmp_path / "lake"
    monkeypatch.setenv("AIRFLOW_VAR_SEI_LAKE", str(lake))
    return lake


@pytest.fixture
def sei_dag(sei_airflow_database: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., DAG]:
    """A function that returns a DAG on which `dag.test()` can be called.

    It takes a DAG, or the path of the file that defines it, and `dag_id` if the file defines several. It writes the
    DAG into the database, because `dag.test()` needs it there. `ValueError` if the file does not import or has no such
    DAG.
    """
    # Under `dag.test()` no worker defers, so an export's trigger need not wait for a worker's next heartbeat.
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "-1")

    def registered(source: DAG | Path | str, dag_id: str | None = None) -> DAG:
        since_3_2 = find_spec("airflow.dag_processing.dagbag")
        module = import_module("airflow.dag_processing.dagbag" if since_3_2 else "airflow.models.dagbag")
        new_bag = partial(module.BundleDagBag, safe_mode=False)
        if isinstance(source, Path | str):
            file = Path(source).resolve()
            bag = new_bag(dag_folder=str(file), bundle_path=file.parent)
            if errors := "\n".join(bag.import_errors.values()):
                msg = f"the DAG file {file} does not import:\n{errors}"
                raise ValueError(msg)
            if dag_id not in bag.dags and (dag_id or len(bag.dags) != 1):
                msg = f"{file} defines the DAGs {', '.join(sorted(bag.dags)) or '(none)'}; name one of them by dag_id"
                raise ValueError(msg)
            dag: DAG = bag.dags[dag_id or next(iter(bag.dags))]
        else:
            dag = source
            bag = new_bag(dag_folder=str(sei_airflow_database), bundle_path=sei_airflow_database)
            bag.bag_dag(dag)
        module.sync_bag_to_db(bag, _BUNDLE, None)
        return dag

    return registered


@pytest.fixture(scope="session")
def sei_airflow_database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Airflow's database for this session, a new SQLite file; yields the folder in which Airflow looks for DAGs: empty.

    It has the tables that `airflow db migrate` makes. The database and the DAG folder for which Airflow is configured
    are neither read nor written.
    """
    from airflow import settings
    from airflow.dag_processing.bundles.manager import DagBundlesManager
    from airflow.utils.db import initdb

    folder = tmp_path_factory.mktemp("airflow")
    dags = folder / "dags"
    dags.mkdir()
    bundle = {
        "name": _BUNDLE,
        "classpath": "airflow.dag_processing.bundles.local.LocalDagBundle",
        "kwargs": {"path": str(dags)},
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__DATABASE__SQL_ALCHEMY_CONN", f"sqlite:///{folder / 'airflow.db'}")
        patch.setenv("AIRFLOW__DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST", json.dumps([bundle]))
        patch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
        _use_configured_database()
        initdb()
        DagBundlesManager().sync_bundles_to_db()
        yield dags
        settings.dispose_orm()
    _use_configured_database()


def connect(
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    *,
    conn_id: str = "sei_default",
    password: str = "sandbox",  # noqa: S107 - the sandbox's, which everybody may know
    **extra: Any,
) -> None:
    """Make an Airflow connection of type `sei` for the length of a test, by an environment variable.

    - `host`: the base URL, such as `sei_sandbox.base_url`.
    - `extra`: the connection's extras, which complete those of a sandbox's connection; one of None is left out.
    """
    extras = {"org_identifier": "acme", "project_identifier": "web", "requests_per_minute": 20_000} | extra
    connection = {
        "conn_type": "sei",
        "host": host,
        "password": password,
        "extra": {name: value for name, value in extras.items() if value is not None},
    }
    monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))


def _use_configured_database() -> None:
    """Let Airflow read anew which database it is configured for, and connect to that."""
    from airflow import settings

    settings.configure_vars()
    settings.dispose_orm()
    settings.configure_orm()
