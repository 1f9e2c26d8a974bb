"""A bench on each kind of store: local disk, memory, and S3 over a real socket."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from lake_bench import Bench
from upath import UPath


@pytest.fixture
def store(request: pytest.FixtureRequest) -> str:
    """Kind of store that the bench is on; modules that test all of them parametrise it with `STORES`."""
    return str(getattr(request, "param", "disk"))


@pytest.fixture
def bench(tmp_path: Path, store: str, request: pytest.FixtureRequest) -> Bench:
    folder = tmp_path / "bench"
    folder.mkdir()
    if store == "disk":
        return Bench(folder)
    if store == "memory":
        return Bench(folder, root=UPath(f"memory://{uuid4().hex}/lake"), single_writer=True)
    return Bench(folder, root=UPath(f"s3://sei/{uuid4().hex}/lake", **request.getfixturevalue("s3_options")))
