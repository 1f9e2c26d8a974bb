"""The freshness sensor: waits until every scope has complete figures of some days, up to a deadline."""

from __future__ import annotations

import re
import time as clock
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (  # whose place differs between 3.1 and 3.3
    AirflowFailException,
    AirflowSkipException,
)
from airflow.sdk import BaseSensorOperator

from sei_provider.api.errors import SeiInputError
from sei_provider.api.validation import YEARS, parse_end, parse_range, parse_start, quoted
from sei_provider.hooks.dag_zone import dag_zone, zone_name
from sei_provider.hooks.permanent import no_retry_if_permanent
from sei_provider.operators._arguments import (
    Check,
    argument_errors,
    check_flag,
    check_place,
    check_seconds,
    check_table,
    deferrable_by_default,
    is_template,
    optional,
)
from sei_provider.operators._missing import labels_of
from sei_provider.operators._secrets import refuse_secrets
from sei_provider.triggers.freshness import FreshnessCheck, FreshnessEvent, SeiFreshnessTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

_BACKSTOP = timedelta(minutes=10)
"""Time after the deadline at which Airflow ends the wait. It comes to that only if the triggerer is gone."""
_MOMENT = re.compile("[0-9]{4}-?[0-9]{2}-?[0-9]{2}[Tt ][0-9:.]+([Zz]|[+-][0-9:]+)?")
_TIME_OF_DAY = re.compile(r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2})?")
_DAY = timedelta(days=1)


class SeiFreshnessSensor(BaseSensorOperator):
    """Wait until every scope has complete figures of some days; fail at the deadline, and name what is lacking.

    By default that is yesterday, by 08:00. A scope has complete figures of a day if the export that its rows come from
    was asked for the day's period (the month, the week; of sprints and legacy reports the day) up to that day or
    further, if the day was over in the DAG's time zone when SEI made it, and if no row of it is in quarantine. The
    sensor reads the ledgers of the table, and no rows. A table that is not there yet has nothing complete.

    At the deadline the task fails with one `AirflowFailException`, without a retry, because the time is over then; with
    `soft_fail=True` it is skipped. A lake that cannot be read for a while is read again; an error that a person has to
    correct, such as a damaged object, ends the wait at once. A deadline that is over already leaves one look.

    Takes the arguments of Airflow's `BaseSensorOperator` too. `poke_interval` is the time between two looks, and
    `timeout` (seven days by default) ends the wait if it is shorter than the deadline.

    :param lake: The lake's place: an absolute path or an address, as in `s3://conn@bucket/lake`. (templated)
    :param table: The table's full name, as in `sprint_team_monthly`. (templated)
    :param scopes: The scopes, as the export tasks take them: a list of team ids (str or int), or of `{"teamId": …}`,
        `{"orgTreeName": …}` or both, or a single one. Lists of batches are taken too, as `expected` of
        `SeiPublishOperator` takes them. (templated)
    :param start: First day, inclusive, as export tasks take it; `end` if None. (templated)
    :param end: Last day, inclusive, as export tasks take it; if None, the day before the run (`run_after`) in the DAG's
        time zone. (templated)
    :param deadline: The time of the last look: a time of day (`datetime.time`, or text like `08:00`), which is that of
        the day after `end` in the DAG's time zone, or a moment (a datetime, or ISO time). (templated)
    :param deferrable: Wait on the triggerer (True) or in the worker's slot (False). None: on the triggerer, unless
        Airflow's `[operators] default_deferrable` says `False`.
    """

    template_fields: Sequence[str] = ("lake", "table", "scopes", "start", "end", "deadline")
    ui_color = "#efe3f5"
    _checks: Mapping[str, Check] = {
        "lake": check_place,
        "table": check_table,
        "scopes": lambda _, value: _scope_labels(value),
        "start": optional(lambda _, value: parse_start(value, UTC)),
        "end": optional(lambda _, value: parse_end(value, UTC)),
        "deadline": lambda _, value: parse_deadline(value, date(2000, 1, 1), UTC),
        "poke_interval": partial(check_seconds, above=True),
        "deferrable": check_flag,
    }

    def __init__(
        self,
        *,
        lake: str | PathLike[str],
        table: str,
        scopes: Any,
        start: str | date | None = None,
        end: str | date | None = None,
        deadline: str | time | datetime = "08:00",
        deferrable: bool | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.lake = lake
        self.table = table
        self.scopes = scopes
        self.start = start
        self.end = end
        self.deadline = deadline
        self.deferrable = deferrable_by_default() if deferrable is None else deferrable
        self._check_arguments()

    def execute(self, context: Context) -> None:
        """Look once, and wait if figures are lacking."""
        refuse_secrets(self)
        with no_retry_if_permanent():
            check, deadline = self._question(context)
        if not self.deferrable:
            super().execute(context)
            return
        lacking = self._look(check)
        if lacking is None:
            return
        now = clock.time()
        deadline = min(deadline, now + self.timeout)
        if now >= deadline:
            self._fail(context, lacking)
        self.log.info("Not complete yet: %s", lacking)
        self.defer(
            trigger=SeiFreshnessTrigger(**asdict(check), deadline=deadline, poke_interval=self.poke_interval),
            method_name="execute_complete",
            timeout=timedelta(seconds=deadline - now) + _BACKSTOP,
        )

    def execute_complete(self, context: Context, event: FreshnessEvent) -> None:
        """Succeed or fail as the trigger's event says."""
        if event["error"]:
            self._end(event["error"])
        if event["lacking"] is not None:
            self._fail(context, event["lacking"])
        self.log.info("The figures of all scopes are complete")

    def poke(self, context: Context) -> bool:
        """Return whether the figures of all scopes are complete; fail if they are not and the deadline is over."""
        check, deadline = self._question(context)
        is_last = clock.time() >= deadline
        lacking = self._look(check)
        if lacking is not None and is_last:
            self._fail(context, lacking)
        if lacking is not None:
            self.log.info("Not complete yet: %s", lacking)
        return lacking is None

    def _check_arguments(self) -> None:
        """Check the arguments that are not templates: all of them once these are rendered."""
        values = {name: getattr(self, name) for name in self._checks}
        with argument_errors():
            for name, value in values.items():
                if not (name in self.template_fields and is_template(value)):
                    self._checks[name](name, value)

    def _question(self, context: Context) -> tuple[FreshnessCheck, float]:
        """Return what to look for, and the deadline as Unix time. Raises `SeiArgumentError` for a wrong argument."""
        with argument_errors():
            self._check_arguments()
            zone = dag_zone(context.get("dag") or self.get_dag())
            day = context["dag_run"].run_after.astimezone(zone).date() - _DAY
            last = day if self.end is None else parse_end(self.end, zone)
            first = last if self.start is None else parse_range(self.start, self.end or last, zone)[0]
            if first.year not in YEARS or last.year not in YEARS:
                msg = f"start and end must lie in the years {YEARS[0]} to {YEARS[-1]}, not {first} to {last}"
                raise SeiInputError(msg)
            deadline = parse_deadline(self.deadline, last + _DAY, zone)
            if deadline.astimezone(zone).date() <= last:
                msg = (
                    f"no figures of {last} can be complete by the deadline {deadline.isoformat()}, because the day is "
                    "not over then: give an earlier end, or a later deadline"
                )
                raise SeiInputError(msg)
        check = FreshnessCheck(
            lake=str(self.lake),
            table=self.table,
            scopes=_scope_labels(self.scopes),
            start=first.isoformat(),
            end=last.isoformat(),
            zone=zone_name(zone),
        )
        return check, deadline.timestamp()

    def _look(self, check: FreshnessCheck) -> str | None:
        from sei_provider.lake import LakeError

        try:
            return check.look()
        except LakeError as error:
            self._end(str(error))

    def _fail(self, context: Context, lacking: str) -> None:
        _, deadline = self._question(context)
        zone = dag_zone(context.get("dag") or self.get_dag())
        moment = datetime.fromtimestamp(deadline, zone).isoformat(timespec="minutes")
        self._end(
            f"by {moment}, {lacking}\n"
            f"What to do: see the last run of the DAG that publishes {self.table}. If it still runs, wait; if its "
            "check task is red, the log there says what to correct and what to clear. Then clear this task: it looks "
            "again"
        )

    def _end(self, message: str) -> NoReturn:
        if self.soft_fail or self.never_fail:
            self.log.error(message)  # Airflow puts a text of its own in place of a skipped sensor's
            raise AirflowSkipException(message)
        raise AirflowFailException(message)


def parse_deadline(value: object, day: date, zone: tzinfo) -> datetime:
    """Return the moment of a deadline, in its zone or in `zone`: of a time of day that on `day`.

    Raises `SeiInputError` for anything but a time of day (a `time`, or text like `08:00`) and a moment (a datetime, or
    ISO time).
    """
    given = value
    try:
        if isinstance(value, str) and _TIME_OF_DAY.fullmatch(value.strip()):
            hour, _, rest = value.strip().partition(":")
            given = time.fromisoformat(f"{hour:0>2}:{rest}")
        elif isinstance(value, str) and _MOMENT.fullmatch(value.strip()):
            given = datetime.fromisoformat(value.strip().upper())
        if isinstance(given, time):
            given = datetime.combine(day, given)
        if isinstance(given, datetime):
            moment = given if given.utcoffset() is not None else given.replace(tzinfo=zone)
            moment.astimezone(UTC).astimezone(zone)
            return moment
    except (ValueError, OverflowError):
        pass
    msg = f"deadline must be a time of day like 08:00, or a moment like 2026-01-20T08:00:00+01:00, not {quoted(value)}"
    raise SeiInputError(msg)


def _scope_labels(value: object) -> list[str]:
    labels = list(dict.fromkeys(labels_of(value)))
    if not labels:
        msg = f"scopes names no scope: {quoted(value)}; give at least one team or org tree"
        raise SeiInputError(msg)
    return labels
