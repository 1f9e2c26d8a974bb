"""Exports of one sandbox: created, reused, and finished after some time. Knows nothing of HTTP."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from sei_provider.sandbox.data.csv import csv_text
from sei_provider.sandbox.data.dialect import parse_dialect
from sei_provider.sandbox.data.spec import REUSE_SECONDS
from sei_provider.sandbox.faults.files import GZIP_START, build_file
from sei_provider.sandbox.faults.table import TIMED_OUT, ExportFault

if TYPE_CHECKING:
    from sei_provider.sandbox.clock import SandboxClock
    from sei_provider.sandbox.data.request import ExportRequest
    from sei_provider.sandbox.faults.rules import FaultPlan
    from sei_provider.sandbox.options import SandboxOptions

GOES_BACK_READS = 3
"""Number of reads for which a status that goes back is processing after it was completed."""


@dataclass(slots=True, eq=False)
class Export:
    """One export: its request, times (seconds since 1970), fault and file."""

    id: str
    request: ExportRequest
    raw_body: object
    """The create call's JSON as it came, for the log."""
    created_at: float
    finished_at: float
    fault: ExportFault
    reused: int = 0
    sent: bytes | None = None
    """The bytes of the last download; None before the first."""
    _file: bytes | None = field(default=None, repr=False)
    was_missing: bool = False
    """True once the download that a fault answers with 404 was asked for."""
    _reads: int = 0
    """Number of reads since it was done."""

    def status(self, now: float) -> str:
        """Return the status in lower case: queued for a third of the time, then processing, then the end."""
        if now >= self.finished_at:
            goes_back = self.fault.goes_back and 0 < self._reads <= GOES_BACK_READS
            return "processing" if goes_back else self.fault.final_status
        started_at = self.created_at + (self.finished_at - self.created_at) / 3
        return "queued" if now < started_at else "processing"

    def note_read(self, now: float) -> None:
        """Count a read by any call; a status that goes back does so after the first."""
        if now >= self.finished_at:
            self._reads += 1

    def file(self) -> bytes:
        """Return the whole file that SEI made, compressed where its document says so; the same bytes every time."""
        if self._file is None:
            text = csv_text(self.request)
            self._file = build_file(text, self.fault, always_gzip=self.request.spec.always_gzip)
        return self._file

    def download(self) -> bytes:
        """Return what is sent for the file."""
        return self.fault.send(self.file())

    @property
    def filename(self) -> str:
        """The file's name as the document's example has it, in ASCII."""
        name = self.request.spec.filename.format(
            level=self.request.level,
            team=re.sub(r"[^a-z0-9]+", "-", self.request.team.name.lower()).strip("-") or self.request.team.id,
            year=self.request.start.year,
        )
        return f"{name}.gz" if self.file().startswith(GZIP_START) else name


class ExportStore:
    """All exports of one sandbox."""

    def __init__(self, options: SandboxOptions, clock: SandboxClock, faults: FaultPlan) -> None:
        self._options = options
        self._reuses = options.reuse and "no_reuse" not in parse_dialect(options.dialect)
        self._clock = clock
        self._faults = faults
        self._last_number = 0
        self._exports: dict[str, Export] = {}
        self._reusable: dict[tuple[object, ...], Export] = {}

    def create(self, request: ExportRequest, raw_body: object) -> tuple[Export, bool]:
        """Return the export for a request, and whether it is an older one, even a failed one (CONTRACT row 28)."""
        now = self._clock.now()
        older = self._reusable.get(request.identity) if self._reuses else None
        if older is not None and now - older.created_at < REUSE_SECONDS and not older.fault.vanishes:
            older.reused += 1
            return older, True
        fault = self._time_out(request) or self._faults.for_export(request.spec.report, request.scope_name)
        export = Export(self._next_id(now), request, raw_body, now, now + self._options.seconds, fault)
        self._exports[export.id] = self._reusable[request.identity] = export
        return export, False

    def _time_out(self, request: ExportRequest) -> ExportFault | None:
        """Return how an export that is too large ends, as exports of whole org trees may (001, 002)."""
        for most, found, what in (
            (self._options.timeout_teams, sum(1 for _ in request.team.walk()), "scope holds {} teams"),
            (self._options.timeout_days, (request.end - request.start).days + 1, "date range has {} days"),
        ):
            if most is not None and found > most:
                why = f"its {what.format(found)}, and more than {most} take too long"
                return replace(TIMED_OUT, error=f"{TIMED_OUT.error}: {why}")
        return None

    def get(self, export_id: str, report: str | None = None) -> Export | None:
        """Return the export with an id and of that report, or None; also one that vanished for clients."""
        export = self._exports.get(export_id)
        return export if export is not None and report in {None, export.request.spec.report} else None

    def all(self, report: str | None = None) -> list[Export]:
        """Return all exports, or those of one report, oldest first."""
        exports = self._exports.values()
        return [export for export in exports if report in {None, export.request.spec.report}]

    def _next_id(self, now: float) -> str:
        """Return an id that grows with time: exports of one second have an order, and ids differ between runs."""
        self._last_number = max(self._last_number + 1, int(now * 10) % 2**32)
        return f"exp_{self._last_number:08x}"
