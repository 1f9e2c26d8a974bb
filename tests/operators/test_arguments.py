"""Arguments of the operators: batches, ranges, places and time limits, and what is refused before any call."""

from __future__ import annotations

import math
from collections import Counter
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG, ObjectStoragePath
from airflow.sdk.definitions.mappedoperator import MappedOperator

from sei_provider.api import SeiInputError
from sei_provider.api.request import Scope
from sei_provider.operators.export import SeiExportOperator
from sei_provider.operators.publish import SeiPublishOperator
from sei_provider.sandbox.control import SandboxControl
from tests.operators.conftest import Task

ARGUMENTS: dict[str, Any] = {
    "task_id": "export",
    "report": "sprint",
    "scopes": ["11"],
    "start": "2026-01-01",
    "end": "2026-01-31",
    "lake": "/data/lake",
}


def refused(**arguments: Any) -> str:
    """Return the error of an operator that must not come about, neither by itself nor mapped."""
    with pytest.raises(SeiInputError) as error:
        pytest.fail(f"accepted: {SeiExportOperator(**(ARGUMENTS | arguments))}")
    assert isinstance(error.value, AirflowFailException), "a mapped task that gets it at run time makes no retry"
    return str(error.value)


def rendered(place: Path, **arguments: Any) -> Task:
    """Return a task whose templates have become these values: nothing of it was checked before."""
    task = Task(place, state=None, **dict.fromkeys(arguments.keys() - {"lake"}, "{{ x }}"))
    for name, value in arguments.items():
        setattr(task.operator, name, value)
    return task


@pytest.mark.parametrize(
    ("scopes", "teams"),
    [
        ("12", ["12"]),
        (12, ["12"]),
        ({"teamId": 12}, ["12"]),
        (" 12\n", ["12"]),
        (Scope(team_id="12"), ["12"]),
        (("11", 12), ["11", "12"]),
        ([{"teamId": "11"}, 12], ["11", "12"]),
        (range(11, 14), ["11", "12", "13"]),
    ],
)
def test_a_single_scope_is_a_batch_of_one_and_a_text_is_never_taken_apart(
    sandbox: SandboxControl, lake: Path, scopes: Any, teams: list[str]
) -> None:
    Task(lake, state=None, scopes=scopes).run()
    rendered(lake, scopes=scopes).run()
    asked = Counter(export["body"]["scope"]["teamId"] for export in sandbox.exports())
    assert sorted(asked) == teams


NO_BATCH = [
    *("['11', '12']", '["11", "12"]', "(11, 12)", "11,12", "11, 12", "11 12", "11;12", "11\n12", "[]", "", " ", "*"),
    *(
        "None",
        "null",
        "nan",
        "True",
        "false",
        "12.0",
        "-5",
        "+5",
        "1２",
        "１２",
        "11|12",
        "{'teamId': '12'}",
        "team:12",
    ),
    *(None, True, False, 0, -5, 12.0, math.nan, math.inf, b"12", bytearray(b"12"), {"11"}, frozenset(["11"]), object()),
    *([], (), [[]], [["11"]], [("11", "12")], ["11", None], ["11", ""], ["11", True], ["11", 1.5], [b"11"], [{"11"}]),
    *({}, {"team": "11"}, {"teamId": ""}, {"teamId": None}, {"teamId": ["11"]}, {"teamId": "11", "name": "x"}, [{}]),
    *(
        {"teamId": None, "orgTreeName": "Engineering"},
        {"teamId": "", "orgTreeName": "Engineering"},
        {"orgTreeName": " "},
    ),
    *(
        {"orgTreeName": 5},
        {"orgTreeName": None},
        {"orgTreeName": "a\nb"},
        {11: "teamId"},
        iter(["11"]),
        10**5000,
        date.max,
    ),
]


def test_anything_else_is_no_batch_and_refused_before_any_call(sandbox: SandboxControl, lake: Path) -> None:
    for scopes in NO_BATCH:
        assert "scope" in refused(scopes=scopes)
        with pytest.raises(AirflowFailException, match="scope"):
            pytest.fail(f"accepted: {rendered(lake, scopes=scopes).run()}")
    assert sandbox.requests() == []


def test_the_check_is_told_why_a_rendered_argument_was_refused(sandbox: SandboxControl, lake: Path) -> None:
    task = rendered(lake, scopes="11,12")
    with pytest.raises(AirflowFailException):
        task.run()
    assert "'11,12' is not a scope" in task.pushed["error"]


def test_a_publish_that_expects_no_scopes_makes_no_retry(lake: Path) -> None:
    publish = SeiPublishOperator(task_id="publish", staged=[], expected="{{ params.teams }}", lake=str(lake))
    publish.expected = "['11', '12']"
    with pytest.raises(AirflowFailException, match="is not a scope"):
        publish.execute({})  # type: ignore[arg-type]


def test_a_mapped_task_refuses_a_text_that_is_a_list_and_makes_no_retry(lake: Path) -> None:
    with DAG("mapped", schedule=None):
        export = SeiExportOperator.partial(**{name: value for name, value in ARGUMENTS.items() if name != "scopes"})
        mapped = export.expand(scopes=["12", ["11", "12"], "['11', '12']"])
    assert isinstance(mapped, MappedOperator)
    assert mapped.unmap({"scopes": "12"}).scopes == "12"
    with pytest.raises(AirflowFailException, match=r"\['11', '12'\].* is not a scope"):
        mapped.unmap({"scopes": "['11', '12']"})


NO_SECONDS = [
    None,
    "60",
    "{{ 60 }}",
    "",
    True,
    -1,
    math.nan,
    math.inf,
    10**400,
    timedelta(seconds=-1),
    [60],
    timedelta.max,
]


def test_a_time_that_is_none_is_refused_when_the_dag_is_read() -> None:
    for value in NO_SECONDS:
        for name in ("timeout", "poll_interval", "poll_max_interval", "poll_initial_delay"):
            if (name, value) != ("poll_initial_delay", None):
                assert refused(**{name: value}).startswith(f"{name} must be seconds as a number")
    for name in ("timeout", "poll_interval", "poll_max_interval"):
        assert "more than 0" in refused(**{name: 0})
        assert "more than 0" in refused(**{name: timedelta(0)})
    for bad in (None, "2", True, 0.5, math.nan, math.inf):
        assert "poll_backoff must be a number" in refused(poll_backoff=bad)
    operator = SeiExportOperator(**ARGUMENTS, timeout=0.5, poll_interval=timedelta(seconds=3), poll_initial_delay=0)
    assert operator._polling["interval"] == 3


NO_PLACE = [
    "",
    " ",
    "~/lake",
    "~",
    "lake",
    "./lake",
    "../lake",
    "file:lake",
    "file://lake",
    "s3:bucket/lake",
    "None",
    ".",
    "C:\\x",
]
NO_PLACE += [
    "/",  # what is left of "{{ var.value.base }}/" if the Variable is empty
    "//",
    "/..",
    "file:///",
    "hdfs://host/lake",
    "http://host/lake",
    "s3://",
    "/data/lake\n",
    " /data/lake",
    "/data\0lake",
    "s3://bucket//lake",
]
NOT_EVEN_TEXT: list[Any] = [None, True, 5, b"/data/lake", ["/data/lake"], {"path": "/data"}, Path("lake"), math.nan]


def test_a_lake_that_is_no_place_is_refused_when_the_dag_is_read_and_leaves_no_folder(
    sandbox: SandboxControl, lake: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for place in [*NO_PLACE, *NOT_EVEN_TEXT]:
        assert "lake" in refused(lake=place)
        if place is not None:
            refused(raw_path=place)
        with pytest.raises(AirflowFailException, match="lake"):
            pytest.fail(f"accepted {place!r}: {rendered(lake, lake=place).run()}")
        with pytest.raises(SeiInputError, match="lake"):
            SeiPublishOperator(task_id="publish", staged=[], expected=["11"], lake=place)
        publish = SeiPublishOperator(task_id="publish", staged=[], expected=["11"], lake=str(lake))
        publish.lake = place
        with pytest.raises(AirflowFailException, match="lake"):
            publish.execute({})  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
    assert sandbox.requests() == []


def test_a_lake_is_an_absolute_path_or_an_address(lake: Path) -> None:
    for place in ("/data/lake", Path("/data/lake"), "file:///data/lake", "s3://conn@bucket/lake", "S3A://bucket/lake/"):
        assert SeiExportOperator(**(ARGUMENTS | {"lake": place})).lake == place
    SeiExportOperator(**(ARGUMENTS | {"lake": ObjectStoragePath(f"file://{lake}")}))
    for template in ("{{ var.value.sei_lake }}", "/data/{{ ds }}"):
        assert SeiExportOperator(**(ARGUMENTS | {"lake": template})).lake == template


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"metric_groups": "work"}, "metric_groups must be a list of names"),
        ({"metric_groups": []}, "metric_groups must be a list of names"),
        ({"metric_groups": "['work']"}, "metric_groups must be a list of names"),
        ({"metric_groups": {"work": True}}, "metric_groups must be a list of names"),
        ({"metric_groups": ["velocty"]}, "unknown metric group 'velocty'"),
        ({"metrics": [5]}, "metrics must be a list of names"),
        ({"split_on": "timeout"}, "split_on must be a list of words"),
        ({"split_on": [""]}, "split_on must be a list of words"),
        ({"options": ["issueStatuses"]}, "options must be a mapping"),
        ({"granularity": 0}, "unknown granularity 0"),
        ({"granularity": ["monthly"]}, "unknown granularity"),
        ({"level": False}, "unknown level False"),
        ({"report": None}, "unknown report None"),
        ({"poll_backoff": 10**400}, "poll_backoff must be a number"),
        ({"options": {"share": float("nan")}}, "options must hold JSON values"),
        ({"lake": "s3://connection@/lake"}, "an @ without a connection before it or a bucket behind it"),
        ({"report": "productivity", "aggregation": 5}, "aggregation must be text"),
        ({"single_writer": "false"}, "single_writer must be True or False"),
        ({"deferrable": "false"}, "deferrable must be True or False"),
        ({"max_file_bytes": "5"}, "max_file_bytes must be a whole number"),
        ({"max_file_bytes": 0}, "max_file_bytes must be a whole number"),
        ({"personal_data": "hide"}, "personal_data='hide' is unknown; use one of keep, drop, hash"),
        ({"on_bad_value": "skip"}, "on_bad_value='skip' is unknown; use one of fail, quarantine"),
        ({"sei_conn_id": " "}, "sei_conn_id must be text"),
        ({"scopes": [{"teamId": "11", "orgTreeName": "Engineering"}]}, "a team or an org tree, not both"),
    ],
)
def test_a_wrong_argument_is_refused_when_the_dag_is_read_also_where_the_task_is_mapped(
    arguments: dict[str, Any], words: str
) -> None:
    assert words in refused(**arguments)
    name = "end" if "scopes" in arguments else "scopes"
    given = {key: value for key, value in (ARGUMENTS | arguments).items() if key != name}
    with DAG("mapped", schedule=None), pytest.raises(SeiInputError) as error:
        SeiExportOperator.partial(**given)
    assert words in str(error.value)


@pytest.mark.parametrize("report", ["Sprint", " SPRINT "])
def test_a_report_may_be_written_in_any_case(sandbox: SandboxControl, lake: Path, report: str) -> None:
    [manifest] = Task(lake, state=None, scopes="11", report=report).run()
    assert manifest["table"] == "sprint_team_monthly"
    assert next(request["path"] for request in sandbox.requests()) == "/v2/insights/sprint/exports"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"lake": "~/lake"}, "another folder for each user"),
        ({"lake": ""}, "is empty"),
        ({"expected": "11,12"}, "is not a scope"),
        ({"expected": [12.0]}, "12.0 is not a scope"),
        ({"expected": b"11"}, "b'11' is not a scope"),
        ({"expected": iter(["11"])}, "is not a scope"),
        ({"expected": [{"scopes": object}]}, "is not a scope"),
    ],
)
def test_publish_refuses_a_wrong_lake_and_what_it_cannot_expect_when_the_dag_is_read_and_once_rendered(
    lake: Path, arguments: dict[str, Any], words: str
) -> None:
    given = {"task_id": "publish", "staged": [], "expected": ["11"], "lake": str(lake)}
    if arguments.get("expected") != [{"scopes": object}]:  # a class counts as a value that Airflow renders
        with pytest.raises(SeiInputError, match=words):
            SeiPublishOperator(**(given | arguments))
    publish = SeiPublishOperator(**given)
    vars(publish).update(arguments)
    with pytest.raises(AirflowFailException, match=words):
        publish.execute({})  # type: ignore[arg-type]


@pytest.mark.parametrize("staged", ["None", 5, [True], [2.5], {"a": 1}, [["x"]]])
def test_publish_refuses_what_no_export_has_handed_on_and_makes_no_retry(lake: Path, staged: Any) -> None:
    publish = SeiPublishOperator(task_id="publish", staged=staged, expected=["11"], lake=str(lake))
    with pytest.raises(AirflowFailException, match="staged must be the results of export tasks"):
        publish.execute({})  # type: ignore[arg-type]
