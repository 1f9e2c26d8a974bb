"""Under `hash` and `drop` a column that nobody has declared is a person's (CONTRACT row 27)."""

from __future__ import annotations

import hashlib
import json

import pytest

from sei_provider import lake
from sei_provider.lake import HeaderError, PersonalDataError, TableDefinitionError
from sei_provider.lake.staging import csv_records
from sei_provider.lake.staging.pii import Privacy
from sei_provider.lake.storage.store import read

KEY = hashlib.sha256(b"key").digest()
HEAD = "Developer,E-Mail Address,Team,Start_Date,PR_MERGED"
ROW = "Planted Person,planted@example.com,A,2026-01-01,4"
FOUND = [
    "Full Name", "User Email", "Manager", "Assignee", "Login", "Developer ID", "Reviewer", "Developer Name",
    "Contributor", "E-Mail", "Name", "user_id", "userLogin", "Author", "Note", "担当者", "Ответственный", "Leitung",
    "Planted Person", "Nom complet", "C", "planted@example.com_tickets", "1st", "Sprint Owner", "Team Name",
]  # fmt: skip
"""Headers that no document has for a productivity export."""


@pytest.fixture(params=["drop", "hash"])
def bench(request, bench):
    bench.header, bench.table = HEAD, "productivity_developer_monthly"
    bench.options = {"personal_data": request.param, **({"hash_key": KEY} if request.param == "hash" else {})}
    return bench


def everything(bench):
    """All that the lake holds: names, bytes, and values, which in the bytes are compressed."""
    found = [f"{path}\n".encode() + data for path, data in bench.objects("").items()]
    for path in bench.objects(".parquet"):
        parsed = read(bench.lake / path.split("/lake/", 1)[1], _parsed)
        found.append(str(parsed).encode())
    return b"\n".join(found).decode("utf-8", "replace").casefold()


def _parsed(file):
    import pyarrow.parquet as pq

    return pq.read_table(file).to_pylist()


@pytest.mark.parametrize("values", [["Planted Person", "planted@example.com", ""], ["7391", "7391.0", ""]], ids=str)
def test_issue_15_6_a_column_that_nobody_declared_is_a_persons_as_text_or_number(bench, values):
    bench.header = ",".join([HEAD, *FOUND])
    manifest = bench.stage("team:1", [ROW + f",{value}" * len(FOUND) for value in values], age=1)
    bench.publish(manifest)
    shown = everything(bench)
    assert "planted" not in shown
    assert "7391" not in shown
    assert bench.rows("team", "pr_merged") == [("A", 4.0)] * 3
    assert "planted" not in str(manifest).casefold()
    row = lake.read_table(bench.lake, bench.table).to_pylist()[0]
    hashes = [cell for cell in row.values() if isinstance(cell, str) and len(cell) == 64]
    assert len(hashes) == (len(FOUND) + 2 if bench.options["personal_data"] == "hash" else 0)


def test_issue_15_6_unknown_columns_are_listed_in_the_manifest_and_not_by_what_may_be_a_name(bench):
    bench.header = f"{HEAD},Full Name,Planted Person,Manager,Work_tickets,Coding Days Rating,Contributor"
    manifest = bench.stage("team:1", [f"{ROW},x,y,z,3,High,v"], age=1)
    assert manifest["unknown_columns"] == ["Full Name", "column 7", "Manager"]
    assert bench.publish(manifest)[0]["unknown_columns"] == ["Full Name", "Manager", "column 7"]


def test_issue_15_6_a_file_of_declared_columns_lists_none(bench):
    manifest = bench.stage("team:1", [ROW], age=1)
    assert "unknown_columns" not in manifest
    assert bench.publish(manifest)[0]["unknown_columns"] == []


@pytest.mark.parametrize("suffix", ["_story_points", "_tickets", "_hours", "_days", "_percent", "_count"])
def test_issue_15_6_a_column_with_a_numbers_suffix_passes_and_takes_nothing_but_numbers(bench, suffix):
    bench.header = f"{HEAD},Blocked{suffix}"
    bench.export("team:1", [f"{ROW},7"], age=1)
    assert bench.rows(f"blocked{suffix}") == [(7.0,)]
    with pytest.raises(lake.CsvError) as caught:
        bench.stage("team:1", [f"{ROW},Planted Person"], age=2)
    assert "Planted" not in str(caught.value)


@pytest.mark.parametrize("ratings", [["High", "low"], ["Elite", "—"], ["MEDIUM", ""]])
def test_issue_15_6_a_rating_passes_if_every_value_is_a_known_one(bench, ratings):
    bench.header = f"{HEAD},Coding Days Rating"
    bench.export("team:1", [f"{ROW},{rating}" for rating in ratings], age=1)
    expected = [(None if rating in {"—", ""} else rating,) for rating in ratings]
    assert bench.rows("coding_days_rating") == sorted(expected, key=str)


@pytest.mark.parametrize("where", [0, 60])
def test_issue_15_6_a_rating_with_one_other_value_anywhere_is_a_persons(bench, monkeypatch, where):
    monkeypatch.setattr(csv_records, "BLOCK_BYTES", 256)  # the last row is many blocks behind the first
    bench.header = f"{HEAD},Coding Days Rating"
    rows = [f"{ROW},High"] * 61
    rows[where] = f"{ROW},Planted Person"
    manifest = bench.stage("team:1", rows, age=1)
    assert manifest["unknown_columns"] == ["Coding Days Rating"]
    assert manifest["rows"] == 61
    shown = everything(bench)
    assert "planted" not in shown
    assert "'high'" not in shown


def test_issue_15_6_what_the_user_says_is_a_persons_is_not_told_as_unknown(bench):
    bench.header = f"{HEAD},Full Name,Blocked_days"
    bench.options |= {"personal_columns": ["full name", "Blocked_Days"]}
    manifest = bench.stage("team:1", [f"{ROW},Planted Person,7391"], age=1)
    bench.publish(manifest)
    assert "unknown_columns" not in manifest
    shown = everything(bench)
    assert "planted" not in shown
    assert "7391" not in shown


@pytest.mark.parametrize("name", ["Team", "start date"])
def test_issue_15_6_a_column_that_a_table_needs_cannot_be_a_persons(bench, name):
    bench.options |= {"personal_columns": [name]}
    with pytest.raises(PersonalDataError, match="which every table needs"):
        bench.stage("team:1", [ROW], age=1)


def test_issue_15_6_the_strict_refuse_a_file_with_unknown_columns(bench):
    bench.header = f"{HEAD},Full Name,Planted Person"
    bench.options |= {"unknown_columns": "refuse"}
    with pytest.raises(HeaderError, match=r"2 of 7 columns .* Full Name, column 7; name each in columns=") as caught:
        bench.stage("team:1", [f"{ROW},x,y"], age=1)
    assert "Planted" not in str(caught.value)
    assert bench.objects("") == {}
    bench.options |= {"personal_columns": ["Full Name", "Planted Person"]}
    bench.stage("team:1", [f"{ROW},x,y"], age=1)


def test_issue_15_6_another_word_for_unknown_columns_is_refused(bench):
    bench.options |= {"unknown_columns": "keep"}
    with pytest.raises(PersonalDataError, match="unknown_columns='keep' is unknown; use one of personal, refuse"):
        bench.stage("team:1", [ROW], age=1)


def test_issue_15_6_the_documented_headers_of_a_legacy_report_are_no_persons(bench):
    bench.report, bench.table, bench.granularity = "team_report", "team_report", ""
    bench.header = "Collection Name,PR Velocity per Developer,Lead Time for Changes (mean),Lead Time for Changes Rating"
    manifest = bench.stage("team:1", ["Backend,4,15.53,Medium"], age=1)
    assert "unknown_columns" not in manifest
    bench.publish(manifest)
    assert bench.rows("pr_velocity_per_developer", "lead_time_for_changes_mean", "lead_time_for_changes_rating") == [
        (4.0, 15.53, "Medium")
    ]


def test_issue_15_7_a_row_whose_cells_stand_one_column_further_is_refused_by_what_they_are(bench):
    bench.header = "Team,Developer,E-Mail Address,Start_Date,End_Date,PR_MERGED"
    shifted = "planted person,planted@example.com,2026-01-01,2026-01-31,,A"
    with pytest.raises(lake.CsvError, match="seem to stand in other columns") as caught:
        bench.stage("team:1", [shifted.rpartition(",")[0] + ","], age=1)
    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("row", [",Planted Person,2026-01-01,4", "A,Planted Person,2026-02-01,4"])
def test_issue_15_7_quarantine_keeps_no_cell_of_a_row_whose_team_is_not_the_end_of_its_hierarchy(bench, row):
    bench.header, bench.table = "Team,Hierarchy,Start_Date,PR_MERGED", "productivity_team_monthly"
    bench.options |= {"on_bad_value": "quarantine"}
    bench.stage("team:1", ["A,Eng/A,2026-01-01,4", row], age=1)
    assert "planted" not in everything(bench)


def test_issue_15_8_a_column_of_hashes_takes_no_clear_values_later(bench):
    bench.options = {"personal_data": "hash", "hash_key": KEY}
    bench.header = f"{HEAD},Coding Days Rating"
    bench.export("team:1", [f"{ROW},good"], age=1)
    clear = bench.stage("team:2", [f"{ROW},High".replace(",A,", ",B,")], age=2)
    with pytest.raises(TableDefinitionError, match=r"coding_days_rating.* holds hashes.*team:2 holds clear values"):
        bench.publish(clear)
    assert bench.rows("team") == [("A",)]


def test_issue_15_8_one_table_holds_people_in_one_way(bench):
    bench.export("team:1", [ROW], age=1)
    before = bench.rows("team", "_export_id")
    first = bench.options
    for age, other in enumerate(
        [
            {"personal_data": "keep"},
            {"personal_data": "hash", "hash_key": KEY[::-1]},
            {"personal_data": "drop"}
            if first["personal_data"] == "hash"
            else {"personal_data": "hash", "hash_key": KEY},
        ],
        2,
    ):
        bench.options = other
        with pytest.raises(TableDefinitionError, match=r"personal_data=.*another table with table=") as caught:
            bench.export("team:1", [ROW], age=age)
        assert KEY.hex() not in str(caught.value)
        assert bench.rows("team", "_export_id") == before
    assert "planted" not in everything_but_staging(bench)
    bench.options = first
    bench.export("team:1", [ROW], age=9)
    assert bench.rows("_export_id") == [("exp_9",)]


def everything_but_staging(bench):
    return str(lake.read_table(bench.lake, bench.table).to_pylist()).casefold()


def test_issue_15_8_a_table_without_people_takes_any_policy(bench):
    bench.header = "Team,Start_Date,PR_MERGED"
    for age, options in enumerate([bench.options, {}, {"personal_data": "drop"}], 1):
        bench.options = options
        bench.export("team:1", ["A,2026-01-01,4"], age=age)
    assert bench.rows("_export_id") == [("exp_3",)]


def test_issue_15_8_a_table_of_an_older_version_tells_its_policy_by_its_rows(bench):
    bench.export("team:1", [ROW], age=1)
    masked = bench.options
    _forget_policy(bench)
    bench.options = {}
    if masked["personal_data"] == "hash":  # dropped columns tell nothing
        with pytest.raises(TableDefinitionError, match=r"'hash'.*personal_data='keep'"):
            bench.export("team:1", [ROW], age=2)
    bench.options = masked
    bench.export("team:1", [ROW], age=3)
    bench.table, bench.options = "in_clear", {}
    bench.export("team:1", [ROW], age=1)
    _forget_policy(bench)
    bench.options = masked
    with pytest.raises(TableDefinitionError, match="under personal_data='keep'"):
        bench.export("team:1", [ROW], age=2)
    bench.options = {}
    bench.export("team:1", [ROW], age=3)
    assert bench.rows("_export_id") == [("exp_3",)]


def _forget_policy(bench):
    """Make the schema what c4c96b3 wrote."""
    path = bench.lake / "_schemas" / f"{bench.table}.json"
    value = json.loads(path.read_text())
    del value["meaning"]["personal_data"]
    path.write_text(json.dumps(value))


def test_issue_15_8_a_lost_schema_is_rebuilt_with_the_policy(bench):
    bench.export("team:1", [ROW], age=1)
    (path,) = bench.objects(f"_schemas/{bench.table}.json")
    bench.lake.fs.rm(path)
    bench.options = {}
    with pytest.raises(TableDefinitionError, match="personal_data"):
        bench.export("team:1", [ROW], age=2)


def test_the_key_has_a_fingerprint_that_tells_keys_apart_and_nothing_of_them():
    policies = {Privacy(choice="hash", report="productivity", key=key).policy for key in (KEY, KEY[::-1])}
    assert len(policies) == 2
    assert all(KEY.hex()[:8] not in policy for policy in policies)
