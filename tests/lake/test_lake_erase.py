"""A person is erased from all of a lake, and stays out of it (issue 15, CONTRACT row 27)."""

from __future__ import annotations

import gzip
import hashlib
import unicodedata
from datetime import date

import pytest
from lake_bench import STORES, at
from test_lake_people_generated import _all_of

from sei_provider import lake
from sei_provider.lake import PersonalDataError
from sei_provider.lake.staging.erased import mentioned, spellings

KEY = hashlib.sha256(b"key").digest()
HEAD = "Developer,E-Mail Address,Team,Start_Date,PR_MERGED,Manager"
ROWS = [
    "Zoë Quackenbush,zoe@example.com,A,{},4,Other Person",
    "Other Person,other@example.com,A,{},5,zoë  QUACKENBUSH",
    "Third Person,third@example.com,A,{},6,Other Person",
]
ZOE = ["Zoë Quackenbush", "zoe@example.com"]
TRACES = ("zoë", "zoe\u0308", "zoe@", "quackenbush")
MONTHS = [("2026-01-01", "2026-01-31"), ("2026-02-01", "2026-02-28")]


@pytest.fixture
def bench(bench):
    bench.header, bench.table = HEAD, "productivity_developer_monthly"
    bench.options = {"hash_key": KEY}
    return bench


def erase(bench, people=ZOE, **options):
    single = bench.single_writer
    return lake.erase(bench.lake, people, hash_key=KEY, erased_at=at(2000), single_writer=single, **options)


def traces(bench):
    shown = unicodedata.normalize("NFC", "\n".join(_all_of(bench.folder / "lake"))).casefold()
    return [trace for trace in TRACES if unicodedata.normalize("NFC", trace) in shown]


def fill(bench):
    """Two months, one slice that is staged only, rows in quarantine, and a raw copy."""
    bench.options |= {"on_bad_value": "quarantine"}
    for age, (start, end) in enumerate(MONTHS, 1):
        bad = f"Zoë Quackenbush,zoe@example.com,A,{start},bad,", f"Third Person,third@example.com,A,{start},bad,"
        bench.export("team:1", [*(row.format(start) for row in ROWS), *bad], age=age, start=start, end=end)
    staged = bench.stage("team:2", [row.format(MONTHS[0][0]).replace(",A,", ",B,") for row in ROWS], age=3)
    lake.keep(bench.folder / "body", bench.lake / "raw", bench.slice(), export_id="exp_3")
    return staged


def test_issue_15_a_person_is_erased_from_all_months_staging_quarantine_and_raw_copies(bench):
    staged = fill(bench)
    assert traces(bench)
    found = erase(bench, raw_path=bench.lake / "raw")
    assert [(each["place"], each["rows"]) for each in found] == [
        ("staging", 1), ("quarantine", 1), ("quarantine", 1), ("raw", 2), ("table", 1), ("table", 1),
    ]  # fmt: skip
    assert "zo" not in str(found).casefold().replace("zone", "")
    raw = [gzip.decompress(data).decode() for data in bench.objects(".csv.gz").values()]
    assert [body.splitlines() for body in raw] == [[HEAD, ROWS[2].format("2026-01-01").replace(",A,", ",B,")]]
    assert traces(bench) == []
    assert bench.rows("developer", "manager", "pr_merged") == [
        ("Other Person", None, 5.0), ("Other Person", None, 5.0),
        ("Third Person", "Other Person", 6.0), ("Third Person", "Other Person", 6.0),
    ]  # fmt: skip
    entries = [entry for month in lake.ledger(bench.lake, bench.table).values() for entry in month]
    assert [entry["rows"] for entry in entries] == [2, 2]
    assert erase(bench, raw_path=bench.lake / "raw") == [], "once more changes nothing"
    bench.publish(staged)
    assert traces(bench) == []
    assert len(bench.rows("developer")) == 6


@pytest.mark.parametrize("store", STORES, indirect=True)
def test_issue_15_who_is_erased_stays_out_of_later_exports_until_that_is_undone(bench):
    bench.export("team:1", [row.format("2026-01-01") for row in ROWS], age=1)
    erase(bench)
    bench.options |= {"on_bad_value": "quarantine"}
    again = [*(row.format("2026-01-01") for row in ROWS), "x,ZOE@example.com,A,2026-01-01,bad,y"]
    bench.export("team:1", again, age=2)
    rest = [("Other Person", None), ("Third Person", "Other Person")]
    assert bench.rows("developer", "manager") == rest
    assert not any("_quarantine" in path for path in bench.objects(".parquet"))
    single = bench.single_writer
    assert lake.unerase(bench.lake, ZOE, hash_key=KEY, single_writer=single) == 2
    assert lake.unerase(bench.lake, ZOE, hash_key=KEY, single_writer=single) == 0
    bench.export("team:1", again[:3], age=3)
    assert len(bench.rows("developer")) == 3


def test_issue_15_a_raw_copy_that_is_kept_later_leaves_them_out_too(bench):
    erase(bench)
    (bench.folder / "body").write_bytes("\n".join([HEAD, *ROWS, '"Zoë\nQuackenbush",,,,,']).encode())
    kept = lake.keep(
        bench.folder / "body", bench.lake / "raw", bench.slice(), export_id="e", lake=bench.lake, hash_key=KEY
    )
    assert kept.read_text().splitlines() == [HEAD, ROWS[2]]


@pytest.mark.parametrize("choice", ["hash", "drop"])
def test_issue_15_a_person_is_erased_and_stays_out_under_hash_and_drop(bench, choice):
    bench.options |= {"personal_data": choice}
    bench.export("team:1", [row.format("2026-01-01") for row in ROWS], age=1)
    before = {cell for row in lake.read_table(bench.lake, bench.table).to_pylist() for cell in row.values()}
    found = erase(bench)
    after = lake.read_table(bench.lake, bench.table).to_pylist()
    assert [each["rows"] for each in found] == ([1] if choice == "hash" else [])
    assert len(after) == (2 if choice == "hash" else 3), "dropped columns leave nothing to know a person by"
    bench.export("team:1", [row.format("2026-01-01") for row in ROWS], age=2)
    assert [row["pr_merged"] for row in lake.read_table(bench.lake, bench.table).to_pylist()] == [5.0, 6.0] or (
        sorted(pr for (pr,) in bench.rows("pr_merged")) == [5.0, 6.0]
    )
    listed = " ".join(path for path in bench.objects("") if "/_erased/" in path)
    assert len(listed.split()) == 2
    assert not [cell for cell in before if isinstance(cell, str) and len(cell) == 64 and cell in listed]


def test_issue_15_the_list_of_the_erased_needs_its_key_under_every_policy(bench):
    erase(bench)
    for options, match in (({}, "hash_key"), ({"hash_key": KEY[::-1]}, "another personal_data_secret")):
        bench.options = options
        with pytest.raises(PersonalDataError, match=match):
            bench.stage("team:1", [ROWS[0].format("2026-01-01")], age=1)
    with pytest.raises(PersonalDataError, match="import secrets"):
        lake.erase(bench.lake, ZOE, hash_key=b"a" * 32, erased_at=at(1))


def test_issue_15_a_table_hashed_under_another_key_is_told_after_the_rest_is_done(bench):
    bench.options |= {"personal_data": "hash", "hash_key": KEY[::-1]}
    bench.export("team:1", [ROWS[0].format("2026-01-01")], age=1)
    bench.table, bench.options = "a_table_in_clear", {"hash_key": KEY}
    bench.export("team:1", [ROWS[0].format("2026-01-01")], age=2)
    with pytest.raises(PersonalDataError, match="productivity_developer_monthly hold hashes under another"):
        erase(bench)
    assert bench.rows("developer") == []


def test_issue_15_the_teams_of_a_contributor_report_are_erased_with_its_ledger(bench):
    bench.report, bench.table, bench.granularity = "contributor_report", "contributor_report", ""
    bench.header = "Collection Name,PR_MERGED"
    bench.options |= {"on_bad_value": "quarantine"}
    bench.export("org:Eng", ["Zoë Quackenbush,4", "B,5", "Zoë Quackenbush,bad"], age=1)
    bench.stage("org:Eng", ["B,5", "Zoë Quackenbush,bad"], age=2, start="2026-02-01", end="2026-02-28")
    bench.stage("org:Eng", ["B,5"], age=3, start="2026-02-01", end="2026-02-28")
    assert [each["place"] for each in erase(bench)] == ["staging", "quarantine", "quarantine", "table"]
    assert traces(bench) == []
    assert bench.rows("team") == [("B",)]
    assert erase(bench) == []


@pytest.mark.parametrize("choice", ["keep", "hash"])
def test_issue_15_a_manager_is_erased_from_the_paths_of_contributors_who_stay(bench, choice):
    bench.report, bench.table, bench.granularity = "contributor_report", "contributor_report", ""
    bench.header = "Collection Name,Hierarchy,PR_MERGED"
    bench.options |= {"on_bad_value": "quarantine", "personal_data": choice}
    rows = ["Zoë Quackenbush,Acme/Zoë Quackenbush,4", "B,Acme/Zoë Quackenbush/B,5", "C,Acme/C,6"]
    bad = ["D,Acme/Zoë Quackenbush/D,bad"]
    bench.export("org:Eng", rows + bad, age=1)
    bench.stage("org:Eng", rows + bad, age=2, start="2026-02-01", end="2026-02-28")
    lake.keep(bench.folder / "body", bench.lake / "raw", bench.slice(), export_id="exp_2")
    erase(bench, raw_path=bench.lake / "raw")
    assert traces(bench) == []
    assert len(bench.rows("team")) == 2
    bench.export("org:Eng", rows + bad, age=3, start="2026-03-01", end="2026-03-31")
    assert traces(bench) == []
    if choice == "keep":
        paths = {"Acme/(erased)/B", "Acme/C"}
        assert {path for (path,) in bench.rows("team_hierarchy")} == paths
        assert {
            p for month in lake.ledger(bench.lake, bench.table).values() for e in month for p in e["teams"]
        } == paths
    assert {each["place"] for each in erase(bench)} <= {"raw"}


@pytest.mark.parametrize(
    "written",
    ["Zoë  Quackenbush", "Zoë\u00a0Quackenbush", "Quackenbush, Zoë", "Zoë Quackenbush <zoe@example.com>",
     "Zoë Quackenbush (zoe@example.com)", "mailto:zoe@example.com"],
)  # fmt: skip
def test_issue_15_hashes_of_other_writings_are_found(bench, written):
    bench.options |= {"personal_data": "hash"}
    bench.export("team:1", [f'"{written}",,A,2026-01-01,4,', "B,b@example.com,A,2026-01-01,5,"], age=1)
    erase(bench)
    assert bench.rows("pr_merged") == [(5.0,)]


@pytest.mark.parametrize("people", [[], [""], ["  "], "Zoë"])
def test_issue_15_nobody_and_a_bare_text_are_refused(bench, people):
    with pytest.raises(PersonalDataError, match="a list of all names"):
        erase(bench, people)


@pytest.mark.parametrize(
    "written",
    [
        "zoë quackenbush", "ZOË QUACKENBUSH", " Zoë\u00a0 Quackenbush ", "Zoe\u0308 Quackenbush", "Quackenbush, Zoë",
        "Zoë Quackenbush <zoe@example.com>", "mailto:ZOE@example.com", "Ｚoë Quackenbush",
        '"Zoë Quackenbush"  (zoe@example.com)', "Zo\u00adë Quackenbush\u200e", "\ufeffZoë Quackenbush",
        "Zoë Quackenbush (contractor)", "“Zoë” Quackenbush", "Other Person; Zoë Quackenbush",
        "Other Person, Zoë Quackenbush", "Acme/Zoë Quackenbush/B", "Other Person & Zoë Quackenbush",
        "Zoë\u200bQuackenbush", "‘Zoë Quackenbush’", "«Zoë Quackenbush»", "@Zoë Quackenbush", "Zoë Quackenbush.",
        "Other Person and Zoë Quackenbush", "Other Person + Zoë Quackenbush", "Zoë Quackenbush - contractor",
        "Zoë Quackenbush — contractor", "Zoë Quackenbush\rOther Person", "Zoë Quackenbush\u2028Other Person",
        "Zoë Quackenbush • Other Person", "Zoë Quackenbush、Other Person", "Zoë Quackenbush，Other Person",
        "['Zoë Quackenbush', 'Other Person']", '["Other Person","Zoë Quackenbush"]', '{"name": "Zoë Quackenbush"}',
        "Lead: Zoë Quackenbush", "bot (Zoë Quackenbush)", "Zoë Quackenbush (Acme (EU))", "Acme\\Zoë Quackenbush",
        "(Quackenbush, Zoë)", "mailto:zoe@example.com?subject=a",
        "'zoe@example.com'", "joe@example.com|zoe@example.com",
    ],
)  # fmt: skip
def test_issue_15_one_person_is_written_in_many_ways(written):
    given = frozenset().union(*map(spellings, ZOE))
    assert given & mentioned(written)


def test_issue_15_two_people_are_not_one():
    given = frozenset().union(*map(spellings, ZOE))
    for other in (
        "Zoë",
        "Quackenbush",
        "Zoë Quackenbush-Smith",
        "joe@example.com",
        "zoe@example.org",
        "Zoe Quackenbush",
        "Zoë, Quackenbush",
        "Zoë/Quackenbush",
        "Zoë Smith, Joe Quackenbush",
        "Zoë - Quackenbush",
        "Zoë Quackenbushा",
    ):
        assert not given & mentioned(other)


def test_issue_15_a_single_word_is_not_found_in_the_name_of_another():
    for other in ("Quackenbush, Zoë", "Zoë Quackenbush", "Zoë-Quackenbush", "Joe (Zoë)", "zoë_", "zoë.quackenbush"):
        assert not spellings("Zoë") & mentioned(other), other
    assert spellings("zoë") & mentioned("joe; Zoë")


def test_issue_15_a_file_that_is_staged_while_somebody_is_erased_is_staged_again(bench, monkeypatch):
    from sei_provider.lake.staging import stage as module

    put, erased = module.put, []

    def put_and_erase(target, source):
        put(target, source)
        if not erased:
            erased.append(lake.erase(bench.lake, ZOE, hash_key=KEY, erased_at=at(1)))

    monkeypatch.setattr(module, "put", put_and_erase)
    manifest = bench.stage("team:1", [row.format("2026-01-01") for row in ROWS], age=1)
    assert manifest["rows"] == 2
    assert traces(bench) == []
    assert manifest["start"] == date(2026, 1, 1).isoformat()
