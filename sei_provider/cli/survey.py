"""Asks SEI for small exports of one team, and keeps what is needed to tell how this cluster answers.

Of replies it keeps facts of fixed words only. Files are read whole into memory, which is why they are bounded, and are
never written anywhere but into a temporary file. What is told of them is `findings`' and `shapes`' work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from http import HTTPStatus
from itertools import islice
from typing import Any, TypeVar

from sei_provider.api import endpoints
from sei_provider.api.client import SeiClient
from sei_provider.api.errors import SeiError, SeiHTTPError, SeiInputError, SeiTooLargeError
from sei_provider.api.export import Export, ExportStatus
from sei_provider.api.periods import period_of
from sei_provider.api.reports import REPORTS
from sei_provider.api.request import LEVEL_FIELDS, ExportRequest, Scope
from sei_provider.api.teams import Team
from sei_provider.cli.place import Place, choose_leaf, find_team
from sei_provider.cli.replies import ReplyFacts, observed, single
from sei_provider.lake.errors import LakeError
from sei_provider.lake.staging.csv_records import QuotingError, RecordStream
from sei_provider.lake.staging.csv_stream import Download
from sei_provider.lake.storage.scratch import private_folder

T = TypeVar("T")

MAX_CALLS = 300
"""Calls of one probe, less than a minute of what SEI allows one key (CONTRACT, "Limits")."""
MAX_FILE_BYTES = 8 << 20
MAX_ROWS = 2_000
MAX_TREES = 3
"""Org trees in which a team is looked for."""
_FIRST_PAUSE, _PAUSE_GROWTH, _LONGEST_PAUSE = 2.0, 1.5, 30.0
"""Seconds between two rounds of status reads."""
_DAYS = {"weekly": 28, "sprint": 28, "daily": 3}
_OPTIONS: Mapping[str, Mapping[str, Any]] = {
    "time_in_status": {"issueStatuses": ["To Do", "In Progress", "Done"]},  # which this report cannot do without
}


_RUNNING = "did not end in time"


class SpentError(Exception):
    """The calls or the time of the probe are used up."""


@dataclass(slots=True, kw_only=True)
class Sample:
    """One export or legacy report, and what came of it."""

    request: ExportRequest
    level_field: str
    export: Export | None = None
    problem: str | None = None
    """Why there is no file, in fixed words."""
    packed: bool = False
    header: list[str] = field(default_factory=list)
    rows: list[list[str]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Report, level and granularity."""
        parts = (self.request.report, self.request.level, self.request.granularity.lower())
        return ", ".join(part for part in parts if part)


class Survey:
    """All that one probe asks. `names` are `org_identifier` and `project_identifier`, `deadline` a Unix time."""

    def __init__(self, client: SeiClient, *, names: Mapping[str, str], today: date, deadline: float) -> None:
        self._client = client
        self._names = names
        self._today = today
        self._deadline = deadline
        self.calls = 0
        self.place = Place("")
        self.trees_problem: str | None = None
        self.samples: list[Sample] = []
        self.facts: dict[str, ReplyFacts] = {}
        self.refused: list[str] = []
        """Reports that do not take a request for this team."""

    def find_team(self, team_id: str | None) -> None:
        """Choose the team: the one named, otherwise a leaf of an org tree with a name that no other team has.

        Raises `SeiInputError` if none is named, and none can be chosen.
        """
        roots: list[Team] = []
        try:
            for tree in islice(self._call(self._client.list_org_trees), MAX_TREES):
                with suppress(SeiHTTPError):
                    roots.append(self._call(self._client.list_teams, tree))
        except SeiError as error:
            self.trees_problem = told(error)
            _raise_if_hopeless(error)
        place = choose_leaf(roots) if team_id is None else find_team(roots, team_id)
        if place is None:
            msg = (
                "no team was found in SEI's org trees, so name one with --team; org trees need the connection's extra "
                "account_identifier and a key that may read them"
            )
            raise SeiInputError(msg)
        self.place = place

    def ask_everything(self) -> None:
        """Ask for one export of each report and level, then for what these leave open. Stops when all is used up."""
        with suppress(SpentError):
            first = list(self._first_samples())
            self._ask(first)
            self._ask([*self._other_level_fields(first), *self._other_granularities(first)])
            for report in self.facts:
                self._repeat(report)
                if REPORTS[report].has_list:
                    self._look_back(report)

    def _first_samples(self) -> Iterator[Sample]:
        for report in REPORTS.values():
            for level in report.levels or (None,):
                try:
                    yield self._sample(report.name, level, _weekly(report.granularities, report.default_granularity))
                except SeiInputError:  # such as an id that is no number, of a report that takes numbers only
                    self.refused.append(report.name)

    def _sample(self, report: str, level: str | None, granularity: str, level_field: str = LEVEL_FIELDS[0]) -> Sample:
        start, end = _range(granularity, self._today)
        if REPORTS[report].legacy:
            granularity = ""
        options = _OPTIONS.get(report, {})
        scope = Scope(team_id=self.place.team_id)
        request = ExportRequest(
            report=report, scope=scope, start=start, end=end, level=level, granularity=granularity, options=options
        )
        return Sample(request=request, level_field=level_field)

    def _other_level_fields(self, first: list[Sample]) -> Iterator[Sample]:
        """Yield a sample with the other level field for each report whose levels gave the same file."""
        for report in REPORTS.values():
            mine = [sample for sample in first if sample.request.report == report.name and sample.header]
            if len(mine) > 1 and all((one.header, one.rows) == (mine[0].header, mine[0].rows) for one in mine):
                level = next(level for level in report.levels if level != report.default_level)
                sample = self._sample(report.name, level, mine[0].request.granularity, LEVEL_FIELDS[1])
                if self.reads_level(sample):
                    yield sample

    def reads_level(self, sample: Sample) -> bool:
        """Tell whether the level of this request has two names (CONTRACT row 9)."""
        bodies = [self._body(replace(sample, level_field=name)) for name in LEVEL_FIELDS]
        return bodies[0] != bodies[1]

    def _other_granularities(self, first: list[Sample]) -> Iterator[Sample]:
        """Yield samples of the other granularities of reports whose rows have no dates, so labels are all there is."""
        for report in REPORTS.values():
            mine = [sample for sample in first if sample.request.report == report.name and sample.rows]
            if report.legacy or not mine or any(_has_dates(sample) for sample in mine):
                continue
            for granularity in report.granularities:
                if granularity != mine[0].request.granularity:
                    yield self._sample(report.name, report.default_level, granularity)

    def _ask(self, samples: list[Sample]) -> None:
        """Create all exports, run legacy reports meanwhile, and wait until each has ended or half of the time is up."""
        self.samples += samples
        for sample in samples:
            sample.problem = "not asked for: calls or time were used up"
        for sample in sorted(samples, key=lambda sample: REPORTS[sample.request.report].legacy):
            self._noting(sample, self._run_report if REPORTS[sample.request.report].legacy else self._create)
        pause, now = _FIRST_PAUSE, time.time()
        until = now + (self._deadline - now) / 2  # so that one export that never ends leaves time for the rest
        while pending := self._pending():
            for sample in pending:
                self._noting(sample, self._read_status)
            if not self._pending() or time.time() + pause > until:
                return
            time.sleep(pause)
            pause = min(pause * _PAUSE_GROWTH, _LONGEST_PAUSE)

    def _pending(self) -> list[Sample]:
        return [sample for sample in self.samples if sample.problem == _RUNNING]

    def _noting(self, sample: Sample, step: Callable[[Sample], None]) -> None:
        try:
            step(sample)
        except (SeiError, LakeError, QuotingError) as error:
            sample.problem = told(error)
            _raise_if_hopeless(error)

    def _create(self, sample: Sample) -> None:
        sample.export = self._send_create(sample, "create")
        sample.problem = _RUNNING

    def _send_create(self, sample: Sample, where: str) -> Export:
        facts = self.facts.setdefault(sample.request.report, ReplyFacts())
        flow = endpoints.create_export(sample.request, self._body(sample), {})
        watched = observed(flow, lambda reply: facts.note_create(reply, where))
        return self._call(lambda: self._client.run(watched))

    def _body(self, sample: Sample) -> dict[str, Any]:
        return sample.request.body(**self._names, level_field=sample.level_field)

    def _read_status(self, sample: Sample) -> None:
        report, export = sample.request.report, sample.export
        if export is None:
            return
        flow = observed(
            single(endpoints.get_export(report, export.id)),
            lambda reply: self.facts[report].note_status(reply, self._client.base_url),
        )
        status = self._call(lambda: self._client.run(flow))
        if status.status is None or not status.status.is_terminal:
            return
        if status.status is not ExportStatus.COMPLETED:
            sample.problem = f"the export ended as {status.status}"
            return
        self._fetch(sample, lambda file: self._client.download_export(status, file, max_bytes=MAX_FILE_BYTES))

    def _run_report(self, sample: Sample) -> None:
        if time.time() > self._deadline:
            raise SpentError
        self._fetch(sample, lambda file: self._client.run_report(sample.request, file, max_bytes=MAX_FILE_BYTES))

    def _fetch(self, sample: Sample, download: Callable[[Any], int]) -> None:
        with private_folder() as folder:
            path = folder / "file"
            with path.open("wb+") as file:
                size = self._call(download, file)
                file.seek(0)
                sample.packed = file.read(2) == b"\x1f\x8b"
            if not size and REPORTS[sample.request.report].legacy:
                sample.problem = "no rows: 0 bytes"
                return
            with Download(path, MAX_FILE_BYTES).open() as stream:
                records = RecordStream(stream)
                header = records.read_header()
                every = (record for block in records.blocks() for record in block.records())
                sample.rows = [list(record.cells) for record in islice(every, MAX_ROWS)]
                sample.header = list(header[0].cells) if header else []
        sample.rows = [row for row in sample.rows if len(row) == len(sample.header)]
        sample.problem = None

    def _repeat(self, report: str) -> None:
        """Send one request of a report a second time."""
        sample = next((each for each in self.samples if each.request.report == report and each.header), None)
        if sample is None or sample.export is None:
            return
        try:
            again = self._send_create(sample, "repeat")
        except SeiError as error:
            self.facts[report].repeated = told(error)
            return
        self.facts[report].repeated = "the same export" if again.id == sample.export.id else "another export"

    def _look_back(self, report: str) -> None:
        """Look at the list of the key's own exports: how long their ranges were, and whether the oldest is there."""
        facts = self.facts[report]
        try:
            mine = self._call(lambda: list(islice(self._client.list_exports(report, scope="mine"), 100)))
            ranges = [(each.end - each.start).days + 1 for each in mine if each.start and each.end and _is_done(each)]
            facts.longest_days = max(ranges, default=None)
            listed = self._client.list_exports(report, scope="mine", status="completed", sort_order="asc", limit=1)
            oldest = self._call(lambda: next(listed, None))
            if oldest:
                newest = max(each.export.created_at for each in self.samples if each.export)  # by SEI's clock
                days = (newest - oldest.created_at).days
                facts.oldest = f"{days} days old, and its file {self._is_there(oldest)}"
        except SeiError as error:
            facts.oldest = facts.oldest or f"not known: {told(error)}"

    def _is_there(self, export: Export) -> str:
        with private_folder() as folder, (folder / "file").open("wb+") as file:
            try:
                self._call(self._client.download_export, export, file, max_bytes=1)
            except SeiTooLargeError:
                pass
            except SeiError as error:
                return f"cannot be downloaded: {told(error)}"
        return "can be downloaded"

    def _call(self, send: Callable[..., T], *arguments: Any, **named: Any) -> T:
        if self.calls >= MAX_CALLS or time.time() > self._deadline:
            raise SpentError
        self.calls += 1
        return send(*arguments, **named)


def told(error: Exception) -> str:
    """Return what may be told of an error: its HTTP status or its name. Its message may quote names."""
    if not isinstance(error, SeiHTTPError):
        return type(error).__name__
    is_page = error.status < HTTPStatus.MULTIPLE_CHOICES
    return f"HTTP {error.status}" + (", a page and no answer" if is_page else "")


def _raise_if_hopeless(error: Exception) -> None:
    if isinstance(error, SeiError) and error.affects_all_scopes:
        raise error


def _weekly(granularities: tuple[str, ...], default: str) -> str:
    return next((name for name in granularities if name.lower() == "weekly"), default)


def _range(granularity: str, today: date) -> tuple[date, date]:
    """Return days that are over: the last whole month or quarter, otherwise the last few days or weeks."""
    yesterday = today - timedelta(days=1)
    if granularity.lower() in {"monthly", "quarterly"}:
        return period_of(period_of(today, granularity).start - timedelta(days=1), granularity)
    return yesterday - timedelta(days=_DAYS.get(granularity.lower(), 28) - 1), yesterday


def _has_dates(sample: Sample) -> bool:
    return any(
        all(len(cell) == len("yyyy-MM-dd") and cell[4:5] == "-" for cell in cells)
        for cells in zip(*sample.rows, strict=True)
    )


def _is_done(export: Export) -> bool:
    return export.status is ExportStatus.COMPLETED
