"""An export: its id, status, times and download link, read from SEI's replies. Knows no transport.

The replies also name the person who created the export. That is personal data and is dropped here (CONTRACT row 27).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any

from sei_provider.api.errors import SeiReplyError
from sei_provider.api.link import read_link
from sei_provider.api.redaction import sanitize
from sei_provider.api.validation import is_sent_id, is_sent_name

_EXPORT_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_YEARS = range(2000, 2100)
"""The years in which an export can have been made. Those at either end of the calendar have no UTC in some zones."""
_MAX_SIZE = 1 << 62


class ExportStatus(StrEnum):
    """Status of an export, the same for every report; read without regard to case (CONTRACT rows 2, 3)."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """True if the status is final."""
        return self in {ExportStatus.COMPLETED, ExportStatus.FAILED, ExportStatus.CANCELLED}

    @classmethod
    def parse(cls, text: object) -> ExportStatus:
        """Read a status in any case; raises `SeiReplyError` for one that no document names."""
        try:
            return cls(text.strip().lower() if isinstance(text, str) else "")
        except ValueError:
            msg = (
                f"SEI reported the unknown status {sanitize(text)!r}; known are: {', '.join(cls)}. "
                "A newer provider may know it"
            )
            raise SeiReplyError(msg) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """An export job at SEI.

    - `status` is None where the create reply has none (CONTRACT row 15).
    - `reused` means that SEI answered a create with an existing export of an identical request.
    - `download_link` is SEI's, relative or absolute, without its query.
    - `link_query` is what the link's query held beyond our identifiers. It may be a signature, so it is in no `repr`
      and does not travel; `has_link_query` tells that there was one.
    - `size_bytes` is the size of the download, where SEI told it.
    - `error` is SEI's message about a failure.
    - `team_id`, `org_tree`, `start` and `end` are of the request, where a reply tells them. They do not travel, and
      make no two exports different.
    """

    report: str
    id: str
    created_at: datetime
    status: ExportStatus | None = None
    completed_at: datetime | None = None
    reused: bool = False
    download_link: str | None = None
    has_link_query: bool = False
    link_query: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    size_bytes: int | None = None
    error: str | None = None
    team_id: str | None = field(default=None, compare=False, repr=False)
    org_tree: str | None = field(default=None, compare=False, repr=False)
    start: date | None = field(default=None, compare=False)
    end: date | None = field(default=None, compare=False)

    @classmethod
    def from_reply(cls, report: str, reply: object) -> Export:
        """Read a create, status or list reply.

        Raises `SeiReplyError` if the id or the creation time is missing or invalid, the download link cannot be a URL,
        the status is unknown, or id or link hold the API key.
        """
        if not isinstance(reply, Mapping):
            msg = f"SEI's reply about a {report} export is not a JSON object but {type(reply).__name__}"
            raise SeiReplyError(msg)
        export_id = reply.get("exportId")
        if not isinstance(export_id, str) or not _EXPORT_ID.fullmatch(export_id) or not is_sent_id(export_id):
            fields = ", ".join(sorted(map(str, reply)))
            msg = f"SEI's reply about a {report} export has no usable exportId; its fields are: {sanitize(fields)}"
            raise SeiReplyError(msg)
        download = _part(reply, "download")
        asked = _part(reply, "metadata")
        scope = _part(reply, "scope") or _part(asked, "scope")  # as in 000: beside metadata, or within
        dates = _part(asked, "dateRange")
        team_id, org_tree = scope.get("teamId"), scope.get("orgTreeName")
        link, query = read_link(export_id, download.get("url") or reply.get("downloadUrl"))  # CONTRACT row 4
        status = reply.get("status")
        return cls(
            report=report,
            id=export_id,
            created_at=_time(export_id, "createdAt", reply.get("createdAt")),
            status=None if status is None else ExportStatus.parse(status),
            completed_at=_time(export_id, "completedAt", reply["completedAt"]) if reply.get("completedAt") else None,
            download_link=link,
            has_link_query=bool(query) or download.get("hasQuery") is True,
            link_query=query,
            size_bytes=_size(export_id, download.get("sizeBytes")),
            error=_error_text(reply),
            team_id=str(team_id) if is_sent_id(team_id) else None,
            org_tree=org_tree if is_sent_name(org_tree) and org_tree.isprintable() else None,
            start=_date(dates.get("start")),
            end=_date(dates.get("end")),
        )

    def to_reply(self) -> dict[str, Any]:
        """Return the export as a small JSON value that `from_reply` reads, for XComs, triggers and task state.

        It holds ids, status, times, SEI's reason for a failure, and the link without its query. Scope and range, which
        SEI may fill with anything, are left out, because the caller who asked for the export knows them.
        """
        reply: dict[str, Any] = {
            "exportId": self.id,
            "status": self.status,
            "createdAt": self.created_at.isoformat(),
            "completedAt": self.completed_at and self.completed_at.isoformat(),
            "download": _present(
                {"url": self.download_link, "hasQuery": self.has_link_query or None, "sizeBytes": self.size_bytes}
            ),
            "error": self.error,
        }
        return _present(reply) or {}


def _part(reply: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = reply.get(name)
    return part if isinstance(part, Mapping) else {}


def _size(export_id: str, size: object) -> int | None:
    """Return the size of a download; None for what is no number, because the download tells its own."""
    if not isinstance(size, int) or isinstance(size, bool):
        return None
    if 0 <= size <= _MAX_SIZE:
        return size
    msg = f"SEI's reply about export {export_id} has no usable sizeBytes: got {sanitize(size)}"
    raise SeiReplyError(msg)


def _present(fields: dict[str, Any]) -> dict[str, Any] | None:
    """Return the fields that are not None; None if there are none."""
    return {name: value for name, value in fields.items() if value is not None} or None


def _date(value: object) -> date | None:
    """Return the day of a yyyy-MM-dd text; None for anything else, because an export is polled by its id alone."""
    try:
        return date.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None


def _time(export_id: str, name: str, value: Any) -> datetime:
    try:
        time = datetime.fromisoformat(value)
        time = time.astimezone(UTC) if time.tzinfo else time.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        time = None
    if time is None or time.year not in _YEARS:
        msg = f"SEI's reply about export {export_id} has no usable {name}: got {sanitize(value)!r}"
        raise SeiReplyError(msg)
    return time


def _error_text(reply: Mapping[str, Any]) -> str | None:
    """Return SEI's message about a failure, sent as text or as `{code, message}` (CONTRACT row 18)."""
    error = reply.get("error")
    if isinstance(error, Mapping):
        error = " ".join(sanitize(error[part]) for part in ("code", "message") if error.get(part))
    return sanitize(error) if isinstance(error, str) and error else None
