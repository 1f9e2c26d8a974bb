"""Set-up of all tests: a temporary folder of their own, one worker for the real Airflow, and hypothesis's settings."""

from __future__ import annotations

import itertools
import os
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import stamina
from hypothesis import settings

from tests import azurite
from tests.examples import is_fuzzing
from tests.plain_http import NO_AUTHORITIES

GROUPS = {
    "whole": "airflow",
    "stack": "airflow",
    "chaos": "airflow",
    "airflow": "triggerers",
    "sei_airflow_database": "database",
}
"""The fixtures that start Airflow's processes or make it a database, and the group of their tests: one worker runs a
group, so that each is there once."""
REAL_AIRFLOW_SECONDS = 900
"""Time limit of a test with a real Airflow; the first of a session starts it."""

LONGEST_ID = 120
"""Characters of a parameter in the name of a test."""

IN_MEMORY = Path("/dev/shm")  # noqa: S108 - only the folder of pytest's own folders, which are their user's alone
IN_MEMORY_BYTES = 4 << 30
"""Free memory from which on it serves as the disk of tests."""

# A time limit for each example would fail on a busy machine. What reproduces a failure is printed. `make test` tries
# the same cases each time, so that a red run tells of the change under test; `make fuzz` tries new ones.
settings.register_profile("sei", deadline=None, print_blob=True, derandomize=not is_fuzzing())
settings.load_profile("sei")


def pytest_configure() -> None:
    """Put what tests write into memory if there is room: lakes, counts and Airflow's database wait for a disk often."""
    if IN_MEMORY.is_dir() and "PYTEST_DEBUG_TEMPROOT" not in os.environ:
        disk = os.statvfs(IN_MEMORY)
        if disk.f_bavail * disk.f_frsize >= IN_MEMORY_BYTES and not disk.f_flag & os.ST_NOEXEC:
            os.environ["PYTEST_DEBUG_TEMPROOT"] = str(IN_MEMORY)


def pytest_make_parametrize_id(val: object) -> str | None:
    """Name a long text by its beginning and length: its test's name goes to every worker and into every log."""
    if isinstance(val, str | bytes) and len(val) > LONGEST_ID:
        return f"{val[:20]!a} of {len(val):,}"
    return None


def pytest_itemcollected(item: pytest.Item) -> None:
    """Group what needs an Airflow on one xdist worker, and mark every test of a `fuzz_*.py`.

    It must happen before `pytest_collection_modifyitems`, in which xdist reads the groups.
    """
    groups = {GROUPS[name] for name in getattr(item, "fixturenames", ()) if name in GROUPS}
    if item.path.parent.name == "browser":  # each of its tests looks at an Airflow
        groups = {"airflow"}
    for group in sorted(groups):
        item.add_marker(pytest.mark.xdist_group(group))
        item.add_marker(pytest.mark.timeout(REAL_AIRFLOW_SECONDS))
    if item.path.name.startswith("fuzz_"):
        item.add_marker(pytest.mark.fuzz)


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse to run where pytest-xdist does not see the groups: each worker would start an Airflow of its own."""
    if hasattr(session.config, "workerinput") and session.config.getvalue("loadgroup"):
        alone = [item for item in session.items if item.get_closest_marker("xdist_group") and "@" not in item.nodeid]
        if alone:
            msg = f"pytest-xdist does not group {alone[0].nodeid}: does its version fit that of pytest?"
            raise pytest.UsageError(msg)


@pytest.fixture(scope="session")
def _temporary_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """New folders, named by their number.

    pytest's own `tmp_path` looks at all folders of the session to name the next: of thousands, that takes longer than
    most tests.
    """

    def make() -> Iterator[Path]:
        above = tmp_path_factory.mktemp("tests")
        for number in itertools.count():
            folder = above / str(number)
            folder.mkdir()
            yield folder

    return make()


@pytest.fixture
def tmp_path(_temporary_folders: Iterator[Path]) -> Path:
    """An empty folder for one test."""
    return next(_temporary_folders)


@pytest.fixture(autouse=True)
def _own_temporary_folder(_temporary_folders: Iterator[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """The key's limit is counted in the machine's temporary folder: not in that of whoever runs the tests."""
    monkeypatch.setenv("TMPDIR", str(next(_temporary_folders)))
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.fixture(autouse=True)
def _no_least_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trigger that runs in this process wakes no task of Airflow's, so it need not wait for a worker's heartbeat."""
    monkeypatch.setenv("AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL", "-1")


@pytest.fixture
def no_waiting() -> Iterator[None]:
    """Attempts follow each other without a pause; how many there are is still the client's decision."""
    stamina.set_testing(True, attempts=1000)
    yield
    stamina.set_testing(False)


@contextmanager
def aws_service(name: str) -> Iterator[str]:
    """Serve one of AWS's services on a free port of this machine, and yield its endpoint."""
    from moto.moto_server import werkzeug_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(getattr(werkzeug_app, "MotoRequestHandler", WSGIRequestHandler)):  # the older Airflows' moto has none
        def log_request(self, *_args: object) -> None:
            """Keep no log, which nobody reads."""

    # moto's own server looks for each request's service among all of AWS's: with its log, half of what a request costs.
    server = make_server("127.0.0.1", 0, werkzeug_app.create_backend_app(name), threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, name=name, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def s3_endpoint() -> Iterator[str]:
    """Endpoint of a server that speaks S3; it has the bucket `sei`."""
    with aws_service("s3") as endpoint:
        httpx.put(f"{endpoint}/sei", verify=NO_AUTHORITIES).raise_for_status()
        yield endpoint


@pytest.fixture
def sts_endpoint() -> Iterator[str]:
    """Endpoint of a server that lends the credentials of roles."""
    with aws_service("sts") as endpoint:
        yield endpoint


@pytest.fixture(scope="session")
def azure_endpoint() -> Iterator[str]:
    """Endpoint of Azurite's account, on a free port of this machine; it has the container `sei`."""
    from azure.storage.blob import BlobServiceClient

    with azurite.running() as endpoint:
        BlobServiceClient(endpoint, credential=azurite.KEY).create_container("sei")
        yield endpoint
