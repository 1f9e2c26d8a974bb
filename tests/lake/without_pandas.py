"""Script: stages, publishes and covers in a fresh process in which importing pandas is an error.

python without_pandas.py <folder>
"""

from __future__ import annotations

import json
import os
import sys
from importlib.abc import MetaPathFinder
from pathlib import Path

from lake_bench import Bench, at, team_row

from sei_provider import lake


class Forbidden(MetaPathFinder):
    """An import of pandas that nothing takes for a package that is not installed. Arrow's C++ may swallow the error."""

    asked = 0

    def find_spec(self, fullname, path, target=None):  # noqa: ARG002  what Python calls it with
        if fullname.partition(".")[0] == "pandas":
            Forbidden.asked += 1
            msg = "pandas is imported"
            raise AssertionError(msg)


def main() -> None:
    folder = Path(sys.argv[1])
    sys.meta_path.insert(0, Forbidden())
    options = {"on_bad_value": "quarantine", "personal_data": "hash", "hash_key": b"a key of many bytes"}
    team = Bench(folder, options=options)
    bad = ["E/bad,bad,2026-01-01,,many,"]
    team.export("team:1", [team_row(f"E/{n}", "2026-01-01", n) for n in range(50)] + bad, age=1)
    team.export("team:1", [team_row(f"E/{n}", "2026-01-01", n + 1) for n in range(40)], age=2)
    sprint = Bench(
        folder, "sprint_team_sprint", "sprint", "sprint", "Team,Team Hierarchy,Sprint,Start_Date,End_Date,PR_MERGED"
    )
    sprint.columns = {}
    sprint.export("team:2", ["A,E/A,Sprint 1,2026-01-05,2026-01-18,4"], age=3)
    developers = Bench(folder, "productivity_developer_monthly", header="Developer,Email,Team,Start_Date,PR_MERGED")
    developers.columns = {}
    for age in (4, 5):
        developers.export("team:3", [f"D {n},d{n}@example.com,A,2026-01-01,{n * age}" for n in range(30)], age=age)
    teams = [lake.TreeTeam(id="1", name="A", path="E/A", parent_id=None, tree="E", depth=1, leaf=True)]
    reading = lake.stage_teams(
        teams, folder=team.staging, table="teams", scope="org:E", started_at=at(6), read_at=at(6), run_id="manual__1"
    )
    team.publish(reading)
    found = lake.coverage(team.lake, team.table)
    lake.incomplete(team.lake, team.table, scopes=["team:1"], start=found[0]["published_at"].date(), end=at(0).date())
    rows = lake.read_table(team.lake, developers.table)
    found = {"rows": len(rows), "asked for pandas": Forbidden.asked, "pyarrow.acero": "pyarrow.acero" in sys.modules}
    sys.stdout.write(json.dumps(found))
    sys.stdout.flush()
    # Arrow aborts a process now and then that ends just after a read: https://github.com/apache/arrow/issues/34314
    os._exit(0)


if __name__ == "__main__":
    main()
