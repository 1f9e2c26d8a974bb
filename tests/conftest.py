"""For all tests: a temporary folder of their own for what the provider keeps per machine."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import pytest
import stamina


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """The key's limit is counted in the machine's temporary folder: not in that of whoever runs the tests."""
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.fixture
def no_waiting() -> Iterator[None]:
    """Attempts follow each other without a pause; how many there are is still the client's decision."""
    stamina.set_testing(True, attempts=1000)
    yield
    stamina.set_testing(False)
