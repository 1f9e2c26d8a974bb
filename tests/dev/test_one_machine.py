"""Host names, ports and paths of a compose file on one machine: the only difference from what the file says."""

from dataclasses import replace
from pathlib import Path

import pytest

from dev.emulation.compose import Service, Volume
from dev.emulation.one_machine import OneMachine
from dev.stack import PROJECT

STORE = Service(
    name="store",
    image="store:1.0",
    command=["store", "--port", "7000", "--listen=0.0.0.0:7000", "--keep=/data/here", "--old=/database"],
    environment={"SECRET": "a7000b"},
    healthcheck=["ask", "http://localhost:7000/health"],
    waits_for={},
    files={},
    volumes=[Volume("kept", "/data")],
    ports=[7000],
    replicas=1,
    ends=False,
)
WORKER = replace(
    STORE,
    name="worker",
    command=["work", "--name", "${HOSTNAME}"],
    environment={
        "URL": "scheme://store:word@store:7000/0",
        "JSON": '{"url": "http://store:7000"}',
        "LIKE": "http://my-store:7000",
    },
    healthcheck=["ls", "/dags/one.py"],
    files={"/run/secrets/word": "a7000b", "/run/secrets/url.txt": "http://store:7000/0"},
    volumes=[Volume("./dags", "/dags"), Volume("kept", "/shared")],
    ports=[],
    replicas=2,
)


@pytest.fixture
def machine(tmp_path: Path) -> OneMachine:
    return OneMachine([STORE, WORKER], tmp_path)


def test_hosts_ports_and_paths_become_this_machines(machine: OneMachine, tmp_path: Path) -> None:
    (store,) = machine.instances(STORE)
    port = machine.port(STORE)
    assert port != 7000
    kept = tmp_path / "volumes" / "kept"
    assert store.command == [
        "store",
        "--port",
        f"{port}",
        f"--listen=127.0.0.1:{port}",
        f"--keep={kept}/here",
        "--old=/database",
    ]
    assert store.healthcheck == ["ask", f"http://127.0.0.1:{port}/health"]
    worker, _ = machine.instances(WORKER)
    assert worker.environment["URL"] == f"scheme://store:word@127.0.0.1:{port}/0"
    assert worker.environment["JSON"] == f'{{"url": "http://127.0.0.1:{port}"}}'
    assert worker.healthcheck == ["ls", f"{PROJECT}/dags/one.py"]


def test_a_port_inside_a_shells_line_becomes_this_machines(tmp_path: Path) -> None:
    shell = replace(STORE, command=["sh", "-ec", "store --port 7000 --keep 70001 -"])
    machine = OneMachine([shell], tmp_path)
    (store,) = machine.instances(shell)
    assert store.command[2] == f"store --port {machine.port(shell)} --keep 70001 -"


def test_the_files_of_secrets_are_each_replicas_own_and_named_by_their_place_here(machine: OneMachine) -> None:
    asking = replace(WORKER, environment={"ASK": "cat /run/secrets/word", "NOT_MINE": "cat /run/secrets/wordy"})
    first, second = machine.instances(asking)
    word, url = first.home / "run/secrets/word", first.home / "run/secrets/url.txt"
    assert first.files == {word: "a7000b", url: f"http://127.0.0.1:{machine.port(STORE)}/0"}
    assert first.environment["ASK"] == f"cat {word}"
    assert first.environment["NOT_MINE"] == "cat /run/secrets/wordy"
    assert not first.files.keys() & second.files.keys()


def test_what_only_looks_like_a_host_or_a_port_stays(machine: OneMachine) -> None:
    (store,) = machine.instances(STORE)
    assert store.environment["SECRET"] == "a7000b"
    worker, _ = machine.instances(WORKER)
    assert worker.environment["LIKE"].startswith("http://my-store:")
    assert worker.command == WORKER.command


def test_each_replica_is_a_machine_of_its_own_that_shares_the_volumes(machine: OneMachine, tmp_path: Path) -> None:
    first, second = machine.instances(WORKER)
    assert [first.name, second.name] == ["worker-1", "worker-2"]
    for name in ("HOSTNAME", "TMPDIR"):
        assert first.environment[name] != second.environment[name]
    assert first.home != second.home
    assert machine.path(WORKER.volumes[1]) == machine.path(STORE.volumes[0]) == tmp_path / "volumes" / "kept"


def test_nothing_of_the_callers_own_airflow_gets_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "LocalExecutor")
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.example.com")
    (store,) = OneMachine([STORE], tmp_path).instances(STORE)
    assert not {"AIRFLOW__CORE__EXECUTOR", "HTTP_PROXY"} & store.environment.keys()


def test_two_services_on_one_port_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="same port"):
        OneMachine([STORE, replace(STORE, name="other")], tmp_path)
