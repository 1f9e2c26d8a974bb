"""Base of the export and report tasks: scopes become requests, and manifests of what was staged are handed on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, date
from os import PathLike
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (  # whose place differs between 3.1 and 3.3
    AirflowException,
    AirflowFailException,
    AirflowTaskTimeout,
)

from sei_provider import lake as sei_lake
from sei_provider.api.errors import SeiError, SeiInputError
from sei_provider.api.periods import DateRange
from sei_provider.api.reports import REPORTS
from sei_provider.api.request import ExportRequest, Scope
from sei_provider.api.scopes import parse_batch
from sei_provider.api.validation import parse_end, parse_range, parse_start
from sei_provider.hooks.dag_zone import dag_zone
from sei_provider.hooks.sei import SeiHook
from sei_provider.lake.column_mapping import ColumnMapping
from sei_provider.operators._arguments import (
    Check,
    any_options,
    argument_errors,
    check_count,
    check_flag,
    check_names,
    check_place,
    check_text,
    is_template,
    listed_headers,
    normalize_report,
    one_of,
    optional,
    request_arguments,
)
from sei_provider.operators._lineage import StagingOperator
from sei_provider.operators._missing import ASKED, MEND_AND_CLEAR, RETRY_OR_CLEAR, Missing, asked_by, sum_up
from sei_provider.operators._splitting import request_ranges
from sei_provider.operators._staging import Stager, is_staged, manifests_of, table_of
from sei_provider.operators._state import BatchState, TaskCheckpoint
from sei_provider.plural import plural
from sei_provider.triggers.export import few

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.definitions.mappedoperator import OperatorPartial

    from sei_provider.lake import Manifest
    from sei_provider.lake.column_mapping import ColumnsArgument
    from sei_provider.lake.staging.export_reader import BadValue
    from sei_provider.lake.staging.pii import PersonalData, UnknownColumns

REQUEST_ARGUMENTS = ("metrics", "granularity", "options")
"""The arguments that every request of a task carries as they are."""
_ANY_SCOPE = Scope(team_id="0")
_ANY_DAY = date(2000, 1, 1)


class SeiExportError(AirflowException):
    """Some scopes of a batch failed; the message names them. The others are staged and handed on."""


class SeiPermanentExportError(SeiExportError, AirflowFailException):
    """Every later try would fail in the same way, so Airflow makes none: a person has to correct something."""


class SeiBatchOperator(StagingOperator):
    """Base of the tasks that request one report of a batch of scopes from SEI.

    :param report: The report's name, in any case.
    :param scopes: The batch: a list of team ids (str or int), or of `{"teamId": …}`, `{"orgTreeName": …}` or both. A
        single one is a batch of one; a text is one id and is never taken apart. (templated)
    :param start: First day, inclusive, as a date or `yyyy-MM-dd`; or a moment (a datetime, or ISO time as
        `{{ data_interval_start }}` gives it), which counts by its day in the DAG's time zone. (templated)
    :param end: Last day, inclusive. A moment ends an interval: the last day is that of the moment before it, so
        `{{ data_interval_end }}` at midnight never requests the next day. (templated)
    :param lake: The lake's place: an absolute path or an address, as in `s3://conn@bucket/lake`. (templated)
    :param metrics: Names of single metrics. (templated)
    :param granularity: The length of a period, in any case; the report's own default if None.
    :param options: Further documented members of the body by their names, wherever it has them (see `ExportRequest`);
        they, or a list in them, may be text of JSON or Python, as templates render it. (templated)
    :param columns: The names of columns that SEI calls otherwise than we know, and types that are not ours: SEI's
        header → name, or (name, type) with `string`, `float64` or `date`, as in
        `{"Employee": "developer", "Build": ("build", "string")}`. A template may render it to JSON or to the text of a
        dict. (templated)
    :param raw_path: A place like `lake` where each file is also kept as SEI sent it. (templated)
    :param on_bad_value: The policy for a value that does not fit its column's type: `fail` fails the scope,
        `quarantine` puts the row into `<lake>/_quarantine/<table>/`.
    :param personal_data: The policy for developers' names and e-mail addresses: `keep` them, `drop` their columns, or
        `hash` them under the connection's extra `personal_data_secret`. Under `drop` and `hash` a column that nobody
        declared is treated as a person's, listed in the result, and told by `SeiCheckOperator`.
    :param personal_columns: Headers of SEI's columns that name a person, beside those that are known. (templated)
    :param unknown_columns: The policy for undeclared columns: `personal`, as said above, or `refuse` their scope.
    :param max_file_bytes: Bytes above which an unpacked file fails its scope, the lake's own limit if None.
    :param single_writer: Promises that nothing else writes to the lake: for stores that cannot tell two writers apart.
    :param sei_conn_id: The connection. (templated)

    Arguments are checked when the DAG is read, those of `.partial` too, and raise `SeiInputError`. Templates, and
    values that the task is mapped over, are checked before any call, as is the connection. If a scope fails, the others
    are staged and handed on all the same; then the task fails with one `SeiExportError` that names those that failed,
    and its retry requests these only. If every later try would fail in the same way, the error is a
    `SeiPermanentExportError` and Airflow makes no retry: SEI refused the request or the key, does not know a name, or
    sent rows that do not fit. An error of the whole task, such as a refused key, ends it at once: with
    `AirflowFailException` if it is permanent, otherwise with a retry.
    """

    template_fields: Sequence[str] = (
        *("scopes", "start", "end", "metrics", "options", "columns", "lake", "raw_path", "personal_columns"),
        "sei_conn_id",
    )
    ui_color = "#dcebf7"
    _legacy = False
    """The task requests legacy reports."""
    _asked: Sequence[str] = REQUEST_ARGUMENTS
    _checks: Mapping[str, Check] = {
        "scopes": lambda name, value: parse_batch(value, name),
        "start": lambda _, value: parse_start(value, UTC),
        "end": lambda _, value: parse_end(value, UTC),
        "metrics": optional(check_names),
        "columns": lambda _, value: ColumnMapping.parse(value),
        "lake": check_place,
        "raw_path": optional(check_place),
        "on_bad_value": one_of("fail", "quarantine"),
        "personal_data": one_of("keep", "drop", "hash"),
        "personal_columns": lambda _, value: listed_headers(value),
        "unknown_columns": one_of("personal", "refuse"),
        "max_file_bytes": optional(check_count),
        "single_writer": check_flag,
        "sei_conn_id": check_text,
    }
    """By argument, the check of its value alone."""

    def __init__(
        self,
        *,
        report: str,
        scopes: Any,
        start: str | date,
        end: str | date,
        lake: str | PathLike[str],
        metrics: Sequence[str] | None = None,
        granularity: str | None = None,
        options: Mapping[str, Any] | None = None,
        columns: ColumnsArgument | str | None = None,
        raw_path: str | None = None,
        on_bad_value: BadValue = "fail",
        personal_data: PersonalData = "keep",
        personal_columns: Sequence[str] | None = None,
        unknown_columns: UnknownColumns = "personal",
        max_file_bytes: int | None = None,
        single_writer: bool = False,
        sei_conn_id: str = SeiHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.report = normalize_report(report)
        self.scopes = scopes
        self.start = start
        self.end = end
        self.metrics = metrics
        self.granularity = granularity
        self.options = options
        self.columns = columns
        self.lake = lake
        self.raw_path = raw_path
        self.on_bad_value = on_bad_value
        self.personal_data = personal_data
        self.personal_columns = personal_columns
        self.unknown_columns = unknown_columns
        self.max_file_bytes = max_file_bytes
        self.single_writer = single_writer
        self.sei_conn_id = sei_conn_id

    @classmethod
    def partial(cls, **arguments: Any) -> OperatorPartial:
        """Map the task, as every operator's `partial` does; what is given here is checked when the DAG is read."""
        cls._check(arguments)
        return super().partial(**arguments)

    @classmethod
    def _check(cls, arguments: Mapping[str, Any]) -> None:
        """Check arguments when the DAG is read: a wrong one is an import error then, not a failed night.

        Templates, results of other tasks, and arguments that are not given, are left out.
        """
        known = {
            name: value for name, value in arguments.items() if not (name in cls.template_fields and is_template(value))
        }
        with argument_errors():
            for name, check in cls._checks.items():
                if name in known:
                    check(name, known[name])
            if "report" in known:
                asked = request_arguments(cls._asked, {"options": any_options(known["report"])} | known)
                for scope in parse_batch(known.get("scopes", _ANY_SCOPE)):
                    asked |= {"scope": scope, "start": _ANY_DAY, "end": _ANY_DAY}
                    cls._check_report(ExportRequest(report=known["report"], **asked).report)

    @classmethod
    def _check_report(cls, report: str) -> None:
        if REPORTS[report].legacy is not cls._legacy:
            mine = ", ".join(name for name, each in REPORTS.items() if each.legacy is cls._legacy)
            msg = f"{cls.__name__} takes the reports {mine}; got {report}"
            raise SeiInputError(msg)

    def _check_arguments(self) -> None:
        """Check all arguments: those that are literal in `__init__`, and all of them once templates are rendered."""
        self._check({name: getattr(self, name) for name in ("report", "scopes", *self._asked, *self._checks)})

    def _request(self, scope: Scope, start: Any, end: Any, **instead: Any) -> ExportRequest:
        asked = request_arguments(self._asked, {name: getattr(self, name) for name in self._asked}) | instead
        return ExportRequest(report=self.report, scope=scope, start=start, end=end, **asked)

    def _requests(self, context: Context, hook: SeiHook) -> list[ExportRequest]:
        """Return one request per scope, each scope once, over whole periods up to the day of the run."""
        start, end = parse_range(self.start, self.end, dag_zone(context.get("dag") or self.get_dag()))
        asked = self._request(_ANY_SCOPE, start, end)
        self._sources = [hook.get_dataset(asked.report)]
        ranges = [DateRange(start, end)]
        if REPORTS[asked.report].widens:
            calendar = hook.get_calendar()
            run_day = context["dag_run"].run_after.astimezone(calendar.timezone).date()  # the same over all tries
            ranges = request_ranges(asked, not_after=run_day, week_starts_on=calendar.week_starts_on)
        return [self._request(scope, *days) for scope in parse_batch(self.scopes) for days in ranges]

    def _stager(self, context: Context, hook: SeiHook, checkpoint: TaskCheckpoint) -> Stager:
        from sei_provider.hooks.lake import open_lake

        keeps_raw = bool(self.raw_path) and self.personal_data == "keep"
        if self.raw_path and not keeps_raw:
            self.log.warning(
                "No raw copies are kept at raw_path: they would hold names and e-mail addresses (personal_data=%r)",
                self.personal_data,
            )
        options: dict[str, Any] = {
            "columns": ColumnMapping.parse(self.columns),
            "on_bad_value": self.on_bad_value,
            "personal_data": self.personal_data,
            "personal_columns": listed_headers(self.personal_columns),
            "unknown_columns": self.unknown_columns,
            "single_writer": self.single_writer,
        }
        # Under any policy, because it tells also which people have been erased from the lake.
        if self.personal_data == "hash" or hook.has_personal_data_key():
            options["hash_key"] = hook.get_personal_data_key()
        if self.max_file_bytes is not None:
            options["max_file_bytes"] = self.max_file_bytes
        return Stager(
            folder=checkpoint.folder,
            run_id=context["run_id"],
            clear_number=getattr(context["dag_run"], "clear_number", None) or 0,
            origin=hook.get_origin(),
            raw_path=open_lake(str(self.raw_path)) if keeps_raw else None,
            options=options,
        )

    @contextmanager
    def _handing_on_staged(self, context: Context, checkpoint: TaskCheckpoint) -> Iterator[None]:
        """Hand on what is staged, and the error, if one ends the work; make no retry if it is permanent."""
        try:
            yield
        except (Exception, AirflowTaskTimeout) as error:
            with suppress(sei_lake.LakeError, OSError):  # they would hide the error that ends the task
                self._handed_on = list(sei_lake.staged(checkpoint.folder, published=True).values())
                context["ti"].xcom_push(key="return_value", value=self._handed_on)
            self._end_with(context, str(error) or type(error).__name__)
            if isinstance(error, SeiError | sei_lake.LakeError) and error.is_permanent:
                msg = f"{error}\n{MEND_AND_CLEAR}"
                raise AirflowFailException(msg) from error
            raise

    def _unstaged(
        self, context: Context, requests: list[ExportRequest], checkpoint: TaskCheckpoint, stager: Stager
    ) -> list[ExportRequest]:
        """Tell what is asked, and return the requests that no earlier try has staged.

        These are all of them if a task that had succeeded was cleared, or if the files were read otherwise than
        `stager` reads them now, as when `columns` has been corrected since. What is staged is handed on at once: a
        user who gives up what is left, by marking the task as failed, has the rest published.
        """
        context["ti"].xcom_push(key=ASKED, value={**asked_by(requests, table_of(requests[0]), self._sources[0])})
        if checkpoint.is_first_try:  # what lies there is a deleted run's of the same id
            sei_lake.discard(checkpoint.folder)
        staged = {} if checkpoint.is_first_try else sei_lake.resume(checkpoint.folder)
        has_all = all(is_staged(request, staged.values()) for request in requests)
        if staged and checkpoint.may_have_succeeded and (checkpoint.keeps_ids or has_all):
            self.log.info(
                "This task was cleared after it had succeeded: exporting %s anew", plural(len(requests), "scope")
            )
            sei_lake.discard(checkpoint.folder)
            staged = {}
        if any(manifest.get("reading", stager.reading) != stager.reading for manifest in staged.values()):
            self.log.info(
                "Columns or policies have changed since an earlier try: staging %s anew", plural(len(staged), "slice")
            )
            sei_lake.discard(checkpoint.folder)
            staged = {}
        unstaged = [request for request in requests if request.fingerprint not in staged]
        self.log.info(
            "Requesting %s of %s, %s to %s (%d staged by an earlier try): %s",
            self.report, plural(len(unstaged), "scope"), requests[0].start, requests[-1].end,
            len(requests) - len(unstaged),
            few(dict.fromkeys(request.scope.label for request in unstaged)),
        )  # fmt: skip
        checkpoint.begin()
        if staged:
            context["ti"].xcom_push(key="return_value", value=list(staged.values()))
        return unstaged

    def _hand_on(
        self,
        context: Context,
        requests: list[ExportRequest],
        state: BatchState,
        checkpoint: TaskCheckpoint,
        stager: Stager,
    ) -> list[Manifest]:
        """Return the manifests; if scopes failed, push them and raise an error that names these scopes."""
        self._handed_on = manifests = manifests_of(requests, state, stager)
        failed = [manifest for manifest in manifests if manifest["error"]]
        self.log.info(
            "Staged %s of %s; %s failed",
            plural(sum(manifest["rows"] for manifest in manifests), "row"),
            plural(len(manifests) - len(failed), "slice"), plural(len(failed), "scope"),
        )  # fmt: skip
        if not state.errors:
            checkpoint.finish()
            return manifests
        context["ti"].xcom_push(key="return_value", value=manifests)  # the good ones go on without the others
        lacks = [Missing(scope=manifest["scope"], error=str(manifest["error"])) for manifest in failed]
        if len({(request.start, request.end) for request in requests}) > 1:  # one for each period, or split
            for lack, manifest in zip(lacks, failed, strict=True):
                lack |= {"table": manifest["table"], "start": manifest["start"], "end": manifest["end"]}
        msg = f"{len(failed)} of {plural(len(requests), 'scope')} of the {self.report} export failed: {sum_up(lacks)}"
        self._ended_by = msg
        if state.is_permanent_failure:
            raise SeiPermanentExportError("\n".join([msg, MEND_AND_CLEAR]))
        raise SeiExportError("\n".join([msg, RETRY_OR_CLEAR]))
