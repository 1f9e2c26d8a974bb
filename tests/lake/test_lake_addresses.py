"""One spelling of a lake's address: what was written is listed again whatever the user wrote, or is refused."""

from __future__ import annotations

import os
from pathlib import Path
from uuid import uuid4

import pytest
from lake_bench import Bench, team_row
from stores import open_store
from upath import UPath

from sei_provider import lake
from sei_provider.hooks.lake import open_lake
from sei_provider.lake import LakeAddressError, StoreError, UnsupportedStoreError
from sei_provider.lake.storage.address import normalize_address, split_address

JAN = "2026-01-01"

SAME = {
    "s3://bucket/lake": [
        "s3://bucket/lake/",
        "s3://bucket/lake//",
        "S3://bucket/lake",
        "s3a://bucket/lake",
        "s3n://bucket/lake",
    ],
    "s3://conn@bucket": ["s3://conn@bucket/", "S3A://conn@bucket"],
    "abfs://box/lake": ["abfss://box/lake", "az://box/lake/", "ABFS://box/lake"],
    "gs://bucket/lake": ["gcs://bucket/lake", "gs://bucket/lake/"],
    "file:///data/lake": ["file:/data/lake", "FILE:///data/lake", "local:///data/lake", "file:////data/lake"],
    "/data/lake": [],
    "s3://bucket/a b/ü/50%": [],
}
REFUSED = {
    "s3://bucket/lake": [
        "s3://bucket//lake",
        "s3:/bucket/lake",
        "s3:///bucket/lake",
        "s3://bucket/./lake",
        "s3://bucket/other/../lake",
        "s3://bucket/../lake/",
        "s3://bucket/lake/.",
        "s3://bucket/lake ",
        " s3://bucket/lake",
        "s3://bucket/lake\n",
        "s3://bucket/%6cake",
        "s3://bucket/%2Flake",
        "s3://bucket/lake%20",
        "s3://bucket/%256cake",
        "s3://bucket /lake",
        "s3:// bucket/lake",
    ],
    "s3://bucket/my lake": ["s3://bucket/my%20lake"],
    "abfs://box/l\u00e4ke": ["abfs://box/la\u0308ke"],
    "gs://bucket/a/b": ["gs://bucket/a//b"],
    "file:///data/lake": ["file://data/lake"],
}


@pytest.mark.parametrize(
    ("right", "spelling"), [(right, each) for right, all_ in SAME.items() for each in (right, *all_)]
)
def test_spellings_that_can_mean_one_place_only_are_normalized(right, spelling):
    assert normalize_address(spelling) == right
    assert normalize_address(right) == right


@pytest.mark.parametrize(("right", "spelling"), [(right, each) for right, all_ in REFUSED.items() for each in all_])
def test_a_spelling_that_stores_take_for_another_place_is_refused_with_the_right_one(right, spelling):
    with pytest.raises(LakeAddressError, match=r"cannot use .*write ") as refused:
        normalize_address(spelling)
    assert str(refused.value).endswith(f"write {right}")
    assert normalize_address(right) == right
    with pytest.raises(LakeAddressError):
        lake.read_table(spelling, "table")


@pytest.mark.parametrize(
    "address",
    [
        *("s3://", "s3:///", "memory://", "gs:// /", "az://", "s3://bucket/a\nb", "s3://bucket/a\tb/c"),
        *("gs://bucket/a\0b", "abfs://box/a\u200bb", "file:///data/a\0b", "gs://bucket/a::b"),
    ],
)
def test_an_address_that_no_store_can_keep_is_refused(address):
    with pytest.raises(LakeAddressError, match=r"cannot use .*, because it .*: (correct it|write )"):
        normalize_address(address)
    with pytest.raises(LakeAddressError):
        lake.lake_path(address)


@pytest.mark.parametrize(
    "environment", [{}, {"AZURE_STORAGE_ACCOUNT_NAME": "account", "AZURE_STORAGE_ACCOUNT_KEY": "no base64 !!"}]
)
@pytest.mark.parametrize("open_", [lake.lake_path, open_lake])
def test_a_store_that_nothing_describes_is_one_error_without_the_key(open_, environment, monkeypatch):
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError, match=r"cannot open abfs://box: .* check the account, the key") as refused:
        open_("abfs://box/lake")
    assert "base64" not in str(refused.value)


@pytest.mark.parametrize("spelled", ["{}/", "{}//", "{}/.", "file://{}", "file:{}", "{}/../lake", "relative"])
def test_a_table_on_disk_is_found_whatever_spelling_it_was_written_by(tmp_path, spelled, monkeypatch):
    monkeypatch.chdir(tmp_path)
    place = tmp_path / "lake"
    address = os.path.relpath(place) if spelled == "relative" else spelled.format(place)
    place.mkdir()
    writer = Bench(tmp_path, root=lake.lake_path(address))
    writer.export("team:1", [team_row("Eng/A", JAN)], age=1)
    reader = Bench(tmp_path, root=lake.lake_path(str(place)))
    assert reader.rows("team") == [("A",)]
    assert lake.read_table(address, writer.table).num_rows == 1


@pytest.mark.parametrize(
    "spelled", ["s3://sei/{}/lake", "s3://sei/{}/lake/", "S3://sei/{}/lake//", "s3a://sei/{}/lake"]
)
def test_a_table_in_a_bucket_is_found_whatever_spelling_it_was_written_by(tmp_path, spelled, s3_endpoint, monkeypatch):
    in_environment = {
        "AWS_ENDPOINT_URL": s3_endpoint,
        "AWS_ALLOW_HTTP": "true",
        "AWS_ACCESS_KEY_ID": "sandbox",
        "AWS_SECRET_ACCESS_KEY": "sandbox",
    }
    for name, value in in_environment.items():
        monkeypatch.setenv(name, value)
    folder = uuid4().hex
    writer = Bench(tmp_path, root=lake.lake_path(spelled.format(folder)))
    writer.export("team:1", [team_row("Eng/A", JAN)], age=1)
    right = open_store("s3", s3_endpoint, f"{folder}/lake")
    assert Bench(tmp_path, root=right).rows("team") == [("A",)]
    assert str(writer.lake) == str(right)


@pytest.mark.parametrize("prefix", ["{}/lake", "{}/lake/", "/{}/lake"])
def test_a_table_is_found_whatever_prefix_a_store_was_given(tmp_path, prefix, s3_endpoint):
    folder = uuid4().hex
    writer = Bench(tmp_path, root=open_store("s3", s3_endpoint, prefix.format(folder)))
    writer.export("team:1", [team_row("Eng/A", JAN)], age=1)
    assert Bench(tmp_path, root=open_store("s3", s3_endpoint, f"{folder}/lake")).rows("team") == [("A",)]


def test_a_path_object_with_a_doubtful_spelling_is_refused_as_well():
    with pytest.raises(LakeAddressError, match="write memory://box/lake"):
        lake.read_table(UPath("memory://box/a/../lake"), "table")
    with pytest.raises(LakeAddressError, match="write s3://bucket/lake"):
        lake.read_table(Path("s3://bucket/lake"), "table")


SECRET = "AKIAEXAMPLE:se/cr+et"


@pytest.mark.parametrize(
    "address",
    [
        f"s3://{SECRET}@bucket/lake",
        f"S3a:///{SECRET}@bucket//lake",
        "s3://user:secret@bucket/lake",
        "s3://:secret@bucket/lake",
        "s3://user:sec@ret@bucket/lake",
        "https://user:secret@host/lake",
        "abfs://container@account.dfs.core.windows.net/lake?sv=2025&sig=secret",
        "https://account.blob.core.windows.net/container?sig=secret",
        "s3://bucket?AWS_SECRET_ACCESS_KEY=secret",
    ],
)
@pytest.mark.parametrize("use", [lake.lake_path, open_lake, normalize_address, split_address])
def test_an_address_with_a_password_or_a_signature_is_refused_and_not_shown(address, use):
    with pytest.raises(LakeAddressError, match="put it into a connection of Airflow") as refused:
        use(address)
    assert "cret" not in str(refused.value)
    assert "@ret" not in str(refused.value)


@pytest.mark.parametrize("address", ["s3://bucket/a:b@c", "s3://connection@bucket/what?", "file:///data/a:b@c/lake"])
def test_a_colon_or_a_question_mark_in_a_key_is_no_secret(address):
    assert normalize_address(address) == address


def test_an_address_that_names_a_connection_needs_airflow():
    with pytest.raises(UnsupportedStoreError, match="names a connection, which only Airflow has"):
        lake.read_table("s3://conn@bucket/lake", "table")
