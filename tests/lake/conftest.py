"""The one fixture that all tests of the lake use."""

from __future__ import annotations

from pathlib import Path

import pytest
from lake_bench import Bench


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    folder = tmp_path / "bench"
    folder.mkdir()
    return Bench(folder)
