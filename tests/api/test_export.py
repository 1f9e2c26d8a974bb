"""Exports as SEI's replies tell of them: status, error and scope in every documented shape, and nothing personal."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sei_provider.api import Export, ExportStatus, SeiReplyError

REPORTS = ["productivity", "sprint", "business_alignment", "efficiency", "time_in_status"]
CREATED = {"exportId": "exp_1", "createdAt": "2026-01-01T00:00:00Z"}
DONE = CREATED | {"status": "completed"}


def completed(**fields: Any) -> Export:
    return Export.from_reply("productivity", DONE | fields)


@pytest.mark.parametrize("text", ["queued", "QUEUED", "Processing", "COMPLETED", "failed", "Cancelled"])
@pytest.mark.parametrize("report", REPORTS)
def test_rows_2_and_3_a_status_is_known_in_any_case_for_every_report(report: str, text: str) -> None:
    assert Export.from_reply(report, CREATED | {"status": text}).status == text.lower()


def test_row_2_an_unknown_status_is_an_error_that_names_it() -> None:
    with pytest.raises(
        SeiReplyError, match=r"unknown status 'archived'.*queued, processing, completed, failed, cancelled"
    ):
        Export.from_reply("sprint", CREATED | {"status": "archived"})


def test_row_15_a_create_reply_may_name_a_status_or_not() -> None:
    assert Export.from_reply("productivity", CREATED).status is None
    assert Export.from_reply("business_alignment", CREATED | {"status": "QUEUED"}).status is ExportStatus.QUEUED


@pytest.mark.parametrize("error", ["out of memory", {"code": "E1", "message": "out of memory"}])
def test_row_18_a_failure_is_told_in_seis_words_however_they_come(error: object) -> None:
    seen = Export.from_reply("sprint", CREATED | {"status": "FAILED", "error": error})
    assert "out of memory" in str(seen.error)


def test_row_27_an_export_forgets_who_created_it() -> None:
    creator = {"userId": "u1", "name": "Sandbox User", "email": "sandbox.user@example.com"}
    export = Export.from_reply("sprint", CREATED | {"createdBy": creator})
    assert "Sandbox" not in repr(export) + json.dumps(export.to_reply())


@pytest.mark.parametrize("text", ["a\x00b", "a\ud800b", "a\x1b[31mb", "a\u202eb"])
def test_what_sei_says_of_a_failure_can_be_logged_and_stored(text: str) -> None:
    export = Export.from_reply("sprint", DONE | {"status": "failed", "error": text})
    assert export.error is not None
    assert export.error.isprintable()
    export.error.encode()


def test_names_that_nobody_can_store_are_not_kept() -> None:
    for odd in ("a\x00b", "x" * 100_000, ["1"], True, None):
        export = Export.from_reply("sprint", DONE | {"scope": {"teamId": odd, "orgTreeName": odd}})
        assert export.org_tree is None
        assert export.team_id in {None, "True"}
