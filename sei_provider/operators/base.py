"""What exporting and reporting have in common: a batch of scopes becomes requests, and manifests are handed on."""

from __future__ import annotations

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
from sei_provider.operators.landing import Staging, manifests_of
from sei_provider.operators.memory import Memory
from sei_provider.operators.work import Work

if TYPE_CHECKING:
    from airflow.sdk import Context

    from sei_provider.lake import Manifest
    from sei_provider.lake.staging.pii import PersonalData
    from sei_provider.lake.staging.stage import BadValue

_ANY_SCOPE = Scope(team_id="0")


class SeiExportError(AirflowException):
    """Some of a batch's scopes did not land; the message names them. The others are staged and handed on."""


class SeiPermanentExportError(SeiExportError, AirflowFailException):
    """No further try would land any of what is missing, so Airflow makes none: a person has to correct something."""


class SeiBatchOperator(BaseOperator):
    """Base of the tasks that ask SEI for one report of a batch of scopes; takes what both of them take.

    :param report: The report's name.
    :param scopes: The batch: team ids (str or int), or `{"teamId": …}`, `{"orgTreeName": …}` or both. (templated)
    :param start: First day, inclusive, as a date or `yyyy-MM-dd`. (templated)
    :param end: Last day, inclusive. (templated)
    :param lake: The lake's place: a path, or what `ObjectStoragePath` takes, as in `s3://conn@bucket/lake`. (templated)
    :param metrics: Names of single metrics. (templated)
    :param granularity: The length of a period, in any case; the report's own default if None.
    :param options: Further members of the request, sent as they are.
    :param raw_path: Where to keep each file as SEI sent it, too; a place like `lake`. (templated)
    :param on_bad_value: What a value does that does not fit its column's type: `fail` the scope, or put the row into
        `<lake>/_quarantine/<table>/`.
    :param personal_data: What becomes of developers' names and e-mail addresses: `keep`, `drop` the columns, or `hash`
        them under the connection's extra `personal_data_secret`.
    :param max_file_bytes: Bytes of one unpacked file above which its scope fails, because a small file can unpack to
        terabytes. The lake's own limit if None.
    :param single_writer: Promises that nothing else writes to the lake: for stores that cannot tell two writers apart.
    :param sei_conn_id: The connection. (templated)

    What the DAG gives as it is read is checked then, and raises `SeiInputError`; templated arguments and the connection
    are checked before any call. A scope that does not land leaves the others alone: they are staged and handed on, then
    the task fails with one `SeiExportError` naming those that did not. Airflow tries again for these, unless what keeps
    all of them out would be met again (`SeiPermanentExportError`): SEI refused the request or the key, does not know a
    name, or sent rows that do not fit. What is wrong for the whole task, such as the key, ends it in the same way:
    at once (`AirflowFailException`) if it has to be corrected, to be tried again if it may pass.
    """

    template_fields: Sequence[str] = ("scopes", "start", "end", "metrics", "lake", "raw_path", "sei_conn_id")
    ui_color = "#dcebf7"
    _legacy = False
    """Whether it asks for legacy reports."""

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
        self.max_file_bytes = max_file_bytes
        self.single_writer = single_writer
        self.sei_conn_id = sei_conn_id

    def _asked(self) -> dict[str, Any]:
        """What every request of the task asks for, beside its scope and range."""
        return {"metrics": self.metrics, "granularity": self.granularity or "", "options": self.options}

    def _check_what_is_no_template(self) -> None:
        """Check as the DAG is read: a wrong name is an import error then, not a failed night."""
        templated = {name: None for name in self._asked() if name in self.template_fields}
        report = self._request(_ANY_SCOPE, date.min, date.min, **templated).report
        if REPORTS[report].legacy is not self._legacy:
            mine = ", ".join(name for name, each in REPORTS.items() if each.legacy is self._legacy)
            msg = f"{type(self).__name__} takes the reports {mine}; got {report}"
            raise SeiInputError(msg)

    def _request(self, scope: Scope, start: Any, end: Any, **instead: Any) -> ExportRequest:
        return ExportRequest(report=self.report, scope=scope, start=start, end=end, **(self._asked() | instead))

    def _requests(self, context: Context) -> list[ExportRequest]:
        """One request per scope, each scope once, over whole periods up to the day this run stands for."""
        asked = self._request(_ANY_SCOPE, self.start, self.end)
        start, end = asked.start, asked.end
        if REPORTS[asked.report].widens:
            calendar = SeiHook(self.sei_conn_id).get_calendar()
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

    def _staging(self) -> Staging:
        """How what SEI sends is staged, with the key for people's names if they are to be hashed."""
        from airflow.sdk import ObjectStoragePath

        hashed = self.personal_data == "hash"
        if self.raw_path and self.personal_data != "keep":
            self.log.warning("No raw copies are kept: they would hold the personal data that the lake is not to hold")
        limit = {} if self.max_file_bytes is None else {"max_file_bytes": self.max_file_bytes}
        return Staging(
            raw=ObjectStoragePath(self.raw_path) if self.raw_path and self.personal_data == "keep" else None,
            options={
                "on_bad_value": self.on_bad_value,
                "personal_data": self.personal_data,
                "hash_key": SeiHook(self.sei_conn_id).get_personal_data_key() if hashed else None,
                "single_writer": self.single_writer,
                **limit,
            },
        )

    @contextmanager
    def _handing_on_what_landed(self, context: Context, memory: Memory) -> Iterator[None]:
        """For work that may end the whole task: what is staged goes on first, and what is final is not tried again."""
        try:
            yield
        except Exception as error:
            with suppress(sei_lake.LakeError, OSError):  # they would hide why the task ends
                context["ti"].xcom_push(key="return_value", value=list(sei_lake.staged(memory.folder).values()))
            if isinstance(error, SeiError | sei_lake.LakeError) and error.is_permanent:
                raise AirflowFailException(str(error)) from error
            raise

    def _unstaged(self, requests: list[ExportRequest], memory: Memory) -> list[ExportRequest]:
        """The requests that no earlier try has staged; all of them if somebody cleared a task that had succeeded."""
        staged = sei_lake.staged(memory.folder)
        if memory.may_have_succeeded and all(request.fingerprint in staged for request in requests):
            self.log.info("All %d scopes had landed when this task was cleared: exporting anew", len(requests))
            sei_lake.discard(memory.folder)
            staged = {}
        waiting = [request for request in requests if request.fingerprint not in staged]
        self.log.info(
            "Asking SEI for %s of %d scopes, %s to %s (%d staged by an earlier try): %s",
            self.report, len(waiting), requests[0].start, requests[0].end, len(requests) - len(waiting),
            ", ".join(request.scope.label for request in waiting) or "nothing left to ask",
        )  # fmt: skip
        memory.begin()
        return waiting

    def _hand_on(self, context: Context, requests: list[ExportRequest], work: Work, memory: Memory) -> list[Manifest]:
        """Give the manifests, or, if a retry may bring more, push them and fail naming what did not land."""
        manifests = manifests_of(requests, work, memory)
        bad = [manifest for manifest in manifests if manifest["error"]]
        self.log.info(
            "Staged %d rows of %d slices; %d did not land",
            sum(manifest["rows"] for manifest in manifests), len(manifests) - len(bad), len(bad),
        )  # fmt: skip
        if not work.errors:
            memory.finish()
            return manifests
        context["ti"].xcom_push(key="return_value", value=manifests)  # the good ones go on without the bad
        named = "; ".join(f"{manifest['scope']}: {manifest['error']}" for manifest in bad)
        msg = f"{len(bad)} of {len(requests)} scopes of the {self.report} export did not land: {named}"
        if work.is_lost_for_good:
            msg = f"{msg}. Trying again would change nothing: correct it, then clear the task"
            raise SeiPermanentExportError(msg)
        raise SeiExportError(msg)
