"""Meaning of each error of the client to a retry, to a task and to the export."""

from __future__ import annotations

import pytest

from sei_provider.api import (
    SeiAuthError,
    SeiBadRequestError,
    SeiConnectionError,
    SeiDownloadError,
    SeiError,
    SeiInputError,
    SeiNotFoundError,
    SeiRateLimitError,
    SeiReplyError,
    SeiServerError,
)

PERMANENT = [
    SeiInputError("no such metric"),
    SeiBadRequestError("refused", status=400),
    SeiAuthError("refused", status=401),
    SeiAuthError("refused", status=403),
    SeiAuthError("a redirect to a login page", status=302),
    SeiNotFoundError("unknown team", status=404),
]
TRANSIENT = [
    SeiConnectionError("reset"),
    SeiDownloadError("cut short"),
    SeiRateLimitError("too many", status=429),
    SeiServerError("down", status=503),
]
NEITHER = [
    SeiReplyError("an unknown status"),
    SeiAuthError("an HTML page of a gateway instead of data", status=200),
]


@pytest.mark.parametrize("error", PERMANENT, ids=repr)
def test_what_a_person_has_to_correct_is_permanent(error: SeiError) -> None:
    assert (error.is_permanent, error.is_transient) == (True, False)


@pytest.mark.parametrize("error", TRANSIENT, ids=repr)
def test_what_the_same_call_may_get_past_is_transient(error: SeiError) -> None:
    assert (error.is_permanent, error.is_transient) == (False, True)


@pytest.mark.parametrize("error", NEITHER, ids=repr)
def test_an_answer_that_makes_no_sense_is_left_to_the_next_try(error: SeiError) -> None:
    assert (error.is_permanent, error.is_transient) == (False, False)


def test_only_a_refused_key_affects_all_scopes() -> None:
    affecting = [error for error in [*PERMANENT, *TRANSIENT, *NEITHER] if error.affects_all_scopes]
    assert [error.status for error in affecting if isinstance(error, SeiAuthError)] == [401]
    assert len(affecting) == 1


def test_an_export_is_invalid_if_its_file_is_gone_or_was_cut_twice() -> None:
    gone, cut, down = SeiNotFoundError("gone", status=404), SeiDownloadError("half"), SeiServerError("no", status=503)
    assert [error.invalidates_export for error in (gone, cut, down)] == [True, False, False]
    assert [error.invalidates_export_if_repeated for error in (cut, down)] == [True, False]
