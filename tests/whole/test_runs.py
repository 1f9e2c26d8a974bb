"""Runs in which something fails, and the lake after the same data is exported again."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from dev.expected import rows_in, rows_sent
from sei_provider.lake import read_table
from sei_provider.sandbox.data.organisation import Organisation
from tests.tasks import REUSE
from tests.whole.conftest import CONSUMER, TEAM_IDS, TEAMS, Whole

SPRINT = "sprint_team_monthly"
DEVELOPERS = "productivity_developer_monthly"
GROUP = Organisation(TEAMS).root.children[0]


def requested(exports: list[dict[str, Any]]) -> Counter[str]:
    """Return the number of create calls for each team, also of those that got an export again."""
    counts: Counter[str] = Counter()
    for export in exports:
        counts[export["body"]["scope"]["teamId"]] += 1 + export["reused"]
    return counts


def teams_in(lake: str, table: str) -> Counter[str]:
    return Counter(read_table(lake, table)["_scope"].to_pylist())


def test_one_failed_export_of_ten_turns_the_run_red_nine_land_and_a_retry_asks_for_that_one_only(
    whole: Whole, lake: str
) -> None:
    ten = TEAM_IDS[:10]
    before = len(whole.sandbox.exports())
    whole.sandbox.fault("fail", team=ten[3], report="sprint")
    dag_id, run_id, state = whole.run("sprint", [ten], lake)
    assert state == "failed"
    states = whole.states(dag_id, run_id)
    assert (states["export[0]"], states["publish"], states["check"]) == ("failed", "success", "failed")
    assert set(teams_in(lake, SPRINT)) == {f"team:{team}" for team in ten if team != ten[3]}
    exports = whole.exports_of("sprint", since=before)
    assert requested(exports) == Counter(dict.fromkeys(ten, 1) | {ten[3]: 2})  # the second try asked for one team only
    failed = [export["id"] for export in exports if export["body"]["scope"]["teamId"] == ten[3]][-1]
    for task_id, map_index in (("export", 0), ("check", -1)):
        log = whole.airflow.task_log(dag_id, run_id, task_id, map_index=map_index)
        assert f"export {failed}" in log
        assert "a try after that can help" in log
    assert "1 of 10 scopes of the sprint export failed" in whole.airflow.task_log(dag_id, run_id, "export", map_index=0)

    whole.sandbox.clear_faults()
    whole.sandbox.advance(REUSE)
    whole.airflow.clear(dag_id, run_id, task_ids=[("export", 0)], downstream=True)
    assert whole.airflow.wait(dag_id, run_id, timeout=120) == "success"
    exports = whole.exports_of("sprint", since=before)
    assert requested(exports).total() == 12  # what the run had published is not requested again
    assert set(teams_in(lake, SPRINT)) == {f"team:{team}" for team in ten}


def test_when_the_teams_cannot_be_listed_the_run_is_red(whole: Whole, lake: str) -> None:
    dag_id, run_id, state = whole.run("sprint", [], lake)
    assert state == "failed"
    assert whole.states(dag_id, run_id)["publish"] == "success"
    assert "no scope was asked for" in whole.airflow.task_log(dag_id, run_id, "check")


def test_a_batch_killed_in_its_last_try_is_named_the_others_land_and_consumers_run(whole: Whole, lake: str) -> None:
    batches = [TEAM_IDS[:4], TEAM_IDS[4:8], TEAM_IDS[8:]]
    before = {dag_run["dag_run_id"] for dag_run in whole.airflow.dag_runs(CONSUMER)}
    dag_id, run_id, state = whole.run("sprint", batches, lake, killed=TEAM_IDS[5])
    assert state == "failed"
    states = whole.states(dag_id, run_id)
    assert [states[f"export[{index}]"] for index in range(3)] == ["success", "failed", "success"]
    assert set(teams_in(lake, SPRINT)) == {f"team:{team}" for team in TEAM_IDS[:4] + TEAM_IDS[8:]}
    log = whole.airflow.task_log(dag_id, run_id, "check")
    lost = ", ".join(f"team:{team}" for team in TEAM_IDS[4:8])
    assert f"{lost}: its export task export (map index 1), for the report sprint, handed nothing on" in log
    assert "4 scopes are missing from the lake" in log
    after = [run for run in whole.runs_by_assets(CONSUMER) if run["dag_run_id"] not in before]
    assert {run["state"] for run in after} == {"success"}
    logs = [whole.airflow.task_log(CONSUMER, run["dag_run_id"], "report") for run in after]
    lines = [line for log in logs for line in re.findall(r"published:((?: 2026-\d\d)+)", log)]
    assert set(" ".join(lines).split()) == {"2026-01", "2026-02"}, "a run a month, or on older Airflows one of both"


def test_a_team_whose_answer_became_header_only_leaves_and_the_others_stay(whole: Whole, lake: str) -> None:
    four = TEAM_IDS[:4]
    assert whole.run("business_alignment", [four], lake)[2] == "success"
    before = rows_in(lake, "business_alignment_monthly")
    whole.sandbox.advance(REUSE)
    whole.sandbox.fault("header_only", team=four[1], report="business_alignment")
    assert whole.run("business_alignment", [four], lake)[2] == "success"
    assert set(teams_in(lake, "business_alignment_monthly")) == {f"team:{team}" for team in four if team != four[1]}
    after = rows_in(lake, "business_alignment_monthly")
    assert after < before
    assert sum(before.values()) - sum(after.values()) == 2


def test_parent_child_and_parent_again_hold_each_teams_rows_once_from_the_newest(whole: Whole, lake: str) -> None:
    children = {team.hierarchy for team in GROUP.walk()}
    child = GROUP.children[0]
    for batch, owner in (
        ([GROUP.id], f"team:{GROUP.id}"),
        ([child.id], f"team:{child.id}"),
        ([GROUP.id], f"team:{GROUP.id}"),
    ):
        whole.sandbox.advance(REUSE)
        assert whole.run("sprint", [batch], lake)[2] == "success"
        rows = read_table(lake, SPRINT).to_pylist()
        assert Counter(row["team_hierarchy"] for row in rows) == dict.fromkeys(children, 2)
        assert {row["_scope"] for row in rows if row["team_hierarchy"] == child.hierarchy} == {owner}
    last = whole.exports_of("sprint")[-1]["id"]
    assert {row["_export_id"] for row in rows} == {last}
    assert rows_in(lake, SPRINT) == rows_sent(whole.sandbox, [last])


def test_two_people_of_one_name_in_a_team_keep_a_row_each_and_nobody_is_named_outside_the_lake(
    whole: Whole, lake: str
) -> None:
    dag_id, run_id, state = whole.run("productivity", [TEAM_IDS[:6], TEAM_IDS[6:]], lake)
    assert state == "success"
    rows = read_table(lake, DEVELOPERS).to_pylist()
    people = Counter((row["team_hierarchy"], row["start_date"], row["developer"]) for row in rows)
    assert max(people.values()) == 2
    ids = [export["id"] for export in whole.exports_of("productivity") if export["sent"]][-TEAMS:]
    assert rows_in(lake, DEVELOPERS) == rows_sent(whole.sandbox, ids)

    names = {row["developer"] for row in rows} | {row["developer_email"] for row in rows if row["developer_email"]}
    assert len(names) > 40
    told = told_by_airflow(whole, dag_id, run_id)
    assert len(told) > 10_000
    for secret in (*names, "Developer ", "@example.com", "Sandbox User", whole.sandbox.key):
        assert secret not in told, f"{secret[:12]}… is told by Airflow"


def told_by_airflow(whole: Whole, dag_id: str, run_id: str) -> str:
    """All logs of everything so far, and this run's XComs and rendered templates."""
    logs = [path.read_text(errors="replace") for path in whole.stack.home.glob("**/*.log") if path.is_file()]
    told: list[Any] = [whole.airflow.xcoms(dag_id, run_id)]
    told += whole.airflow.task_instances(dag_id, run_id)  # with rendered_fields
    return "\n".join([*logs, repr(told)])
