"""A scorecard of the teams for each month, as Parquet and as a page with charts, whenever the month is published."""

from __future__ import annotations

import logging
from datetime import date
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException  # whose place differs between 3.1 and 3.3
from airflow.sdk import DAG, task
from sei_common import ASSETS, LAKE, RETRIES, START, months_of, published_months, table_of

from sei_provider.plural import plural

log = logging.getLogger(__name__)

MONTHS_SHOWN = 12
REPORTS = ("productivity", "sprint", "business_alignment", "efficiency")
"""The reports of the card."""


@task(**RETRIES)
def cards(lake: str, **context: Any) -> list[str]:
    """Writes `<lake>/scorecard/month=2026-01/data.parquet` for the months that were published; returns their paths.

    There is a row per team, parents beside their children: `is_leaf` tells them apart. Started by hand, it rewrites the
    last twelve months.
    """
    from io import BytesIO

    from sei_card.figures import card_of_month

    from sei_provider.api.periods import period_of
    from sei_provider.hooks.lake import open_lake
    from sei_provider.lake import UnknownTableError, ledger, read_table
    from sei_provider.lake.storage.store import put_bytes

    root = open_lake(lake)
    written = []
    try:
        for month in published_months(context) or sorted(ledger(root, table_of("productivity")))[-MONTHS_SHOWN:]:
            start, end = period_of(date.fromisoformat(f"{month}-01"), "monthly")
            card = card_of_month(
                *(read_table(root, table_of(report), start=start, end=end).to_pandas() for report in REPORTS)
            )
            parquet = BytesIO()
            card.to_parquet(parquet, index=False)
            target = root / "scorecard" / f"month={month}" / "data.parquet"
            put_bytes(target, parquet.getvalue())
            log.info("%s: %s, of which leaf teams: %d", target, plural(len(card), "team"), card["is_leaf"].sum())
            written.append(str(target))
    except UnknownTableError as error:  # the lake's first night: other reports are not published yet
        msg = f"no scorecard yet: {error}"
        raise AirflowSkipException(msg) from error
    return written


@task(**RETRIES)
def page(lake: str) -> str:
    """Writes `<lake>/scorecard/scorecard.html` about the last twelve months with a scorecard; returns its path."""
    import pandas as pd
    from sei_card.page import page_of

    from sei_provider.hooks.lake import open_lake
    from sei_provider.lake import read_table
    from sei_provider.lake.column_metadata import HEADER_KEY
    from sei_provider.lake.storage.store import names, put_bytes, read

    root = open_lake(lake)
    folder = root / "scorecard"
    months = [name.removeprefix("month=") for name in names(folder) if name.startswith("month=")][-MONTHS_SHOWN:]
    parts = (read(folder / f"month={month}" / "data.parquet", pd.read_parquet) for month in months)
    card = pd.concat([rows.assign(month=month) for rows, month in zip(parts, months, strict=True) if rows is not None])
    no_rows = read_table(root, table_of("business_alignment"), start=date.max)
    headers = {field.name: field.metadata[HEADER_KEY].decode() for field in no_rows.schema if field.metadata}
    target = folder / "scorecard.html"
    put_bytes(target, page_of(card, headers).encode())
    return str(target)


with DAG(
    "sei_scorecard",
    description=__doc__,
    doc_md="""
A consumer of the lake: from productivity, sprint, business alignment and efficiency it makes one row per team and
month, with the four DORA figures and their ratings, and a page of the last twelve months that opens in any browser,
without a network: `<lake>/scorecard/scorecard.html`.

Runs when all four tables have published a month, once for each month; before Airflow 3.3 when any of them has
published, for the months it names. After a backfill of one report only, start it by hand. It needs pandas
(`pip install 'airflow-provider-sei[pandas]'`).
""",
    schedule=months_of(*(ASSETS[report] for report in REPORTS)),
    start_date=START,
    catchup=False,
    max_active_runs=1,  # each run writes the page anew
    tags=["sei"],
) as dag:
    cards(LAKE) >> page(LAKE)
