"""Every Monday: the legacy team, contributor and DORA reports of the week before, into the lake."""

from __future__ import annotations

from airflow.sdk import DAG, Asset
from sei_common import (
    BATCH_NAME,
    CHECK_DOC,
    LAKE,
    PUBLISH_DOC,
    RETRIES,
    START,
    intervals,
    period_before,
    teams,
)

from sei_provider.operators.check import SeiCheckOperator
from sei_provider.operators.publish import SeiPublishOperator
from sei_provider.operators.report import SeiReportOperator

REPORTS = {
    "team_report": None,
    "contributor_report": {"includeRatings": True},
    "dora_report": {"calculationType": "MEAN"},
}
"""Options by report."""

ASK_DOC = "Requests one report per team of the batch, which SEI answers at once, and stages the answers in the lake."

with DAG(
    "sei_legacy_reports",
    description=__doc__,
    doc_md="""
SEI's legacy reports, kept for backward compatibility there; prefer the exports of `sei_nightly` where they have the
same figures. Each run takes the last whole week before it, also one that was started by hand. Each week's report
is one slice of its own in `team_report_weekly`, `contributor_report_weekly` and `dora_report_weekly`.
The contributor report holds developers' names.
""",
    schedule=intervals("0 5 * * 1"),
    start_date=START,
    catchup=False,
    max_active_runs=1,
    user_defined_macros={"period_before": period_before},
    tags=["sei"],
) as dag:
    batches = teams()
    for report, options in REPORTS.items():
        # --8<-- [start:report]
        ask = SeiReportOperator.partial(
            task_id=f"ask_{report}",
            report=report,
            start="{{ period_before(dag, dag_run, 'weekly').start }}",
            end="{{ period_before(dag, dag_run, 'weekly').end }}",
            granularity="weekly",
            options=options,
            lake=LAKE,
            max_active_tis_per_dagrun=2,
            map_index_template=BATCH_NAME,
            doc_md=ASK_DOC,
            **RETRIES,
        ).expand(scopes=batches)
        # --8<-- [end:report]
        publish = SeiPublishOperator(
            task_id=f"publish_{report}",
            staged=ask.output,
            expected=batches,
            lake=LAKE,
            outlets=[Asset(f"sei_{report}_weekly", group="sei")],
            doc_md=PUBLISH_DOC,
            **RETRIES,
        )
        SeiCheckOperator(task_id=f"check_{report}", published=publish.output, doc_md=CHECK_DOC)
