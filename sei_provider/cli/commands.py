"""The commands under `airflow sei`, which ask SEI and print. Loaded only when one of them runs."""

from __future__ import annotations

import os
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from itertools import islice
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException
from airflow.utils.cli import suppress_logs_and_warning

from sei_provider.api.client import SeiClient
from sei_provider.api.errors import SeiError, SeiInputError
from sei_provider.api.export import Export, ExportStatus
from sei_provider.api.scopes import parse_label
from sei_provider.api.teams import Team
from sei_provider.api.validation import YEARS, parse_day
from sei_provider.cli.output import print_line, print_rows
from sei_provider.hooks.sei import SeiHook
from sei_provider.lake.errors import LakeError
from sei_provider.plural import plural
from sei_provider.printable import printable

_GZIP = b"\x1f\x8b"


@suppress_logs_and_warning
def list_exports(args: Namespace) -> None:
    """Run `airflow sei exports list REPORT`."""
    with _errors_as_lines():
        since, until = _day("--since", args.since), _day("--until", args.until)
        if since and until and since > until:
            msg = f"--since {since} is after --until {until}"
            raise SeiInputError(msg)
        if args.at_most < 1:
            msg = f"--at-most must be a whole number from 1, not {args.at_most}"
            raise SeiInputError(msg)
        if args.team is not None and not args.team.strip():
            msg = "--team must be a team's id, not empty"
            raise SeiInputError(msg)
    with _client(args) as client:
        exports = client.list_exports(
            args.report,
            status=args.status,
            scope="mine" if args.mine else "all",
            team_id=args.team,
            date_from=since,
            date_to=until,
            limit=min(args.at_most, 100),
        )
        print_rows([_shown(export) for export in islice(exports, args.at_most)], args.output)


@suppress_logs_and_warning
def show_export(args: Namespace) -> None:
    """Run `airflow sei exports show REPORT ID`."""
    with _client(args) as client:
        print_rows([_shown(client.get_export(args.report, args.export_id))], args.output)


@suppress_logs_and_warning
def download_export(args: Namespace) -> None:
    """Run `airflow sei exports download REPORT ID`: write the whole file or none, and replace no other file."""
    with _client(args) as client:
        export = client.get_export(args.report, args.export_id)
        if export.status is not ExportStatus.COMPLETED:
            msg = f"{args.report} export {export.id} is {export.status}: only a completed export can be downloaded"
            raise SeiInputError(msg)
        folder = Path(args.file).parent if args.file else Path.cwd()
        with NamedTemporaryFile(dir=folder, prefix=".sei-") as part:
            size = client.download_export(export, part)
            part.flush()
            part.seek(0)
            ending = ".csv.gz" if part.read(2) == _GZIP else ".csv"
            target = Path(args.file) if args.file else folder / f"{export.id}{ending}"
            try:
                os.link(part.name, target)
            except FileExistsError:
                msg = f"{target} already exists; name another file with --file"
                raise SeiInputError(msg) from None
        print_line(f"{target}: {plural(size, 'byte')}")


@suppress_logs_and_warning
def list_teams(args: Namespace) -> None:
    """Run `airflow sei teams`: print the org trees, or the teams of one, each below its parent."""
    with _client(args) as client:
        if args.org_tree is None:
            print_rows(
                [
                    {"org_tree": tree.name, "org_tree_id": tree.id, "teams": tree.team_count}
                    for tree in client.list_org_trees()
                ],
                args.output,
            )
        else:
            print_rows(list(_rows(client.list_teams(args.org_tree), 0)), args.output)


@suppress_logs_and_warning
def show_coverage(args: Namespace) -> None:
    """Run `airflow sei coverage TABLE --lake LAKE`: print a row for each scope, a column for each month."""
    from sei_provider.hooks.lake import open_lake
    from sei_provider.lake.tables.coverage import iter_coverage

    grid: dict[str, dict[str, Any]] = {}
    with _errors_as_lines():
        start, end = _day("--from", args.start), _day("--to", args.end)
        if start and end and start > end:
            msg = f"--from {start} is after --to {end}"
            raise SeiInputError(msg)
        for part in iter_coverage(open_lake(_place(args.lake)), args.table, start=start, end=end):
            row = grid.setdefault(part["scope"], {"scope": part["scope"]})
            shown = "-" if part["published_at"] is None else part["rows"]
            row[part["month"]] = f"{shown} stale" if part["stale"] else shown
    print_rows(list(grid.values()), args.output)


@suppress_logs_and_warning
def ddl(args: Namespace) -> None:
    """Run `airflow sei ddl TABLE --dialect duckdb|spark --lake LAKE`: print the statements by which it is read."""
    from sei_provider.hooks.lake import open_lake
    from sei_provider.lake.tables.ddl import checked_location, reader_location, table_ddl

    with _errors_as_lines():
        place = _place(args.lake)
        location = checked_location(args.location) if args.location else reader_location(place, args.dialect)
        text = table_ddl(open_lake(place), args.table, dialect=args.dialect, location=location)
    for line in text.removesuffix("\n").split("\n"):
        print_line(line)


@suppress_logs_and_warning
def retire(args: Namespace) -> None:
    """Run `airflow sei retire SCOPE --lake LAKE`: remove the rows of a scope, from one table or from all."""
    from datetime import UTC, datetime

    from sei_provider import lake as sei_lake
    from sei_provider.hooks.lake import open_lake
    from sei_provider.lake.storage.store import lake_path
    from sei_provider.lake.tables.stored_schema import table_names

    with _errors_as_lines():
        place = open_lake(_place(args.lake))
        scope = parse_label(args.scope).label
        tables = [args.table] if args.table else table_names(lake_path(place))
        now, single = datetime.now(UTC), args.single_writer
        found = [
            {"table": table, "month": month}
            for table in tables
            for month in sei_lake.retire(place, table, scope, retired_at=now, single_writer=single)
        ]
    print_rows(found, args.output)


@suppress_logs_and_warning
def retype(args: Namespace) -> None:
    """Run `airflow sei retype TABLE COLUMN TYPE --lake LAKE`: change the type of a column in all months of a table."""
    from sei_provider import lake as sei_lake
    from sei_provider.hooks.lake import open_lake

    with _errors_as_lines():
        found = sei_lake.retype(
            open_lake(args.lake), args.table, args.column, args.type, single_writer=args.single_writer
        )
    print_rows([dict(month) for month in found], args.output)


@suppress_logs_and_warning
def erase(args: Namespace) -> None:
    """Run `airflow sei erase --lake LAKE`: erase the person whose names and addresses standard input tells."""
    from datetime import UTC, datetime

    from sei_provider import lake as sei_lake
    from sei_provider.hooks.lake import open_lake

    _as_server()
    with _errors_as_lines():
        key = SeiHook(args.conn_id).get_personal_data_key()
        place, single = open_lake(_place(args.lake)), args.single_writer
        if sys.stdin.isatty():
            sys.stderr.write("All names and e-mail addresses of one person, one a line, and Ctrl-D at the end:\n")
        people = [line.strip() for line in sys.stdin if line.strip()]
        if args.undo:
            struck = sei_lake.unerase(place, people, hash_key=key, single_writer=single)
            print_rows([{"taken_off_the_list": struck}], args.output)
            return
        found = sei_lake.erase(
            place,
            people,
            hash_key=key,
            erased_at=datetime.now(UTC),
            raw_path=open_lake(_place(args.raw_path)) if args.raw_path else None,
            single_writer=single,
        )
    print_rows([dict(each) for each in found], args.output)


@suppress_logs_and_warning
def check(args: Namespace) -> None:
    """Run `airflow sei check`: test a connection, and exit with status 1 if it does not work."""
    _as_server()
    try:
        good, said = SeiHook(args.conn_id).test_connection()
    except AirflowNotFoundException as error:
        good, said = False, str(error)
    print_rows([{"connection": args.conn_id, "good": good, "SEI": said}], args.output)
    if not good:
        sys.exit(1)


@suppress_logs_and_warning
def probe(args: Namespace) -> None:
    """Run `airflow sei probe`: find out what no document says, and print it as text to attach to an issue."""
    from datetime import datetime

    from sei_provider.cli.probe import report_text
    from sei_provider.cli.survey import Survey

    _as_server()
    with _errors_as_lines():
        if args.timeout < 1:
            msg = f"--timeout must be a number of seconds from 1, not {args.timeout}"
            raise SeiInputError(msg)
        if args.file and Path(args.file).exists():
            msg = f"{args.file} already exists; name another file with --file"
            raise SeiInputError(msg)
        deadline = time.time() + args.timeout
        hook = SeiHook(args.conn_id, deadline=deadline)
        origin, zone = hook.get_origin(), hook.get_calendar().timezone
        names = {"org_identifier": origin["organization"] or "", "project_identifier": origin["project"] or ""}
        with hook.get_conn() as client:
            survey = Survey(client, names=names, today=datetime.now(zone).date(), deadline=deadline)
            survey.find_team(args.team)
            survey.ask_everything()
        text = report_text(survey)
        if args.file:
            with Path(args.file).open("x", encoding="utf-8") as file:
                file.write(text)
        print(args.file or text)  # noqa: T201 - the command's output


@contextmanager
def _client(args: Namespace) -> Iterator[SeiClient]:
    """Open a client for the named connection; errors end the command with one line."""
    _as_server()
    with _errors_as_lines(), SeiHook(args.conn_id).get_conn() as client:
        yield client


@contextmanager
def _errors_as_lines() -> Iterator[None]:
    try:
        yield
    except (SeiError, LakeError, AirflowNotFoundException, OSError) as error:
        sys.exit(printable(error))


def _place(lake: str) -> str:
    """Return the address of a lake; a path may be relative, or begin with ~, as everywhere in a shell."""
    return str(Path(lake).expanduser().absolute()) if lake.strip() and ":/" not in lake else lake


def _day(option: str, value: str | None) -> date | None:
    """Return the day that an option names; `SeiInputError` names the option."""
    day = None if value is None else parse_day(option, value)
    if day and day.year not in YEARS:
        msg = f"{option} must lie in the years {YEARS[0]} to {YEARS[-1]}, not {day}"
        raise SeiInputError(msg)
    return day


def _as_server() -> None:
    """Let Airflow read connections from its database too, as `airflow connections test` does."""
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"


def _rows(team: Team, depth: int) -> Iterator[dict[str, Any]]:
    yield {"id": team.id, "name": "  " * depth + team.name, "developers": team.developer_count}
    for child in team.children:
        yield from _rows(child, depth + 1)


def _shown(export: Export) -> dict[str, Any]:
    return {
        "id": export.id,
        "report": export.report,
        "status": export.status,
        "scope": export.team_id or export.org_tree or "",
        "start": export.start and export.start.isoformat(),
        "end": export.end and export.end.isoformat(),
        "created": export.created_at.isoformat(),
        "completed": export.completed_at and export.completed_at.isoformat(),
        "error": export.error or "",
    }
