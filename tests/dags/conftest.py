"""The example DAGs' modules, imported as Airflow imports them: from their own folder."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.server import serve
from sei_provider.testing import connect

DAGS = Path(__file__).parents[2] / "dags"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], ModuleType]]:
    """Imports a module of `dags/` anew; gone again after the test, as are those it imports from there."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(DAGS)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if name.startswith("sei_") and not name.startswith("sei_provider"):
            del sys.modules[name]


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch) -> Iterator[SandboxControl]:
    with serve(teams=3, seconds=0) as control:
        connect(monkeypatch, control.base_url)
        yield control
