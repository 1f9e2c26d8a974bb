"""Base of the export and report tasks: scopes become requests, and manifests of what was staged are handed on."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import (  # whose place differs between 3.1 and 3.3
    AirflowException,
    AirflowFailException,
)
from airflow.sdk import BaseOperator

from sei_provider import lake as sei_lake
from sei_provider.api.errors import SeiError, SeiInputError
from sei_provider.api.periods import whole_periods
from sei_provider.api.reports import REPORTS
from sei_provider.api.request import ExportRequest, Scope
from sei_provider.hooks.sei import SeiHook
from sei_provider.operators._staging import Stager, manifests_of
from sei_provider.operators._state import BatchState, TaskCheckpoint

if TYPE_CHECKING:
    from airflow.sdk import Context

    from sei_provider.lake import Manifest
    from sei_provider.lake.staging.pii import PersonalData, UnknownColumns
    from sei_provider.lake.staging.stage import BadValue

REQUEST_ARGUMENTS = ("metrics", "granularity", "options")
"""The arguments that every request of a task carries as they are."""
_ANY_SCOPE = Scope(team_id="0")


class SeiExportError(AirflowException):
    """Some scopes of a batch failed; the message names them. The others are staged and handed on."""


class SeiPermanentExportError(SeiExportError, AirflowFailException):
    """Every later try would fail in the same way, so Airflow makes none: a person has to correct something."""


class SeiBatchOperator(BaseOperator):
    """Base of the tasks that request one report of a batch of scopes from SEI.

    :param report: The report's name.
    :param scopes: The batch: team ids (str or int), or `{"teamId": …}`, `{"orgTreeName": …}` or both. (templated)
    :param start: First day, inclusive, as a date or `yyyy-MM-dd`. (templated)
    :param end: Last day, inclusive. (templated)
    :param lake: The lake's place: a path or an address, as in `s3://conn@bucket/lake`. (templated)
    :param metrics: Names of single metrics. (templated)
    :param granularity: The length of a period, in any case; the report's own default if None.
    :param options: Further members of the request, sent as they are.
    :param raw_path: A place like `lake` where each file is also kept as SEI sent it. (templated)
    :param on_bad_value: The policy for a value that does not fit its column's type: `fail` fails the scope,
        `quarantine` puts the row into `<lake>/_quarantine/<table>/`.
    :param personal_data: The policy for developers' names and e-mail addresses: `keep` them, `drop` their columns, or
        `hash` them under the connection's extra `personal_data_secret`.
        Under `drop` and `hash` a column that nobody declared is treated as a person's, listed in the result, and told
        by `SeiCheckOperator`.
    :param personal_columns: Headers of SEI's columns that name a person, beside those that are known. (templated)
    :param unknown_columns: The policy for a column that nobody declared: `personal`, as said above, or `refuse` its
        scope.
    :param max_file_bytes: Bytes of one unpacked file above which its scope fails, because a small file can unpack to
        terabytes. The lake's own limit if None.
    :param single_writer: Promises that nothing else writes to the lake: for stores that cannot tell two writers apart.
    :param sei_conn_id: The connection. (templated)

    Arguments that are not templated are checked when the DAG is parsed, and raise `SeiInputError`. Templated ones and
    the connection are checked before any call. If a scope fails, the others are staged and handed on all the same; then
    the task fails with one `SeiExportError` that names those that failed, and its retry requests these only. If every
    later try would fail in the same way, the error is a `SeiPermanentExportError` and Airflow makes no retry: SEI
    refused the request or the key, does not know a name, or sent rows that do not fit. An error of the whole task, such
    as a refused key, ends it at once: with `AirflowFailException` if it is permanent, otherwise with a retry.
    """

    template_fields: Sequence[str] = (
        "scopes",
        "start",
        "end",
        "metrics",
        "lake",
        "raw_path",
        "personal_columns",
        "sei_conn_id",
    )
    ui_color = "#dcebf7"
    _legacy = False
    """The task requests legacy reports."""
    _asked: Sequence[str] = REQUEST_ARGUMENTS

    def __init__(
        self,
        *,
        report: str,
        scopes: Sequence[Any],
        start: str | date,
        end: str | date,
        lake: str,
        metrics: Sequence[str] | None = None,
        granularity: str | None = None,
        options: Mapping[str, Any] | None = None,
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
        self.report = report
        self.scopes = scopes
        self.start = start
        self.end = end
        self.metrics = metrics
        self.granularity = granularity
        self.options = options
        self.lake = lake
        self.raw_path = raw_path
        self.on_bad_value = on_bad_value
        self.personal_data = personal_data
        self.personal_columns = personal_columns
        self.unknown_columns = unknown_columns
        self.max_file_bytes = max_file_bytes
        self.single_writer = single_writer
        self.sei_conn_id = sei_conn_id

    def _check_untemplated(self) -> None:
        """Check arguments when the DAG is parsed: a wrong name is an import error then, not a failed night."""
        templated = {name: None for name in self._asked if name in self.template_fields}
        report = self._request(_ANY_SCOPE, date.min, date.min, **templated).report
        if REPORTS[report].legacy is not self._legacy:
            mine = ", ".join(name for name, each in REPORTS.items() if each.legacy is self._legacy)
            msg = f"{type(self).__name__} takes the reports {mine}; got {report}"
            raise SeiInputError(msg)

    def _request(self, scope: Scope, start: Any, end: Any, **instead: Any) -> ExportRequest:
        asked = {name: getattr(self, name) for name in self._asked} | instead
        return ExportRequest(report=self.report, scope=scope, start=start, end=end, **asked)

    def _requests(self, context: Context, hook: SeiHook) -> list[ExportRequest]:
        """Return one request per scope, each scope once, over whole periods up to the day of the run."""
        asked = self._request(_ANY_SCOPE, self.start, self.end)
        start, end = asked.start, asked.end
        if REPORTS[asked.report].widens:
            calendar = hook.get_calendar()
            start, end = whole_periods(
                start,
                end,
                asked.granularity,
                # The run's own day, the same over all tries (DESIGN, decision 4).
                not_after=context["dag_run"].run_after.astimezone(calendar.timezone).date(),
                week_starts_on=calendar.week_starts_on,
            )
        requests = [self._request(scope, start, end) for scope in dict.fromkeys(map(Scope.parse, self.scopes))]
        if not requests:
            msg = "there is no scope to export; give at least one team or org tree"
            raise SeiInputError(msg)
        return requests

    def _stager(self, context: Context, hook: SeiHook, checkpoint: TaskCheckpoint) -> Stager:
        from sei_provider.hooks.lake import open_lake

        keeps_raw = bool(self.raw_path) and self.personal_data == "keep"
        if self.raw_path and not keeps_raw:
            self.log.warning(
                "No raw copies are kept at raw_path: they would hold names and e-mail addresses (personal_data=%r)",
                self.personal_data,
            )
        options: dict[str, Any] = {
            "on_bad_value": self.on_bad_value,
            "personal_data": self.personal_data,
            "personal_columns": _headers(self.personal_columns),
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
        """Hand on what is staged if the work ends with an error, and make no retry if the error is permanent."""
        try:
            yield
        except Exception as error:
            with suppress(sei_lake.LakeError, OSError):  # they would hide the error that ends the task
                staged = list(sei_lake.staged(checkpoint.folder).values())
                context["ti"].xcom_push(key="return_value", value=staged)
            if isinstance(error, SeiError | sei_lake.LakeError) and error.is_permanent:
                raise AirflowFailException(str(error)) from error
            raise

    def _unstaged(self, requests: list[ExportRequest], checkpoint: TaskCheckpoint) -> list[ExportRequest]:
        """Return the requests that no earlier try has staged; all of them if a task that had succeeded was cleared."""
        staged = sei_lake.staged(checkpoint.folder)
        if checkpoint.may_have_succeeded and all(request.fingerprint in staged for request in requests):
            self.log.info("This task was cleared after all %d scopes were staged: exporting them anew", len(requests))
            sei_lake.discard(checkpoint.folder)
            staged = {}
        unstaged = [request for request in requests if request.fingerprint not in staged]
        self.log.info(
            "Requesting %s of %d scopes, %s to %s (%d staged by an earlier try): %s",
            self.report, len(unstaged), requests[0].start, requests[0].end, len(requests) - len(unstaged),
            ", ".join(request.scope.label for request in unstaged) or "none",
        )  # fmt: skip
        checkpoint.begin()
        return unstaged

    def _hand_on(
        self, context: Context, requests: list[ExportRequest], state: BatchState, checkpoint: TaskCheckpoint
    ) -> list[Manifest]:
        """Return the manifests; if scopes failed, push them and raise an error that names these scopes."""
        manifests = manifests_of(requests, state, checkpoint.folder)
        failed = [manifest for manifest in manifests if manifest["error"]]
        self.log.info(
            "Staged %d rows of %d slices; %d scopes failed",
            sum(manifest["rows"] for manifest in manifests), len(manifests) - len(failed), len(failed),
        )  # fmt: skip
        if not state.errors:
            checkpoint.finish()
            return manifests
        context["ti"].xcom_push(key="return_value", value=manifests)  # the good ones go on without the others
        named = "; ".join(f"{manifest['scope']}: {manifest['error']}" for manifest in failed)
        msg = f"{len(failed)} of {len(requests)} scopes of the {self.report} export failed: {named}"
        if state.is_permanent_failure:
            msg = f"{msg}. A retry would fail in the same way: correct the cause, then clear the task"
            raise SeiPermanentExportError(msg)
        raise SeiExportError(msg)


def _headers(value: Any) -> list[str]:
    """Return a list of headers from a list, or from a template that was rendered to text: JSON, Python, or one header.

    Raises `SeiInputError` for anything else.
    """
    found = value or []
    if isinstance(value, str) and value:
        found = [value]
        for parse in (json.loads, ast.literal_eval):
            with suppress(ValueError, SyntaxError):
                found = parse(value)
                break
    if isinstance(found, str):
        found = [found]
    if not isinstance(found, Sequence | set | frozenset) or not all(isinstance(header, str) for header in found):
        msg = f"personal_columns must be a list of SEI's headers, got {type(value).__name__}"
        raise SeiInputError(msg)
    return list(found)
