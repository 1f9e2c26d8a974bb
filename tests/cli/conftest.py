"""Leaves the command line's tests out on Airflow 3.1, where a provider cannot add commands to `airflow`."""

from __future__ import annotations

import airflow
from packaging.version import Version

collect_ignore_glob = ["test_*.py"] if Version(airflow.__version__) < Version("3.2") else []
