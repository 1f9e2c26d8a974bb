"""Every Monday: the legacy team and contributor reports of the week before, into the lake."""

from __future__ import annotations

from datetime import UTC, datetime

from airflow.sdk import DAG, CronDataIntervalTimetable
from sei_common import LAKE, teams

from sei_provider.operators.check import SeiCheckOperator
from sei_provider.operators.publish import SeiPublishOperator
from sei_provider.operators.report import SeiReportOperator

with DAG(
    "sei_legacy_reports",
    description=__doc__,
    doc_md="""
SEI's legacy reports, kept for backward compatibility there; prefer the exports of `sei_nightly` where they have the
same figures. Each week's report is one slice of its own in `team_report_weekly` and `contributor_report_weekly`.
The contributor report holds developers' names.
""",
    schedule=CronDataIntervalTimetable("0 5 * * 1", timezone="UTC"),
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    tags=["sei"],
):
    batches = teams()
    for report, options in {"team_report": None, "contributor_report": {"includeRatings": True}}.items():
        ask = SeiReportOperator.partial(
            task_id=f"ask_{report}",
            report=report,
            start="{{ data_interval_start | ds }}",
            end="{{ macros.ds_add(data_interval_end | ds, -1) }}",
            granularity="weekly",
            options=options,
            lake=LAKE,
            retries=2,
            max_active_tis_per_dagrun=2,
        ).expand(scopes=batches)
        publish = SeiPublishOperator(task_id=f"publish_{report}", staged=ask.output, expected=batches, lake=LAKE)
        SeiCheckOperator(task_id=f"check_{report}", published=publish.output)
