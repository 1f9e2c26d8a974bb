"""List of developers: staged like an export's CSV, under the same policies for personal data.

SEI documents none of its columns, and it has neither teams nor dates.
"""

from __future__ import annotations

import csv
from calendar import monthrange
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from sei_provider.lake.columns import DIMENSIONS, compact
from sei_provider.lake.errors import CsvError
from sei_provider.lake.model import Manifest, Slice
from sei_provider.lake.periods import in_utc
from sei_provider.lake.staging.stage import stage
from sei_provider.lake.storage.backend import LakePath
from sei_provider.lake.storage.scratch import scratch_folder

REPORT = "developers"
_EVERYBODY = "all developers"
"""The team of each row that names none, and the list's scope."""
_TEAM_HEADERS = tuple(map(compact, DIMENSIONS["team"][1]))


def stage_developers(
    file: Path,
    *,
    folder: LakePath,
    table: str,
    read_at: datetime,
    run_id: str,
    exported_at: datetime,
    origin: Mapping[str, str | None] | None = None,
    **options: Any,
) -> Manifest:
    """Stage the list of developers in `file`, a CSV; the last list of a month replaces that month's older ones.

    `read_at` is when SEI was asked, by our clock: of two lists the later wins. `options` are those of `stage`, such as
    `personal_data`. Raises what `stage` raises.
    """
    read_at = in_utc(read_at, "read_at")
    first = read_at.date().replace(day=1)
    slice_ = Slice(
        table=table,
        report=REPORT,
        scope=_EVERYBODY,
        start=first,
        end=first.replace(day=monthrange(first.year, first.month)[1]),
        granularity="monthly",
        metrics=frozenset(),
        definition={},
        origin=origin or {},
    )
    with scratch_folder() as scratch:
        manifest = stage(
            _with_team(file, scratch / "list"),
            folder=folder,
            slice=slice_,
            request=REPORT,
            export_id=f"{REPORT}-{read_at:%Y%m%dT%H%M%S%f}",
            created_at=read_at,
            run_id=run_id,
            exported_at=exported_at,
            **options,
        )
    manifest["developers"] = True
    return manifest


def _with_team(file: Path, target: Path) -> Path:
    """Write the list with a team in each row, as every table has it: a list may have no teams, a developer none."""
    with file.open(encoding="utf-8-sig", newline="") as source:
        try:
            records = csv.reader(source, strict=True)
            header = next(records, None)
            if not header or "".join(header).lstrip().startswith("<"):  # which `stage` tells
                return file
            forms = list(map(compact, header))
            place = next((forms.index(form) for form in _TEAM_HEADERS if form in forms), None)
            with target.open("w", encoding="utf-8", newline="") as rest:
                writer = csv.writer(rest, quoting=csv.QUOTE_ALL, lineterminator="\n")
                writer.writerow(header if place is not None else ["Team", *header])
                for record in filter(None, records):
                    if place is None:
                        record.insert(0, _EVERYBODY)
                    elif place < len(record):
                        record[place] = record[place] or _EVERYBODY
                    writer.writerow(record)
        except (csv.Error, UnicodeDecodeError) as error:
            msg = f"the list of developers is not CSV in UTF-8: {type(error).__name__} in line {records.line_num}"
            raise CsvError(msg) from None
    return target
