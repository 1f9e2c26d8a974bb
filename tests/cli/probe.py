"""`python -m tests.cli.probe`: what `airflow sei probe` says of sandboxes in three dialects, as in docs/probe.md.

With `--write` the page gets it anew; without, it is printed. The sandbox's dates and the probe's day are fixed.
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from typing import Any

from sei_provider.api import SeiClient
from sei_provider.cli.probe import report_text
from sei_provider.cli.survey import Survey
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.server import serve
from tests.printed_page import PrintedPage

PAGE = PrintedPage("probe.md", "tests/cli/probe.py")
NAMES = {"org_identifier": "acme", "project_identifier": "web"}
TODAY = date(2026, 3, 18)
DIALECTS = {
    "A cluster as the documents have it": "",
    "An older cluster": "older_level_field,no_reuse,upper_case_statuses",
    "A cluster with other columns": "other_columns,hierarchy_from_scope,weeks_from_sunday",
}


def survey(sandbox: SandboxControl, *, team: str | None = None, seconds: float = 60, **settings: Any) -> Survey:
    """Return what a probe asks of a sandbox."""
    given = {"account_identifier": "acc", "requests_per_minute": 20_000, "api_key": sandbox.key} | settings
    with SeiClient(base_url=sandbox.base_url, **NAMES, **given) as client:
        found = Survey(client, names=NAMES, today=TODAY, deadline=time.time() + seconds)
        found.find_team(team)
        found.ask_everything()
    return found


def outputs() -> str:
    """Return the probe's text of each dialect, below the option that starts such a sandbox."""
    parts = []
    for title, dialect in DIALECTS.items():
        now = datetime.combine(TODAY, datetime.min.time(), UTC).timestamp()
        with serve(teams=9, seconds=0, dialect=dialect, clock=lambda now=now: now) as sandbox:
            text = report_text(survey(sandbox))
        option = f", `--dialect {dialect}`" if dialect else ""
        parts.append(f"## {title}{option}\n\n```markdown\n{text}```")
    return "\n\n".join(parts)


if __name__ == "__main__":
    PAGE.main(outputs)
