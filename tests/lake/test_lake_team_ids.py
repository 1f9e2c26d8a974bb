"""`team_id`: never wrong, there where it is certain, and nothing of what a table holds depends on it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from lake_bench import Bench, at
from team_histories import DIALECTS, NIGHTS, WORLDS, Night, Node, Story, World, certain, path_of

from sei_provider import lake
from tests.examples import examples


def check(world: World, dialect: str, nights: list) -> None:
    with TemporaryDirectory() as folder:
        benches = []
        for name in ("bench", "plain"):
            Path(folder, name).mkdir()
            benches.append(Bench(Path(folder, name), columns={}))
        story = Story(*benches, dialect, world)
        for night in nights:
            story.run(night)
            rows = lake.read_table(story.bench.lake, story.bench.table).to_pylist()
            for row in rows:
                export, team = story.exports[row["_export_id"]], int(row["pr_merged"])
                told = row["team_id"]
                if told is not None and not story.is_undone(export, team):
                    assert told == str(team), f"wrong: {row}"
                if certain(story, row["_export_id"], team):
                    assert told == str(team), f"missing: {row}"
            plain = lake.read_table(story.plain.lake, story.plain.table).to_pylist()
            assert plain == [{**row, "team_id": None} for row in rows]
        check_teams(story)


def check_teams(story: Story) -> None:
    expected = {}
    for minute, world in story.readings:
        for team in world:
            first = expected.get(str(team), (minute, None))[0]
            expected[str(team)] = first, minute, world[team].name, path_of(world, team)
    if not expected:
        return
    rows = lake.read_table(story.bench.lake, "teams").to_pylist()
    found = {row["id"]: (row["first_seen"], row["last_seen"], row["name"], row["path"]) for row in rows}
    assert len(found) == len(rows)
    assert found == {key: (at(first), at(last), *rest) for key, (first, last, *rest) in expected.items()}


@pytest.mark.fuzz
@settings(max_examples=examples(15), deadline=None, suppress_health_check=list(HealthCheck))
@example(  # a path that would be another team's if it began at the scope
    world={1: Node("A", None), 2: Node("B", 1), 3: Node("A", 2), 4: Node("B", 3)},
    dialect="from the root",
    nights=[Night(changes=[("split", 3, 0, "A")], exports=[(2, 1)], between=[])],
)
@example(  # a child of its parent's name that has moved away when SEI gives back an export that has it
    world={1: Node("Eng", None), 2: Node("A", 1), 3: Node("B", 1), 4: Node("A", 2), 5: Node("A/B", 1)},
    dialect="no hierarchy",
    nights=[
        Night(changes=[], exports=[(1, 0)], between=[("create", 0, 0, "Eng"), ("create", 0, 0, "Eng")]),
        Night(changes=[("move", 17, 0, "Eng")], exports=[(1, 0)], between=[], reuses=True),
    ],
)
@given(world=WORLDS, dialect=st.sampled_from(DIALECTS), nights=st.lists(NIGHTS, min_size=1, max_size=3))
def test_a_team_id_is_never_wrong_and_there_where_it_is_certain(world, dialect, nights):
    check(world, dialect, nights)
