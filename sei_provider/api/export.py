"""An export: its id, status, times and download link, read from SEI's replies. Knows no transport.

The replies also name the person who created the export. That is personal data and is dropped here (CONTRACT row 27).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import Any, TypeGuard

from sei_provider.api.errors import SeiReplyError, sanitize

_LONGEST_TEXT = 2000
"""The longest link or name that is accepted, in characters: these texts travel through XComs."""
_EXPORT_ID = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,199}")


class ExportStatus(StrEnum):
    """Status of an export, the same for every report; read without regard to case (CONTRACT rows 2, 3)."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether the status is final."""
        return self in {ExportStatus.COMPLETED, ExportStatus.FAILED, ExportStatus.CANCELLED}

    @classmethod
    def parse(cls, text: object) -> ExportStatus:
        """Read a status in any case; raises `SeiReplyError` for one that no document names."""
        try:
            return cls(str(text).strip().lower())
        except ValueError:
            shown = sanitize(str(text))
            msg = (
                f"SEI reported the unknown status {shown!r}; known are: {', '.join(cls)}. A newer provider may know it"
            )
            raise SeiReplyError(msg) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """An export job at SEI.

    - `status` is None where the create reply has none (CONTRACT row 15).
    - `reused` means that SEI answered a create with an existing export of an identical request.
    - `download_link` is as SEI sent it, relative or absolute.
    - `size_bytes` is the size of the download, where SEI told it.
    - `error` is SEI's message about a failure.
    - `team_id`, `org_tree`, `start` and `end` are of the request, where a reply tells them.
    """

    report: str
    id: str
    created_at: datetime
    status: ExportStatus | None = None
    completed_at: datetime | None = None
    reused: bool = False
    download_link: str | None = None
    size_bytes: int | None = None
    error: str | None = None
    team_id: str | None = None
    org_tree: str | None = None
    start: date | None = None
    end: date | None = None

    @classmethod
    def from_reply(cls, report: str, reply: object) -> Export:
        """Read a create, status or list reply.

        Raises `SeiReplyError` if the id or the creation time is missing or invalid, the download link cannot be a URL,
        or the status is unknown.
        """
        if not isinstance(reply, Mapping):
            msg = f"SEI's reply about a {report} export is not a JSON object but {type(reply).__name__}"
            raise SeiReplyError(msg)
        export_id = reply.get("exportId")
        if not isinstance(export_id, str) or not _EXPORT_ID.fullmatch(export_id):
            fields = ", ".join(sorted(map(str, reply)))
            msg = f"SEI's reply about a {report} export has no usable exportId; its fields are: {sanitize(fields)}"
            raise SeiReplyError(msg)
        download = _part(reply, "download")
        asked = _part(reply, "metadata")
        scope = _part(reply, "scope") or _part(asked, "scope")  # as in 000: beside metadata, or within
        dates = _part(asked, "dateRange")
        team_id, org_tree = scope.get("teamId"), scope.get("orgTreeName")
        size = download.get("sizeBytes")
        status = reply.get("status")
        return cls(
            report=report,
            id=export_id,
            created_at=_time(export_id, "createdAt", reply.get("createdAt")),
            status=None if status is None else ExportStatus.parse(status),
            completed_at=_time(export_id, "completedAt", reply["completedAt"]) if reply.get("completedAt") else None,
            download_link=_link(export_id, download.get("url") or reply.get("downloadUrl")),  # CONTRACT row 4
            size_bytes=size if isinstance(size, int) and not isinstance(size, bool) else None,
            error=_error_text(reply),
            team_id=str(team_id) if isinstance(team_id, int) or _is_usable(team_id) else None,
            org_tree=org_tree if _is_usable(org_tree) else None,
            start=_date(dates.get("start")),
            end=_date(dates.get("end")),
        )

    def to_reply(self) -> dict[str, Any]:
        """Return the export as a small JSON value that `from_reply` reads, for XComs, triggers and task state."""
        dates = _present({"start": self.start and self.start.isoformat(), "end": self.end and self.end.isoformat()})
        reply: dict[str, Any] = {
            "exportId": self.id,
            "status": self.status,
            "createdAt": self.created_at.isoformat(),
            "completedAt": self.completed_at and self.completed_at.isoformat(),
            "download": {"url": self.download_link, "sizeBytes": self.size_bytes},
            "error": self.error,
            "scope": _present({"teamId": self.team_id, "orgTreeName": self.org_tree}),
            "metadata": _present({"dateRange": dates}),
        }
        return _present(reply) or {}


def _part(reply: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    part = reply.get(name)
    return part if isinstance(part, Mapping) else {}


def _is_usable(text: object) -> TypeGuard[str]:
    return isinstance(text, str) and len(text) <= _LONGEST_TEXT and text.isprintable()


def _link(export_id: str, link: object) -> str | None:
    if link is None or link == "":
        return None
    if _is_usable(link):
        return link
    msg = f"SEI's reply about export {export_id} has no usable download link: got {sanitize(str(link))!r}"
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
    except (TypeError, ValueError):
        msg = f"SEI's reply about export {export_id} has no usable {name}: got {sanitize(str(value))!r}"
        raise SeiReplyError(msg) from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)


def _error_text(reply: Mapping[str, Any]) -> str | None:
    """Return SEI's message about a failure, sent as text or as `{code, message}` (CONTRACT row 18)."""
    error = reply.get("error")
    if isinstance(error, Mapping):
        error = " ".join(str(error[part]) for part in ("code", "message") if error.get(part))
    return sanitize(error) if isinstance(error, str) and error else None
