"""Every morning: an alarm if a table lacks complete figures of yesterday at 08:00, for any of the teams."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk import DAG, Variable, task
from sei_common import LAKE, RETRIES, START, configured_reports, table_of, teams

from sei_provider.sensors.freshness import SeiFreshnessSensor

log = logging.getLogger(__name__)

SENSOR_DOC = """Waits on the triggerer until every team has complete figures of yesterday in the table.

Red: at the deadline some had not; the log names them, and what to do."""


# --8<-- [start:alarm]
def alarm(context: Any) -> None:
    """Mail the sensor's message to the address in the Variable `sei_alarm_email`, by the connection `smtp_default`."""
    from airflow.providers.smtp.notifications.smtp import SmtpNotifier

    address = Variable.get("sei_alarm_email", default=None)
    if address is None:
        log.warning("Nobody is told by mail, because the Variable sei_alarm_email is not set")
        return
    notifier = SmtpNotifier(
        to=address,
        from_email="airflow@example.com",
        subject="{{ dag.dag_id }}: figures of SEI are late",
        html_content="<pre>{{ exception | e }}</pre>",
    )
    notifier(context)


# --8<-- [end:alarm]


@task(**RETRIES)
def tables() -> list[str]:
    """Lists the tables of the night's reports: one sensor each."""
    from sei_provider.hooks.permanent import no_retry_if_permanent

    with no_retry_if_permanent():
        return [table_of(report) for report in configured_reports()]


with DAG(
    "sei_freshness",
    description=__doc__,
    doc_md="""
Looks into the tables that `sei_nightly` fills, from 03:00 on. The run is green as soon as every team has complete
figures of yesterday in each of them, and red at 08:00 if one has not.

- **Teams, reports, lake**: the same Variables as for `sei_nightly`.
- **Who is told**: the address in the Variable `sei_alarm_email`, by the connection `smtp_default`; nobody without it.
- **Red?** The log of the red sensor names what is lacking. Repair the nightly run, then clear the sensor, which looks
  again.
""",
    schedule="0 3 * * *",
    start_date=START,
    catchup=False,
    max_active_runs=1,
    tags=["sei"],
) as dag:
    # --8<-- [start:freshness]
    SeiFreshnessSensor.partial(
        task_id="fresh",
        scopes=teams(),
        lake=LAKE,
        deadline="08:00",
        poke_interval=300,
        on_failure_callback=alarm,
        map_index_template="{{ task.table }}",
        doc_md=SENSOR_DOC,
        **RETRIES,
    ).expand(table=tables())
    # --8<-- [end:freshness]
