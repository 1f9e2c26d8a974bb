"""A template that renders a secret is refused before anything that outlives the task shows it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import airflow
import pytest
from airflow.sdk import BaseOperator
from airflow.sdk.execution_time.context import ConnectionAccessor
from packaging.version import Version

from sei_provider.operators._arguments import SeiArgumentError
from sei_provider.operators.export import SeiExportOperator
from sei_provider.operators.publish import SeiPublishOperator
from sei_provider.operators.report import SeiReportOperator
from sei_provider.operators.teams import SeiTeamsOperator
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sensors.freshness import SeiFreshnessSensor
from sei_provider.testing import connect
from tests.tasks import TaskState, task_context

KEY = "sat.Qx7Lm2Zv9.Wd4Rk8Tn3.Hb6Yc1Jf5"
LAKE_KEY = "lakeW8vK3qS0tR5yU7iP2oA9"
BATCH = {"scopes": ["11"], "start": "2026-01-01", "end": "2026-01-31", "lake": "/data/lake"}
OPERATORS: dict[type[BaseOperator], dict[str, Any]] = {
    SeiExportOperator: BATCH | {"report": "productivity", "deferrable": False},
    SeiReportOperator: BATCH | {"report": "team_report"},
    SeiTeamsOperator: {"lake": "/data/lake"},
    SeiPublishOperator: {"lake": "/data/lake", "staged": [], "expected": []},
    SeiFreshnessSensor: {"lake": "/data/lake", "table": "sprint_team_monthly", "scopes": ["11"]},
}
RESULTS = {"staged", "published"}
FIELDS = [(kind, name) for kind in OPERATORS for name in kind.template_fields if name not in RESULTS]
SHAPES: dict[str, Any] = {
    "text": "{{ conn.sei_default.password }}",
    "within": "s3://{{ conn.get('sei_default').password }}@bucket/lake",
    "list": ["11", "{{ conn.sei_default.password }}"],
    "dict": {"teamId": "{{ conn.sei_default.password }}"},
    "another connection": [{"orgTreeName": "{{ conn.lake.password }}"}],
}
if Version(airflow.__version__) >= Version("3.2"):  # before that Airflow masks extras only once a hook has read them
    SHAPES["extra"] = "{{ conn.sei_default.extra_dejson.personal_data_secret }}"


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "http://127.0.0.1:9", password=KEY, personal_data_secret=f"secret-{LAKE_KEY}")
    monkeypatch.setenv("AIRFLOW_CONN_LAKE", json.dumps({"conn_type": "aws", "login": "lake", "password": LAKE_KEY}))


def _rendered(kind: type[BaseOperator], **arguments: Any) -> tuple[BaseOperator, Any, dict[str, Any]]:
    """The operator as a task has it, its context, and what it pushes."""
    operator = kind(task_id="export", **(OPERATORS[kind] | arguments))
    pushed: dict[str, Any] = {}
    context = task_context(
        operator,
        tries=1,
        max_tries=2,
        run_began=datetime.now(UTC),
        push=lambda *, key, value: pushed.update({key: value}),
        state=TaskState(),
    )
    operator.render_template_fields(context | {"conn": ConnectionAccessor()})
    return operator, context, pushed


@pytest.mark.usefixtures("connections")
@pytest.mark.parametrize(("kind", "name"), FIELDS, ids=[f"{kind.__name__}-{name}" for kind, name in FIELDS])
def test_an_argument_that_renders_a_secret_is_refused_by_its_name_and_shown_nowhere(
    kind: type[BaseOperator], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    for shape in SHAPES.values():
        operator, context, pushed = _rendered(kind, **{name: shape})
        with pytest.raises(SeiArgumentError, match=f"^{name} holds a secret") as refused:
            operator.execute(context)
        told = f"{refused.value!r} {refused.value.__cause__!r} {pushed} {context['task_state_store']} {caplog.text}"
        assert not any(secret[at : at + 10] in told for secret in (KEY, LAKE_KEY) for at in range(len(secret) - 9))
        assert pushed.keys() <= {"error"}


@pytest.mark.parametrize("word", ["sandbox", "airflow"])
def test_a_short_password_is_a_word_that_arguments_may_hold(
    sandbox: SandboxControl, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, word: str
) -> None:
    connect(monkeypatch, sandbox.base_url, password=word)
    lake = tmp_path / word / word
    operator, context, pushed = _rendered(SeiTeamsOperator, lake=str(lake), org_tree="{{ conn.sei_default.password }}")
    with pytest.raises(Exception, match=r"401|no org tree|account_identifier") as failed:
        operator.execute(context)
    assert not isinstance(failed.value, SeiArgumentError)
    assert pushed == {}
