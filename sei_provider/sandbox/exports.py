"""The exports the sandbox holds: made, found again, and growing older until they are done. Knows nothing of HTTP."""

from __future__ import annotations

import gzip
import re
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sei_provider.sandbox.documents import LARGE_EXPORT, REUSE_SECONDS
from sei_provider.sandbox.faults import FaultPlan
from sei_provider.sandbox.rows import csv_text

if TYPE_CHECKING:
    from collections.abc import Callable

    from sei_provider.sandbox.create_body import ExportRequest
    from sei_provider.sandbox.faults import Fault

REUSING_REPORT = "productivity"
"""The one report of which it is documented that identical requests share an export (001, 002)."""


@dataclass(slots=True, eq=False)
class Export:
    """One export: what was asked for, when, and what came of it. Times are seconds since 1970."""

    id: str
    request: ExportRequest
    raw_body: object
    """The create call's JSON as it came, for tests to look at."""
    created_at: float
    finished_at: float
    fault: Fault
    reused: int = 0
    sent: bytes | None = None
    """The bytes of the last download; None before the first."""
    _file: bytes | None = field(default=None, repr=False)

    def status(self, now: float) -> str:
        """The status at a time, in lower case: queued for a third of the time, then processing, then the end."""
        if now >= self.finished_at:
            return self.fault.final_status
        started_at = self.created_at + (self.finished_at - self.created_at) / 3
        return "queued" if now < started_at else "processing"

    def file(self) -> bytes:
        """The whole file that SEI made, compressed where its document says so; the same bytes every time."""
        if self._file is None:
            text = csv_text(self.request, header_only=self.fault.download == "header_only").encode()
            self._file = gzip.compress(text, mtime=0) if self._compresses(text) else text
        return self._file

    def download(self) -> tuple[str, bytes]:
        """What is sent for the file: its content type and its bytes, harmed as the export's fault has it."""
        whole = self.file()
        match self.fault.download:
            case "html":
                return "text/html; charset=utf-8", _LOGIN_PAGE
            case "zero_bytes":
                return "text/csv", b""
            case "truncated_gzip":
                return "text/csv", whole[: len(whole) // 2]
            case _:
                return "text/csv", whole

    @property
    def filename(self) -> str:
        """The file's name as the document's example has it, in ASCII."""
        name = self.request.document.filename.format(
            level=self.request.level,
            team=re.sub(r"[^a-z0-9]+", "-", self.request.team.name.lower()).strip("-") or self.request.team.id,
            year=self.request.start.year,
        )
        return f"{name}.gz" if self.file()[:2] == b"\x1f\x8b" else name

    def _compresses(self, text: bytes) -> bool:
        always = self.request.document.always_gzip or self.fault.download == "truncated_gzip"
        return always or len(text) >= LARGE_EXPORT


class ExportStore:
    """All exports of one sandbox, each done `seconds` after it was created."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.time) -> None:
        self.seconds = seconds
        self.faults = FaultPlan()
        self._clock = clock
        self._advanced = 0.0
        self._last_number = 0
        self._exports: dict[str, Export] = {}
        self._reusable: dict[tuple[object, ...], Export] = {}

    def now(self) -> float:
        """Seconds since 1970 on the sandbox's clock."""
        return self._clock() + self._advanced

    def advance(self, seconds: float) -> None:
        """Put the sandbox's clock forward."""
        self._advanced += seconds

    def create(self, request: ExportRequest, raw_body: object) -> tuple[Export, bool]:
        """The export for a request, and whether it is an older one that is reused, even a failed one (row 28)."""
        now, report = self.now(), request.document.report
        older = self._reusable.get(request.identity)
        if older is not None and now - older.created_at < REUSE_SECONDS:
            older.reused += 1
            return older, True
        scope = request.scope.get("teamId") or request.scope["orgTreeName"]
        fault = self.faults.next_for(scope, report)
        export = Export(self._next_id(now), request, raw_body, now, now + self.seconds, fault)
        self._exports[export.id] = export
        if report == REUSING_REPORT:
            self._reusable[request.identity] = export
        return export, False

    def get(self, export_id: str, report: str | None = None) -> Export | None:
        """The export with an id, if there is one, and of that report."""
        export = self._exports.get(export_id)
        if export is None or report not in {None, export.request.document.report}:
            return None
        return export

    def all(self) -> list[Export]:
        """All exports, oldest first."""
        return list(self._exports.values())

    def _next_id(self, now: float) -> str:
        """Ids grow with time, so two exports of one second have an order, and differ from those of an earlier run."""
        self._last_number = max(self._last_number + 1, int(now * 10) % 2**32)
        return f"exp_{self._last_number:08x}"


def timestamp(seconds: float) -> str:
    """A time as SEI writes it: UTC, whole seconds."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


_LOGIN_PAGE = b"""<!DOCTYPE html>
<html><head><title>Sign in</title></head><body><h1>Sign in to continue</h1></body></html>
"""
