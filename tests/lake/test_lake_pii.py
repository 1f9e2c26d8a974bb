"""Personal columns are kept, hashed or dropped before anything is staged (CONTRACT row 27)."""

from __future__ import annotations

import hashlib
import hmac

import pyarrow.parquet as pq
import pytest
from lake_bench import STORES

from sei_provider.lake import PersonalDataError
from sei_provider.lake.staging.pii import Privacy
from sei_provider.lake.storage.store import read

KEY = b"sixteen bytes or more"
HEAD = "Contributor,E-Mail Address,Team,Start_Date,PR_MERGED"
DEVELOPERS = ["Developer 12-03", "Developer 12-04"]
ROWS = [f"{name},{name.lower().replace(' ', '-')}@example.com,A,2026-01-01,{n}" for n, name in enumerate(DEVELOPERS)]


@pytest.fixture
def bench(bench):
    bench.header, bench.table = HEAD, "productivity_developer_monthly"
    return bench


def everything(bench):
    return b"".join(bench.objects("").values())


@pytest.mark.parametrize("store", STORES, indirect=True)
def test_dropped_columns_are_nowhere_and_the_rest_stays(bench):
    bench.options = {"personal_data": "drop"}
    manifest = bench.stage("team:1", ROWS, age=1)
    assert {"developer", "developer_email"}.isdisjoint(read(bench.path(manifest), pq.read_schema).names)
    bench.publish(manifest)
    assert bench.rows("team", "pr_merged") == [("A", 0.0), ("A", 1.0)]
    assert b"example.com" not in everything(bench)


@pytest.mark.parametrize("store", STORES, indirect=True)
def test_hashed_columns_are_hmac_sha256_under_the_key_and_the_same_every_time(bench):
    bench.options = {"personal_data": "hash", "hash_key": KEY}
    manifest = bench.stage("team:1", ROWS, age=1)
    assert "Developer 12" not in str(read(bench.path(manifest), pq.read_table).to_pylist())
    bench.publish(manifest)
    expected = [hmac.new(KEY, name.lower().encode(), hashlib.sha256).hexdigest() for name in DEVELOPERS]
    first = bench.rows("pr_merged", "developer", "developer_email")
    assert [developer for _, developer, _ in first] == expected
    bench.export("team:1", ROWS, age=2)
    assert bench.rows("pr_merged", "developer", "developer_email") == first
    bench.options["hash_key"] = b"another key of 16"
    bench.table = "another_table"
    bench.export("team:1", ROWS, age=3)
    assert not {cell for row in bench.rows("developer", "developer_email") for cell in row} & set(expected)


def test_an_address_in_another_case_is_the_same_person(bench):
    bench.options = {"personal_data": "hash", "hash_key": KEY}
    bench.export("team:1", [*ROWS[:1], ROWS[0].upper() + " "], age=1)
    assert len(set(bench.rows("developer", "developer_email"))) == 1


def test_an_empty_name_stays_empty(bench):
    bench.options = {"personal_data": "hash", "hash_key": KEY}
    bench.export("team:1", [f",,A,2026-01-01,{n}" for n in range(2)], age=1)
    assert bench.rows("developer", "developer_email") == [(None, None)] * 2


def test_people_are_kept_unless_said_otherwise(bench):
    bench.export("team:1", ROWS, age=1)
    assert [name for (name,) in bench.rows("developer")] == DEVELOPERS


@pytest.mark.parametrize("key", [None, b"", b"short"])
def test_hashing_without_a_key_that_is_worth_it_is_an_error_and_stages_nothing(bench, key):
    bench.options = {"personal_data": "hash", "hash_key": key}
    with pytest.raises(PersonalDataError, match=r"hash_key (is missing|needs at least 16 bytes).*import secrets"):
        bench.stage("team:1", ROWS, age=1)
    assert bench.objects("") == {}


def test_an_unknown_choice_is_an_error_that_names_the_choices(bench):
    bench.options = {"personal_data": "mask"}
    with pytest.raises(PersonalDataError, match="keep, hash, drop"):
        bench.stage("team:1", ROWS, age=1)


def test_the_key_is_shown_by_no_repr():
    assert "sixteen" not in repr(Privacy(choice="hash", report="productivity", key=KEY))


CONTRIBUTORS = ["Developer 12-03,4", "Developer 12-04,5", "Engineering,9"]


@pytest.fixture
def contributors(bench):
    bench.report, bench.table, bench.granularity = "contributor_report", "contributor_report", ""
    bench.header = "Collection Name,PR_MERGED"
    return bench


@pytest.mark.parametrize("store", STORES, indirect=True)
def test_contract_20_the_teams_of_a_contributor_report_are_people_and_hashed_as_such(contributors):
    contributors.options = {"personal_data": "hash", "hash_key": KEY}
    contributors.export("org:Eng", CONTRIBUTORS, age=1)
    names = ("developer 12-03", "developer 12-04", "engineering")
    hashes = [hmac.new(KEY, name.encode(), hashlib.sha256).hexdigest() for name in names]
    assert contributors.rows("pr_merged", "team", "team_hierarchy") == [
        (4.0, hashes[0], f"org:Eng/{hashes[0]}"),
        (5.0, hashes[1], f"org:Eng/{hashes[1]}"),
        (9.0, hashes[2], f"org:Eng/{hashes[2]}"),
    ]
    contributors.export("org:Eng", CONTRIBUTORS[:2], age=2)
    assert contributors.rows("team") == sorted([(hashes[0],), (hashes[1],)]), "the same people, replaced as before"
    assert b"Developer 12" not in everything(contributors), "nor in a ledger"


def test_a_contributor_report_without_its_people_would_say_nothing_so_dropping_them_is_an_error(contributors):
    contributors.options = {"personal_data": "drop"}
    with pytest.raises(PersonalDataError, match="use personal_data='hash'"):
        contributors.stage("org:Eng", CONTRIBUTORS, age=1)
    assert contributors.objects("") == {}


def test_a_contributor_reports_row_that_is_put_aside_is_hashed_too(contributors):
    contributors.options = {"personal_data": "hash", "hash_key": KEY, "on_bad_value": "quarantine"}
    contributors.export("org:Eng", [*CONTRIBUTORS, "Developer 12-05,many"], age=1)
    aside = everything(contributors)
    assert contributors.objects(".parquet")
    assert b"Developer 12" not in aside


def test_teams_of_other_reports_are_no_people(bench):
    bench.options = {"personal_data": "hash", "hash_key": KEY}
    bench.export("team:1", ROWS, age=1)
    assert bench.rows("team") == [("A",), ("A",)]
