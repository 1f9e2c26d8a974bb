"""The SQL of docs/bi.md, on tables that are exported from the sandbox: sums over leaf teams are the sandbox's."""

from __future__ import annotations

import csv
import gzip
import re
from collections import defaultdict
from pathlib import Path

import duckdb
import pytest

from sei_provider.lake.tables.ddl import table_ddl
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.data.organisation import Organisation
from tests.operators.conftest import Task, publish

PAGE = Path(__file__).parents[2] / "docs" / "bi.md"
SQL = re.findall(r"^```sql\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def cells(raw: Path, column: str) -> dict[str, list[float]]:
    """Return the figures of leaf teams by month, as the sandbox sent them."""
    leaves = {team.name for team in Organisation(6).leaves}
    found: dict[str, list[float]] = defaultdict(list)
    for file in sorted(raw.rglob("*.csv*")):
        text = file.read_bytes()
        text = gzip.decompress(text) if text[:2] == b"\x1f\x8b" else text
        for row in csv.DictReader(text.decode("utf-8-sig").splitlines()):
            by_name = {name.casefold().replace(" ", "_"): value for name, value in row.items()}
            if by_name["team"] in leaves and by_name[column] not in {"", "—"}:
                found[by_name["start_date"][:7]].append(float(by_name[column]))
    return found


@pytest.fixture
def tables(sandbox: SandboxControl, lake: Path, tmp_path: Path) -> duckdb.DuckDBPyConnection:
    """A database with the views, over exports of the whole tree: parents stand beside their child teams."""
    root = Organisation(6).root
    database = duckdb.connect()
    for report, table in (("sprint", "sprint_team_monthly"), ("efficiency", "efficiency_monthly")):
        raw = str(tmp_path / report)
        staged = Task(lake, state=None, task_id=report, report=report, scopes=[root.id], raw_path=raw).run()
        publish(lake, staged, [root.id])
        database.execute(table_ddl(lake, table, dialect="duckdb", location=str(lake)))
    return database


def test_sums_over_the_view_are_those_of_the_sandboxs_leaf_teams(
    tables: duckdb.DuckDBPyConnection, tmp_path: Path
) -> None:
    sums, dora = SQL
    committed = cells(tmp_path / "sprint", "sprint_commit")
    delivered = cells(tmp_path / "sprint", "delivered_commit")
    assert tables.sql(sums).fetchall() == [
        (month, pytest.approx(sum(committed[month])), pytest.approx(sum(delivered[month])))
        for month in ("2026-01", "2026-02")
    ]
    [everything] = tables.sql("SELECT sum(sprint_commit) FROM sprint_team_monthly").fetchall()
    assert everything[0] > sum(map(sum, committed.values())), "a parent's row stands beside its children's"
    deployments = cells(tmp_path / "efficiency", "df_deployment_count")
    found = tables.sql(dora)
    assert [row[:2] for row in found.fetchall()] == [
        (month, pytest.approx(sum(deployments[month]))) for month in ("2026-01", "2026-02")
    ]
    assert [row[-1] for row in tables.sql(dora).fetchall()] == [6, 6]
