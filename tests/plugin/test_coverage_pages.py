"""Pages about a lake and asset events, of which nothing is taken for HTML."""

from __future__ import annotations

import json
import re
from datetime import date, timedelta
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sei_provider.lake.tables.coverage_grid import CoverageGrid, State, coverage_grid
from sei_provider.plugin import application as application_module
from sei_provider.plugin import pages
from sei_provider.plugin.asset_events import parse_event
from sei_provider.plugin.heat_map import LINES, Filter, heat_map
from tests.examples import examples
from tests.plugin.coverage_lakes import FEB, PUBLISHED, TABLE, TODAY, cell, put, summary


@pytest.fixture(autouse=True)
def _today(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(application_module, "_today", lambda: TODAY)


def titles(text: str) -> list[str]:
    return [unescape(each) for each in re.findall(r'title="([^"]*)"', text)]


def glyphs(text: str) -> list[str]:
    return [unescape(each) for each in re.findall(r'<i class="s\d" aria-hidden="true">([^<]*)</i>', text)]


def events(*months: dict[str, object], run: str = "scheduled__1", missing: int = 0) -> list[object]:
    return list(parse_event(PUBLISHED, "sei_nightly", run, {"published": list(months), "missing": missing}))


def told(month: str = "2026-01", **values: object) -> dict[str, object]:
    return {
        "table": TABLE,
        "month": month,
        "rows": 12,
        "exports": 1,
        "manifest": "",
        "scopes": {"complete": 1},
        **values,
    }


ALL_STATES = [
    cell("team:1", path="Eng/A"),
    cell("team:2", FEB, path="Eng/B", complete=False),
    cell("team:3", path="Eng/C", complete=False),
    cell("team:4", path="Eng/D", quarantined=3),
    cell("team:5", path="Eng/E", seen_at=PUBLISHED - timedelta(days=9), published_at=PUBLISHED - timedelta(days=9)),
]


def test_every_state_has_its_word_and_a_glyph_of_its_own(page: TestClient, lake: Path) -> None:
    put(lake, ALL_STATES)
    text = page.get("/table", params={"table": TABLE, "by": "scope", "first": "2026-01"}).text
    found = {title.partition(": ")[0]: title.partition(": ")[2] for title in titles(text)}
    assert found["Eng/A, 2026-01"] == "complete"
    assert found["Eng/B, 2026-01"] == "missing"
    assert found["Eng/B, 2026-02"] == "to date"
    assert found["Eng/C, 2026-01"] == "partly"
    assert found["Eng/D, 2026-01"] == "quarantined"
    assert found["Eng/E, 2026-01"] == "stale"
    legend = glyphs(text.partition('class="legend"')[2].partition("</ul>")[0])
    assert len(set(legend)) == len(State)


def test_an_unreadable_month_is_told(page: TestClient, lake: Path) -> None:
    put(lake, [cell("team:1", path="Eng/A"), cell("team:1", FEB, path="Eng/A")], damaged=frozenset({FEB}))
    text = page.get("/table", params={"table": TABLE, "by": "scope", "first": "2026-01"}).text
    assert "Eng/A, 2026-02: unreadable" in titles(text)


def test_the_teams_below_one_are_summed_up_and_lead_to_it(page: TestClient, lake: Path) -> None:
    put(lake, [*(cell(f"team:{n}", path=f"Eng/A/{n}") for n in range(3)), cell("team:9", FEB, path="Ops/B")])
    text = page.get("/table", params={"table": TABLE, "first": "2026-01", "last": "2026-01"}).text
    assert "All, 2026-01: 3 complete, 1 missing. Fill the gaps" in titles(text)
    assert "Eng, 2026-01: all 3 complete" in titles(text)
    address = re.search(r'<a href="(table\?[^"]*below=Eng[^"]*)"', text)
    assert address
    below = page.get("/" + unescape(address[1])).text
    assert [title for title in titles(below) if title.startswith("Eng/A/1")] == ["Eng/A/1, 2026-01: complete"]
    assert "Ops" not in below


@pytest.mark.parametrize("worse", ["quarantined", "stale"])
def test_a_summed_cell_leads_to_the_form_of_its_gaps_also_where_another_state_is_worse(
    page: TestClient, lake: Path, worse: str
) -> None:
    old = {"seen_at": PUBLISHED - timedelta(days=9)} if worse == "stale" else {"quarantined": 3}
    put(
        lake,
        [
            cell("team:1", path="Eng/A/1", complete=False),
            cell("team:2", path="Eng/A/2", **old),
            cell("team:3", path="Ops/B", **old),
            cell("team:4", path="Ops/C"),
        ],
    )
    text = page.get("/table", params={"table": TABLE, "first": "2026-01", "last": "2026-01"}).text
    for line, counts in (("All", f"1 complete, 1 partly, 2 {worse}"), ("Eng", f"1 partly, 1 {worse}")):
        assert f"{line}, 2026-01: {counts}. Fill the gaps" in titles(text)
    assert f"Ops, 2026-01: 1 complete, 1 {worse}" in titles(text)
    links = [unescape(each) for each in re.findall(r'href="(fill\?[^"]*)"', text)]
    assert [teams(page.get("/" + link).text) for link in links] == [["1"], ["1"]]


def test_a_line_of_no_scope_leads_to_no_form(page: TestClient, lake: Path) -> None:
    put(lake, [cell("team:1", path="Eng/A", complete=False)])
    text = page.get("/table", params={"table": TABLE, "first": "2026-01", "q": "nothing like it"}).text
    assert "All, 2026-01: nothing known" in titles(text)
    assert "fill?" not in text


def test_a_form_for_no_gap_says_that_it_is_for_every_night(page: TestClient, lake: Path) -> None:
    put(lake, [cell("team:1", path="Eng/A")])
    said = "No scope is known to have a gap in this month"
    assert said in page.get("/fill", params={"table": TABLE, "month": "2026-01"}).text
    assert said not in page.get("/fill", params={"table": TABLE, "month": "2026-01", "scope": "team:1"}).text


def test_characters_that_steer_the_screen_are_shown_escaped_and_joiners_as_they_are(
    page: TestClient, lake: Path
) -> None:
    name = "Eng/\u202eA\x07\u2066\u200dB"
    put(lake, [cell("team:1", path=name), cell("team:2", path="Eng/C")])
    for address in ("/table", "/cell"):
        asked = {"table": TABLE, "by": "scope", "first": "2026-01", "scope": "team:1", "month": "2026-01"}
        text = page.get(address, params=asked).text
        assert "Eng/\\u202eA\\x07\\u2066\u200dB" in text
        assert not set(text) & {"\u202e", "\x07", "\u2066"}


def test_a_part_of_a_name_finds_its_scopes_in_any_case(page: TestClient, lake: Path) -> None:
    put(lake, ALL_STATES)
    text = page.get("/table", params={"table": TABLE, "q": "eNg/c"}).text
    assert {title.partition(",")[0] for title in titles(text)} == {"All", "Eng/C"}


def test_thousands_of_scopes_come_in_pages_of_which_only_one_is_summed_up(monkeypatch: pytest.MonkeyPatch) -> None:
    months = [date(2023 + number // 12, number % 12 + 1, 1) for number in range(36)]
    cells = [cell(f"team:{n}", month, path=f"Eng/{n % 40}/{n}") for n in range(4000) for month in months[:1]]
    grid = coverage_grid(summary(cells, months=tuple(months)), today=date(2026, 1, 1))
    counted: list[int] = []
    counts = CoverageGrid.counts
    monkeypatch.setattr(
        CoverageGrid, "counts", lambda self, scopes: counted.append(len(scopes)) or counts(self, scopes)
    )
    seen: list[str] = []
    for number in (1, 2, 80):
        found = heat_map(grid, Filter(summed=False, page=number))
        seen += [line.scope for line in found.lines]
        assert (found.page, found.pages) == (number, 4000 // LINES)
    assert len(set(seen)) == 3 * LINES
    assert sum(counted) == 3 * (4000 + LINES)
    assert len(heat_map(grid, Filter()).lines) == 40
    assert heat_map(grid, Filter(page=999)).page == 1


def test_a_cell_tells_export_rows_when_and_the_run(
    page: TestClient, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(lake, ALL_STATES)
    restated = {"figures": 7, "largest": 0.25, "teams": 2}
    monkeypatch.setattr(pages, "read_events", lambda: events(told(restated=restated), run="scheduled__2026-02-03"))
    text = page.get("/cell", params={"table": TABLE, "scope": "team:4", "month": "2026-01"}).text
    for part in ("exp_1", "2026-01-01 to 2026-01-31", "2026-02-03 02:30 UTC", "quarantined", "3 rows of its exports"):
        assert part in text
    assert '<a href="../dags/sei_nightly/runs/scheduled__2026-02-03">' in text
    assert "7 figures of 2 teams of the table, by up to 25 %" in text


def test_without_a_lake_the_months_come_from_airflows_database(
    page: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AIRFLOW_VAR_SEI_LAKE", raising=False)
    monkeypatch.setattr(pages, "read_events", lambda: events(told(scopes={"complete": 11, "missing": 1})))
    monkeypatch.setattr("airflow.sdk.Variable.get", lambda *_args, **_kwargs: "")
    text = page.get("/table", params={"table": TABLE}).text
    assert "The Variable sei_lake names no lake" in text
    assert "11 complete, 1 missing" in text
    assert "../dags/sei_nightly/runs/scheduled__1" in text
    assert TABLE in page.get("/coverage").text


@pytest.mark.parametrize(
    ("harm", "said"),
    [("damaged", "is damaged and cannot be read"), ("lost", "has no coverage summary of"), ("none", "")],
)
def test_what_the_page_cannot_read_it_says(page: TestClient, lake: Path, harm: str, said: str) -> None:
    put(lake, ALL_STATES)
    file = lake / "_coverage" / f"{TABLE}.arrow"
    if harm == "damaged":
        file.write_bytes(b"no Arrow")
    elif harm == "lost":
        file.unlink()
    text = unescape(page.get("/table", params={"table": TABLE}).text)
    assert (said in text) if said else ('class="note"' not in text)


def test_a_lake_that_cannot_be_opened_is_told(page: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_VAR_SEI_LAKE", "ftp://elsewhere/lake")
    assert "of the Variable sei_lake cannot be opened" in page.get("/coverage").text


def test_a_summary_that_is_behind_its_table_is_told(
    page: TestClient, lake: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(lake, [cell("team:1", seen_at=PUBLISHED - timedelta(hours=1))])
    place = f"{lake}/{TABLE}/month=2026-01/data.parquet"
    for rows, elsewhere, behind in ((13, False, True), (12, False, False), (13, True, False)):
        published = events(told(rows=rows, manifest="/other" * elsewhere + place))
        monkeypatch.setattr(pages, "read_events", lambda published=published: published)
        assert ("A publish task has told of other rows in 2026-01" in page.get("/table?table=" + TABLE).text) == behind


def test_the_form_is_filled_in_from_a_gap(page: TestClient, lake: Path) -> None:
    put(lake, [*ALL_STATES, cell("org:R & D", FEB)])
    one = page.get("/fill", params={"table": TABLE, "month": "2026-01", "scope": "team:2"}).text
    assert '<input type="date" name="from" value="2026-01-01" required>' in one
    assert '<input type="date" name="to" value="2026-01-31" required>' in one
    assert 'value="productivity" checked' in one
    assert teams(one) == ["2"]
    assert '<option value="all">' in one
    again = page.get("/fill", params={"table": TABLE, "month": "2026-01", "scope": "team:1"}).text
    assert '<option value="all" selected>' in again
    assert teams(page.get("/fill", params={"table": TABLE, "month": "2026-01"}).text) == [
        '{"orgTreeName": "R & D"}',
        "2",
        "3",
    ]
    assert teams(page.get("/fill", params={"table": TABLE, "month": "2026-01", "below": "Eng"}).text) == ["2", "3"]


def test_a_table_whose_report_sei_backfill_does_not_know_is_told(page: TestClient, lake: Path) -> None:
    put(lake, [cell("team:1")], "developers", report="developers")
    text = page.get("/fill", params={"table": "developers", "month": "2026-01", "scope": "team:1"}).text
    assert "sei_backfill does not know the report developers" in text
    assert " checked>" not in text.partition("</fieldset>")[0]


@pytest.mark.parametrize(
    "address",
    ["/table?table=../x", "/table?table=", "/table?table=a&first=2026-13", "/cell?table=a&scope=b&month=0000-01",
     "/table?table=a&page=0", "/table?table=a&by=x", f"/table?table=a&q={'x' * 501}"],
    ids=["path", "empty", "month", "year", "page", "by", "long"],
)  # fmt: skip
def test_an_address_that_makes_no_sense_is_refused(page: TestClient, lake: Path, address: str) -> None:
    assert page.get(address).status_code == 422


def teams(text: str) -> list[str]:
    return (
        unescape(text.partition("<textarea")[2].partition(">")[2].partition("</textarea>")[0]).strip("\n").split("\n")
    )


class Structure(HTMLParser):
    """Tags of a page with the names of their attributes, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40) | st.sampled_from(
    [
        "<script>alert(1)</script>",
        '" onmouseover="x',
        "' x='",
        "{{ 7*7 }}",
        "</title>",
        "&amp;",
        "]]>",
        "\u202eabc",
        "a/b",
    ]
)


@settings(max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=NAMES)
@example(name="<img src=x onerror=alert(1)>")
@pytest.mark.fuzz
def test_no_name_of_a_team_or_a_tree_is_taken_for_html(page: TestClient, lake: Path, name: str) -> None:
    shown = {}
    for each in ("A", name):
        scope = f"org:{each}"
        put(lake, [cell(scope, path=None, complete=False)])
        shown[each] = [
            Structure(page.get(address, params={"table": TABLE, "scope": scope, "month": "2026-01", **more}).text)
            for address, more in (("/table", {"by": "scope", "first": "2026-01"}), ("/cell", {}), ("/fill", {}))
        ]
    for harmless, found in zip(shown["A"], shown[name], strict=True):
        assert found.tags == harmless.tags
        assert "49" not in found.text.replace(name, "")
    plain = name.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "\ufffd")
    assert plain in shown[name][0].text or not name.isprintable()
    assert json.dumps(name, ensure_ascii=False) in shown[name][2].text or not name.isprintable()
