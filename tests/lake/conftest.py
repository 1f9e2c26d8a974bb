"""A bench on each kind of store: local disk, memory, and S3 and Azure over a real socket."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest
from lake_bench import Bench
from stores import open_store
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
    endpoint = request.getfixturevalue(f"{store}_endpoint")
    return Bench(folder, root=open_store(store, endpoint, f"{uuid4().hex}/lake"), store=store, endpoint=endpoint)
