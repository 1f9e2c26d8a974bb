"""A compose file's order and conditions, with plain processes instead of containers; no Airflow here."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest

from dev.emulation.cluster import Cluster
from dev.emulation.compose import Service, Volume
from dev.processes import StackError

PYTHON = sys.executable
SERVER = Service(
    name="server",
    image="airflow-provider-sei:1.0",
    command=[PYTHON, "-m", "http.server", "--bind", "0.0.0.0", "--directory", "/kept", "7000"],
    environment={},
    healthcheck=["curl", "--fail", "--silent", "http://localhost:7000/ready"],
    waits_for={"first": "service_completed_successfully"},
    files={},
    volumes=[Volume("kept", "/kept")],
    ports=[7000],
    replicas=1,
    ends=False,
)
FIRST = replace(
    SERVER, name="first", command=["/bin/sh", "-c", "echo $HOSTNAME > /kept/ready"], waits_for={}, ports=[], ends=True
)
BROKEN = replace(FIRST, command=["/bin/sh", "-c", "echo the reason; exit 3"])


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with Cluster({"first": FIRST, "server": SERVER}, tmp_path) as cluster:
        yield cluster


def test_a_service_starts_when_what_it_waits_for_is_done_and_is_reached_where_it_says(cluster: Cluster) -> None:
    cluster.start("first", "server")
    assert cluster.processes["first-1"].returncode == 0
    assert httpx.get(f"{cluster.url('server')}/ready", trust_env=False).text == "first-1\n"


def test_a_service_reads_its_secrets_from_files_that_only_their_owner_reads_and_no_others(tmp_path: Path) -> None:
    told = "cat /run/secrets/word > /kept/ready; stat -c %a /run/secrets/word >> /kept/ready"
    first = replace(FIRST, command=["/bin/sh", "-ec", told], files={"/run/secrets/word": "hidden\n"})
    other = replace(FIRST, name="other", command=["/bin/sh", "-ec", "cat /run/secrets/word"])
    with Cluster({"first": first, "server": SERVER, "other": other}, tmp_path) as cluster:
        cluster.start("first", "server")
        assert httpx.get(f"{cluster.url('server')}/ready", trust_env=False).text == "hidden\n600\n"
        with pytest.raises(StackError, match=r"other-1 ended with 1(.|\n)*No such file"):
            cluster.start("other")


def test_nothing_is_left_when_it_ends(tmp_path: Path) -> None:
    with Cluster({"first": FIRST, "server": SERVER}, tmp_path) as cluster:
        cluster.start("first", "server")
        pid = cluster.processes["server-1"].pid
    assert not psutil.pid_exists(pid)


def test_a_service_that_fails_is_named_with_the_end_of_its_log_and_nothing_starts_after_it(tmp_path: Path) -> None:
    with Cluster({"first": BROKEN, "server": SERVER}, tmp_path) as cluster:
        with pytest.raises(StackError, match=r"first-1 ended with 3(.|\n)*the reason"):
            cluster.start("first", "server")
        assert [*cluster.processes] == ["first-1"]


def test_an_image_that_has_no_stand_in_here_is_refused(tmp_path: Path) -> None:
    cluster = Cluster({"first": replace(FIRST, image="other:2.0")}, tmp_path)
    with pytest.raises(StackError, match="first-1 runs the image other"):
        cluster.start("first")
