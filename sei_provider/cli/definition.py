"""Names and arguments of the commands under `airflow sei`. Each `airflow` call reads them, so imports are light."""

from __future__ import annotations

from airflow.cli.cli_config import (
    ARG_OUTPUT,
    ARG_VERBOSE,
    ActionCommand,
    Arg,
    CLICommand,
    GroupCommand,
    lazy_load_command,
)

from sei_provider.api.reports import REPORTS

_COMMANDS = "sei_provider.cli.commands"

_CONN_ID = Arg(("--conn-id",), help="the connection to SEI", default="sei_default")
_LISTED = [report.name for report in REPORTS.values() if report.has_list]
_EXPORTED = [report.name for report in REPORTS.values() if not report.legacy]
_REPORT = Arg(("report",), help=f"a report whose exports SEI lists: {' or '.join(_LISTED)}")
_ANY_REPORT = Arg(("report",), help=f"the report that was exported: {', '.join(_EXPORTED)}")
_EXPORT_ID = Arg(("export_id",), help="the export's id, e.g. exp_7a8b9c0d")
_FILE = Arg(("--file",), help="where to write it; must not exist yet (default: <export id>.csv or .csv.gz)")
_ORG_TREE = Arg(("--org-tree",), help="name of an org tree, to list its teams; without it, the org trees are listed")
_TABLE = Arg(("table",), help="a table of the lake, e.g. sprint_team_monthly")
_LAKE = Arg(("--lake",), help="the lake's path or URL", required=True)
_FROM = Arg(("--from",), dest="start", help="from the month of this day (yyyy-MM-dd) on")
_TO = Arg(("--to",), dest="end", help="up to the month of this day (yyyy-MM-dd)")
_DIALECT = Arg(("--dialect",), help="the tool that is to read it", choices=("duckdb", "spark"), default="duckdb")
_LOCATION = Arg(("--location",), help="the lake as that tool reaches it, if not by --lake, e.g. a drive's letter")
_SCOPE = Arg(("scope",), help="team:456 or org:Engineering, as coverage shows it, or a team's id")
_COLUMN = Arg(("column",), help="a column of the table, as it is called in the lake")
_TYPE = Arg(("type",), help="its new type", choices=("string", "float64", "date"))
_ONE_TABLE = Arg(("--table",), help="only this table (default: all of the lake)")
_SINGLE_WRITER = Arg(
    ("--single-writer",),
    help="confirm that nothing else writes to the lake, on a store that cannot keep two writers apart",
    action="store_true",
)
_RAW_PATH = Arg(("--raw-path",), help="where raw copies were kept (raw_path of the operators), to erase from them too")
_UNDO = Arg(
    ("--undo",),
    help="take the person off the list of those who are left out; later exports bring them back",
    action="store_true",
)
_AT_MOST = Arg(("--at-most",), help="how many exports to show", type=int, default=50)
_STATUS = Arg(("--status",), help="only exports of this status")
_TEAM = Arg(("--team",), help="only exports of the team with this id")
_MINE = Arg(("--mine",), help="only exports made with this key", action="store_true")
_PROBED_TEAM = Arg(("--team",), help="the team to ask for (default: a leaf team of the org trees)")
_PROBE_FILE = Arg(("--file",), help="where to write it; must not exist yet (default: print it)")
_TIMEOUT = Arg(("--timeout",), help="seconds after which nothing more is asked", type=int, default=900)
_SINCE = Arg(("--since",), help="only exports made on this day (yyyy-MM-dd) or later")
_UNTIL = Arg(("--until",), help="only exports made on this day (yyyy-MM-dd) or earlier")


def get_sei_cli_commands() -> list[CLICommand]:
    """Return the group `sei` for Airflow's command line."""
    exports = GroupCommand(
        name="exports",
        help="Exports that SEI holds",
        subcommands=(
            ActionCommand(
                name="list",
                help="List exports, newest first",
                func=lazy_load_command(f"{_COMMANDS}.list_exports"),
                args=(_REPORT, _CONN_ID, _STATUS, _TEAM, _MINE, _SINCE, _UNTIL, _AT_MOST, ARG_OUTPUT, ARG_VERBOSE),
            ),
            ActionCommand(
                name="show",
                help="Show one export",
                func=lazy_load_command(f"{_COMMANDS}.show_export"),
                args=(_ANY_REPORT, _EXPORT_ID, _CONN_ID, ARG_OUTPUT, ARG_VERBOSE),
            ),
            ActionCommand(
                name="download",
                help="Download a completed export as SEI stored it",
                func=lazy_load_command(f"{_COMMANDS}.download_export"),
                args=(_ANY_REPORT, _EXPORT_ID, _FILE, _CONN_ID, ARG_VERBOSE),
            ),
        ),
    )
    teams = ActionCommand(
        name="teams",
        help="List org trees, or the teams of one",
        func=lazy_load_command(f"{_COMMANDS}.list_teams"),
        args=(_ORG_TREE, _CONN_ID, ARG_OUTPUT, ARG_VERBOSE),
    )
    coverage = ActionCommand(
        name="coverage",
        help="Show scopes and months of a table: rows, 0 if SEI had none, - if not published; stale: exported no more",
        func=lazy_load_command(f"{_COMMANDS}.show_coverage"),
        args=(_TABLE, _LAKE, _FROM, _TO, ARG_OUTPUT, ARG_VERBOSE),
    )
    ddl = ActionCommand(
        name="ddl",
        help="Print SQL by which DuckDB or Spark reads a table, and a view of its leaf teams, whose rows can be summed",
        func=lazy_load_command(f"{_COMMANDS}.ddl"),
        args=(_TABLE, _LAKE, _DIALECT, _LOCATION, ARG_VERBOSE),
    )
    retire = ActionCommand(
        name="retire",
        help="Remove the rows of a scope that is exported no more; a later export brings it back",
        func=lazy_load_command(f"{_COMMANDS}.retire"),
        args=(_SCOPE, _LAKE, _ONE_TABLE, _SINGLE_WRITER, ARG_OUTPUT, ARG_VERBOSE),
    )
    retype = ActionCommand(
        name="retype",
        help="Change the type of a column in all months of a table; what does not fit goes to quarantine",
        func=lazy_load_command(f"{_COMMANDS}.retype"),
        args=(_TABLE, _COLUMN, _TYPE, _LAKE, _SINGLE_WRITER, ARG_OUTPUT, ARG_VERBOSE),
    )
    erase = ActionCommand(
        name="erase",
        help="Erase a person from a lake: reads names and e-mail addresses, one a line, from standard input",
        description="Erase one person from all tables, staging, quarantine and raw copies of a lake, and leave the "
        "person out of what is staged from then on. All names and e-mail addresses of the person are read from "
        "standard input, one a line, so that none of them is in the shell's history or the list of processes. Needs "
        "personal_data_secret in the connection, under every policy. SEI still has the person: delete them there too",
        func=lazy_load_command(f"{_COMMANDS}.erase"),
        args=(_LAKE, _CONN_ID, _RAW_PATH, _UNDO, _SINGLE_WRITER, ARG_OUTPUT, ARG_VERBOSE),
    )
    check = ActionCommand(
        name="check",
        help="Test a connection and print what is wrong with it",
        func=lazy_load_command(f"{_COMMANDS}.check"),
        args=(_CONN_ID, ARG_OUTPUT, ARG_VERBOSE),
    )
    probe = ActionCommand(
        name="probe",
        help="Find out what SEI's documents do not say, as text for an issue without values and names",
        description="Ask SEI for one small export of each report and level, of one team, and print what no document "
        "says of this cluster: headers, shapes of labels, where hierarchies start, reuse, the week's first day, kinds "
        "of links, the field of the level; and the columns= and extras that fit. No value, name or id is printed, so "
        "the text can be attached to an issue. Makes at most 300 calls, and none after --timeout",
        func=lazy_load_command(f"{_COMMANDS}.probe"),
        args=(_PROBED_TEAM, _PROBE_FILE, _TIMEOUT, _CONN_ID, ARG_VERBOSE),
    )
    return [
        GroupCommand(
            name="sei",
            help="Look at Harness SEI",
            subcommands=(exports, teams, coverage, ddl, retire, retype, erase, check, probe),
        )
    ]
