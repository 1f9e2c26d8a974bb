"""Meaning of each error of the lake to a task and to the export of the file."""

from __future__ import annotations

import pytest

from sei_provider.lake import (
    CsvError,
    EmptyBodyError,
    HeaderError,
    LakeError,
    PersonalDataError,
    StoreError,
    TooLargeError,
    TruncatedError,
    UnsupportedStoreError,
)

OF_ONE_FILE = [
    CsvError("a word where a number belongs", line=3, column="PR_MERGED"),
    HeaderError("no team column", headers=["a"]),
    TooLargeError("more than 16 GiB"),
    TruncatedError("the gzip stream ends early"),
    EmptyBodyError("no bytes"),
]
OF_ALL = [PersonalDataError("no key"), UnsupportedStoreError("no conditional put"), StoreError("the disk is full")]
PERMANENT = [CsvError, HeaderError, TooLargeError, PersonalDataError, UnsupportedStoreError]


@pytest.mark.parametrize("error", [*OF_ONE_FILE, *OF_ALL], ids=repr)
def test_what_a_person_has_to_correct_is_permanent(error: LakeError) -> None:
    assert error.is_permanent is (type(error) in PERMANENT)
    assert not (error.is_permanent and error.is_transient)


def test_only_a_file_that_may_have_been_damaged_on_its_way_is_transient() -> None:
    assert [type(error) for error in [*OF_ONE_FILE, *OF_ALL] if error.is_transient] == [TruncatedError, EmptyBodyError]


@pytest.mark.parametrize("error", [*OF_ONE_FILE, *OF_ALL], ids=repr)
def test_what_is_wrong_with_one_file_does_not_affect_the_other_scopes(error: LakeError) -> None:
    assert error.affects_all_scopes is (error in OF_ALL)


def test_an_export_is_invalid_if_its_file_does_not_fit_or_is_broken_twice() -> None:
    unfit, broken = CsvError("a word"), TruncatedError("half of it")
    assert [error.invalidates_export for error in (unfit, broken)] == [True, False]
    assert broken.invalidates_export_if_repeated
    assert not StoreError("the disk is full").invalidates_export_if_repeated
