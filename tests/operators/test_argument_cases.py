"""Arguments that nobody imagined: refused with our error before any call, or SEI is asked for exactly what was meant.

`make fuzz` tries thousands of them and prints how they ended.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, TaskDeferred
from airflow.sdk import DAG
from hypothesis import HealthCheck, Phase, given, note, settings
from hypothesis import strategies as st
from jinja2.nativetypes import NativeEnvironment
from jinja2.sandbox import SandboxedEnvironment

from sei_provider.api import SeiInputError
from sei_provider.operators.export import SeiExportOperator
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.server import serve
from sei_provider.testing import connect
from tests.examples import examples
from tests.operators import argument_judge as judge
from tests.tasks import TaskState, task_context

ENDS: Counter[str] = Counter()
ZONES = [UTC, *map(ZoneInfo, ("Europe/Berlin", "America/New_York", "Pacific/Kiritimati", "Asia/Beirut"))]

ODD: st.SearchStrategy[Any] = st.sampled_from(
    [
        None,
        True,
        False,
        0,
        -1,
        1.5,
        float("nan"),
        float("inf"),
        "",
        " ",
        b"12",
        {"11"},
        {},
        [],
        (),
        [[]],
        object(),
        iter("1"),
    ]
) | st.text(alphabet="01 -_,[]{}'\":a１\n", max_size=9).filter(lambda text: "{{" not in text)


def mostly(good: st.SearchStrategy[Any], *others: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Draw from `good` three times in four, because one wrong argument is enough for a refusal."""
    return st.sampled_from([True, True, True, False]).flatmap(lambda kept: good if kept else st.one_of(*others, ODD))


TEAM_IDS = {"11", "12", "13", "14", "15", "16"}
"""Teams of the sandbox."""
TEAMS = st.sampled_from(["11", "12", "13", " 14 ", 11, 15, "16\n"])
SCOPES = TEAMS | TEAMS.map(lambda team: {"teamId": team}) | st.just({"orgTreeName": "Engineering"})
BATCHES = mostly(
    SCOPES | st.lists(SCOPES, min_size=1, max_size=4) | st.lists(SCOPES, min_size=1, max_size=3).map(tuple),
    st.lists(st.integers(11, 16), min_size=2, max_size=3).map(str),
    st.lists(TEAMS, min_size=2, max_size=3).map(lambda teams: ",".join(str(team) for team in teams)),
    st.lists(SCOPES | ODD, max_size=3),
    st.dictionaries(st.sampled_from(["teamId", "orgTreeName", "name"]), SCOPES | ODD, max_size=2),
)
MOMENTS = st.builds(
    lambda day, hours, zone: datetime(day.year, day.month, day.day, tzinfo=zone) + timedelta(hours=hours),
    st.dates(date(2025, 11, 1), date(2026, 4, 30)),
    st.sampled_from([0, 0, 0, 2.5, 23.75, -1, 14]),
    st.sampled_from([*ZONES, None]),
)
STAMPS = st.builds(
    lambda moment, form: moment.astimezone(UTC).strftime(form),
    MOMENTS,
    st.sampled_from(["%Y-%m-%d %H:%M:%S+00:00", "%Y-%m-%dT%H:%M:%SZ", "%Y%m%dT%H%M%S%z", "%Y-%m-%dT%H:%M:%S"]),
)


def ranges(first: date, last: date) -> st.SearchStrategy[Any]:
    days = st.dates(first, last)
    return mostly(days | days.map(str) | days.map(lambda day: f"{day:%Y%m%d}") | MOMENTS | MOMENTS.map(str) | STAMPS)


NAMES = st.sampled_from([*judge.GROUPS, *judge.GROUPS.values(), "Work"])
GROUPS = mostly(st.none() | st.lists(NAMES, min_size=1, max_size=3), st.lists(NAMES | st.just("velocty")), NAMES)
TIMES = mostly(st.integers(1, 90_000) | st.floats(0.5, 1e6), st.integers(), st.floats(), st.timedeltas(), st.just("60"))
PLACES = mostly(
    st.sampled_from(["{lake}", "file://{lake}", "file:{lake}"]),
    st.sampled_from(
        ["lake", "~/lake", "./lake", "file:lake", "file://lake", "hdfs://h/l", " {lake}", "s3:/b", "{lake}\n"]
    ),
)
ARGUMENTS = {
    "scopes": BATCHES,
    "start": ranges(date(2025, 11, 1), date(2026, 2, 20)),
    "end": ranges(date(2026, 1, 10), date(2026, 4, 30)),
    "metric_groups": GROUPS,
    "timeout": TIMES,
    "lake": PLACES,
}
PLAIN: dict[str, Any] = {
    "scopes": ["11"],
    "start": "2026-01-05",
    "end": "2026-02-05",
    "metric_groups": None,
    "timeout": 60,
    "lake": "{lake}",
}
WAYS = ("literal", "mapped", "text", "native")


class Sandboxes:
    """A sandbox that remembers all exports, and a new one after a hundred cases, since its list is read for each."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._open, self._patch, self._cases = ExitStack(), patch, 0
        self._sandbox: SandboxControl | None = None
        self._calls = self._exports = 0

    def next(self) -> None:
        if self._sandbox is None or self._cases % 100 == 0:
            self._open.close()
            self._sandbox = self._open.enter_context(serve(teams=6, seconds=60, reuse=False))
            connect(self._patch, self._sandbox.base_url)
            self._calls = self._exports = 0
        self._cases += 1

    def new_calls(self) -> int:
        """Return how many calls there were since this was last asked."""
        before, self._calls = self._calls, len(self._sandbox.requests()) if self._sandbox else 0
        return self._calls - before

    def new_exports(self) -> list[dict[str, Any]]:
        """Return the bodies of the exports made since this was last asked; a slow one may be looked at as well."""
        self.new_calls()
        bodies = [export["body"] for export in self._sandbox.exports()] if self._sandbox else []
        before, self._exports = self._exports, len(bodies)
        return bodies[before:]

    def close(self) -> None:
        self._open.close()


@pytest.fixture(scope="module")
def sandboxes() -> Iterator[Sandboxes]:
    with pytest.MonkeyPatch.context() as patch:
        opened = Sandboxes(patch)
        yield opened
        opened.close()
    print("\n" + ", ".join(f"{count} {end}" for end, count in ENDS.most_common()))  # noqa: T201 - for `make fuzz`


@pytest.mark.fuzz
@given(data=st.data())
@settings(
    max_examples=examples(200),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_arguments_are_refused_before_any_call_or_sei_is_asked_for_what_was_meant(
    sandboxes: Sandboxes, tmp_path: Path, data: st.DataObject
) -> None:
    way, zone = data.draw(st.sampled_from(WAYS)), data.draw(st.sampled_from(ZONES))
    drawn = data.draw(st.sets(st.sampled_from(sorted(ARGUMENTS)), min_size=1, max_size=2))
    home = tmp_path / f"lake-{next(NUMBERS)}"
    arguments = PLAIN | {name: data.draw(ARGUMENTS[name], name) for name in sorted(drawn)}
    arguments = {name: _placed(value, home) for name, value in arguments.items()}
    rendered = arguments | {
        name: _rendered(way, arguments[name]) for name in drawn & set(SeiExportOperator.template_fields)
    }
    note(f"{way} in {zone}, rendered {rendered!r}")
    meant = _meaning(rendered, zone)
    sandboxes.next()
    error = _run(way, arguments, drawn, zone)
    if error is None:
        asked = sandboxes.new_exports()
        assert meant is not None, f"{way}: {rendered} was accepted: {asked}"
        scopes = [body["scope"] for body in asked]
        assert sorted(scopes, key=str) == sorted(meant["scopes"], key=str)
        assert all(body["dateRange"] == meant["range"] and body["metricGroups"] == meant["groups"] for body in asked)
        ENDS[f"asked ({way})"] += 1
    elif meant is not None and not TEAM_IDS.issuperset(_teams(meant["scopes"])):
        assert "Team not found" in str(error), f"{way}: {rendered} was refused: {error}"
        ENDS[f"asked for a team that SEI does not know ({way})"] += 1
        sandboxes.new_exports()
    else:
        assert meant is None, f"{way}: {rendered} was refused: {error}"
        assert isinstance(error, SeiInputError) or isinstance(error.__cause__, SeiInputError)
        assert sandboxes.new_calls() == 0
        assert not home.exists()
        ENDS[f"refused ({way})"] += 1


NUMBERS = itertools.count()


def _teams(scopes: list[dict[str, str]]) -> set[str]:
    return {scope["teamId"] for scope in scopes if "teamId" in scope}


def _placed(value: Any, home: Path) -> Any:
    return value.replace("{lake}", str(home)) if isinstance(value, str) else value


def _rendered(way: str, value: Any) -> Any:
    """Text that Jinja makes of a value that a template gives, or the value itself."""
    if way in {"literal", "mapped"}:
        return value
    environment = NativeEnvironment() if way == "native" else SandboxedEnvironment()
    return environment.from_string("{{ value }}").render(value=value)


def _meaning(given: dict[str, Any], zone: Any) -> dict[str, Any] | None:
    meant = {
        "scopes": judge.batch(given["scopes"]),
        "range": judge.range_of(given["start"], given["end"], zone),
        "groups": judge.groups(given["metric_groups"]),
        "timeout": judge.seconds(given["timeout"]),
        "lake": judge.is_place(given["lake"]) or None,
    }
    return None if None in meant.values() else meant


def _run(way: str, arguments: dict[str, Any], drawn: set[str], zone: Any) -> Exception | None:
    """Run the task as Airflow does: made where the DAG is read, mapped, rendered, executed; returns our error."""
    templated = drawn & set(SeiExportOperator.template_fields) if way in {"text", "native"} else set()
    settings = {
        "task_id": "export",
        "report": "sprint",
        "level": "sprint",
        "granularity": "sprint",
        "poll_interval": 30,
    }
    settings |= arguments | {name: "{{ params.%s }}" % name for name in templated}  # noqa: UP031 - braces are Jinja's
    try:
        with DAG(
            "cases", start_date=datetime(2026, 1, 1, tzinfo=zone), render_template_as_native_obj=way == "native"
        ) as dag:
            if way == "mapped":
                mapped = {name: settings.pop(name) for name in drawn}
                operator = SeiExportOperator.partial(**settings).expand_kwargs([{}]).unmap(mapped)
            else:
                operator = SeiExportOperator(**settings)
        context = task_context(
            operator, tries=1, max_tries=1, run_began=datetime.now(UTC), push=_push, state=TaskState()
        )
        context |= {"dag": dag, "params": {name: arguments[name] for name in templated}}
        operator.render_template_fields(context)
        operator.execute(context)
    except TaskDeferred:
        return None
    except (SeiInputError, AirflowFailException) as error:
        return error
    return AssertionError("the task did not wait for what it asked for")


def _push(**_: Any) -> None:
    """Take what the task hands on."""
