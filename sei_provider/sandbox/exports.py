"""The exports the sandbox holds: made, found again, and growing older until they are done. Knows nothing of HTTP."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sei_provider.sandbox.documents import REUSE_SECONDS
from sei_provider.sandbox.faults import EVERY_FAULT, ExportFault
from sei_provider.sandbox.files import GZIP_START, build_file
from sei_provider.sandbox.rows import csv_text

if TYPE_CHECKING:
    from sei_provider.sandbox.clock import SandboxClock
    from sei_provider.sandbox.create_body import ExportRequest
    from sei_provider.sandbox.fault_plan import FaultPlan

GOES_BACK_READS = 3
"""How often an export whose status goes back is read as processing after it was read as completed."""

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
    fault: ExportFault
    reused: int = 0
    sent: bytes | None = None
    """The bytes of the last download; None before the first."""
    _file: bytes | None = field(default=None, repr=False)
    was_missing: bool = False
    """Whether a download that is missing once was asked for."""
    _reads: int = 0
    """How often it was read since it was done."""

    def status(self, now: float) -> str:
        """The status at a time, in lower case: queued for a third of the time, then processing, then the end."""
        if now >= self.finished_at:
            goes_back = self.fault.goes_back and 0 < self._reads <= GOES_BACK_READS
            return "processing" if goes_back else self.fault.final_status
        started_at = self.created_at + (self.finished_at - self.created_at) / 3
        return "queued" if now < started_at else "processing"

    def note_read(self, now: float) -> None:
        """Take note that a client looked at it, by whichever call: a status that goes back does so after a look."""
        if now >= self.finished_at:
            self._reads += 1

    def file(self) -> bytes:
        """The whole file that SEI made, compressed where its document says so; the same bytes every time."""
        if self._file is None:
            text = csv_text(self.request)
            self._file = build_file(text, self.fault, always_gzip=self.request.document.always_gzip)
        return self._file

    def download(self) -> tuple[str, bytes]:
        """Return what is sent for the file: its content type and its bytes, both as the export's fault has it."""
        return self.fault.content_type, self.fault.send(self.file())

    @property
    def filename(self) -> str:
        """The file's name as the document's example has it, in ASCII."""
        name = self.request.document.filename.format(
            level=self.request.level,
            team=re.sub(r"[^a-z0-9]+", "-", self.request.team.name.lower()).strip("-") or self.request.team.id,
            year=self.request.start.year,
        )
        return f"{name}.gz" if self.file().startswith(GZIP_START) else name


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeLimits:
    """How large an export may be before it times out, as exports of whole org trees may (001, 002)."""

    teams: int | None = None
    """The most teams, inner ones counted, of one export's scope; None for any number."""
    days: int | None = None
    """The most days of one export's date range; None for any number."""

    def time_out(self, request: ExportRequest) -> ExportFault | None:
        """How an export that is too large ends, or None if it is not."""
        teams = sum(1 for _ in request.team.walk())
        if self.teams is not None and teams > self.teams:
            return _timed_out(f"its scope holds {teams} teams, and more than {self.teams} take too long")
        days = (request.end - request.start).days + 1
        if self.days is not None and days > self.days:
            return _timed_out(f"its date range has {days} days, and more than {self.days} take too long")
        return None


def _timed_out(why: str) -> ExportFault:
    fault = EVERY_FAULT["time_out"]
    assert isinstance(fault, ExportFault)  # noqa: S101 - it is one in the table
    return replace(fault, error=f"{fault.error}: {why}")


class ExportStore:
    """All exports of one sandbox, each done `seconds` after it was created."""

    def __init__(
        self, seconds: float, clock: SandboxClock, faults: FaultPlan, limits: SizeLimits | None = None
    ) -> None:
        self._faults = faults
        self._seconds = seconds
        self._clock = clock
        self._limits = limits or SizeLimits()
        self._last_number = 0
        self._exports: dict[str, Export] = {}
        self._reusable: dict[tuple[object, ...], Export] = {}

    def create(self, request: ExportRequest, raw_body: object) -> tuple[Export, bool]:
        """The export for a request, and whether it is an older one that is reused, even a failed one (row 28)."""
        now, report = self._clock.now(), request.document.report
        older = self._reusable.get(request.identity)
        if older is not None and now - older.created_at < REUSE_SECONDS and not older.fault.vanishes:
            older.reused += 1
            return older, True
        fault = self._limits.time_out(request) or self._faults.at_creation(report, request.scope_name)
        export = Export(self._next_id(now), request, raw_body, now, now + self._seconds, fault)
        self._exports[export.id] = export
        if report == REUSING_REPORT:
            self._reusable[request.identity] = export
        return export, False

    def get(self, export_id: str, report: str | None = None) -> Export | None:
        """The export with an id, if there is one, and of that report; also one that vanished for clients."""
        export = self._exports.get(export_id)
        if export is None or report not in {None, export.request.document.report}:
            return None
        return export

    def all(self, report: str | None = None) -> list[Export]:
        """All exports, or those of one report, oldest first."""
        exports = self._exports.values()
        return [export for export in exports if report in {None, export.request.document.report}]

    def _next_id(self, now: float) -> str:
        """Ids grow with time, so two exports of one second have an order, and differ from those of an earlier run."""
        self._last_number = max(self._last_number + 1, int(now * 10) % 2**32)
        return f"exp_{self._last_number:08x}"
