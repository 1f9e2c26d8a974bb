"""`make requests`: the number of requests per export at SEI's own rate limit, and how close they come to it.

The sandbox counts requests in a sliding window of 400 a minute, as SEI does, and answers 429 above it. Names of reports
as arguments limit the runs to these.
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from bench.export_runs import PER_MINUTE, TIMEOUT, airflow_for, batches
from dev.processes import StackError
from sei_provider.api.polling import ExportPoller
from sei_provider.sandbox.control import SandboxControl
from sei_provider.sandbox.data.organisation import Organisation

RUNS = (
    ("productivity", 1000),
    *((report, 200) for report in ("productivity", "sprint", "business_alignment", "efficiency", "time_in_status")),
)
DURATIONS = (5, 30, 60, 120, 300, 600, 1800)
"""Seconds that an export may take at SEI."""


def main() -> int:
    """Make the runs, one fresh Airflow and sandbox each, and print a line for each; 0 if every export landed."""
    print(" exports report               requests   each  429  landed  seconds  floor")
    good = True
    for report, exports in RUNS:
        if sys.argv[1:] and report not in sys.argv[1:]:
            continue
        with tempfile.TemporaryDirectory(prefix="sei-requests-") as folder:
            try:
                good &= _run(Path(folder), report, exports)
            except StackError as error:
                print(f"{report}, {exports} exports: {error}", file=sys.stderr)
                good = False
    print(growth())
    return 0 if good else 1


def growth() -> str:
    """Return a table: requests for one export of a report without a list, by the seconds that it takes.

    Pauses between status reads grow, as `SeiExportOperator` has them by default, without jitter.
    """
    lines = [" seconds  requests  read after its end"]
    for seconds in DURATIONS:
        now, reads = 0.0, 0
        poller = ExportPoller(
            "business_alignment", ["exp_1"], interval=10.0, deadline=math.inf, jitter=0.0, clock=lambda: 0.0
        )
        while now < seconds:
            now, reads = now + poller.next_pause(), reads + 1
        lines.append(f"{seconds:>8} {reads + 2:>9} {now - seconds:>17.0f} s")
    return "\n".join(lines)


def _run(folder: Path, report: str, exports: int) -> bool:
    teams = [team.id for team in Organisation(exports).leaves]
    dag_id = f"requests_{report}"
    with airflow_for(exports, folder, limited=True) as stack:
        stack.wait_for_dags(dag_id)
        stack.airflow.unpause(dag_id)
        began = time.monotonic()
        run_id = stack.airflow.trigger(dag_id, conf=batches(teams))
        state = stack.airflow.wait(dag_id, run_id, timeout=TIMEOUT, poll=2.0)
        seconds = time.monotonic() - began
        sandbox = SandboxControl(stack.sandbox_url, key=stack.sandbox_key)
        requests = sandbox.requests()
        landed = sum(export["sent"] for export in sandbox.exports())
    refused = Counter(request["status"] for request in requests)[429]
    floor = 2 * exports / PER_MINUTE * 60
    print(
        f"{exports:>8} {report:<19} {len(requests):>8} {len(requests) / exports:>6.2f} {refused:>4} "
        f"{landed:>7} {seconds:>8.0f} {floor:>6.0f}",
        flush=True,
    )
    return state == "success" and landed == exports


if __name__ == "__main__":
    sys.exit(main())
