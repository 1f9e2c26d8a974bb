"""Short ways to stage made-up exports of several scopes as chunks."""

from __future__ import annotations

from lake_bench import at, team_row

from sei_provider import lake
from sei_provider.lake import FinishedExport
from sei_provider.lake.storage.store import names

JAN, FEB = "2026-01-01", "2026-02-01"


def finished(bench, scope, rows, *, age, header=None, start=JAN, end="2026-02-28"):
    file = bench.folder / f"{scope.replace(':', '-')}-{age}.csv"
    file.write_text("\n".join([header or bench.header, *rows, ""]))
    return FinishedExport(
        file=file,
        slice=bench.slice(scope, start, end),
        request=f"{age:04}",
        export_id=f"exp_{age}",
        created_at=at(age),
        exported_at=at(age + 0.5),
    )


def staged_chunk(bench, exports, **options):
    return lake.stage_chunk(
        exports,
        folder=bench.staging,
        run_id=bench.run,
        columns=bench.columns,
        single_writer=bench.single_writer,
        **(bench.options | options),
    )


def teams(bench, count, days=(JAN, FEB)):
    return [
        finished(bench, f"team:{n}", [team_row(f"Eng/{n}", day, n) for day in days], age=n, start=days[0])
        for n in range(1, count + 1)
    ]


def left(bench):
    return {name for name in names(bench.staging) if not name.startswith("published-")}
