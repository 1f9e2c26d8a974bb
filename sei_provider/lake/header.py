"""Header of one CSV: which column each header is, by the user's `columns=`, then by what SEI documents, then by form.

Plain values. Reads no file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from sei_provider.lake.column_mapping import ColumnMapping, Named
from sei_provider.lake.columns import (
    CALCULATION,
    DIMENSIONS,
    LEGACY_HEADINGS,
    NUMBER_SUFFIXES,
    PERIOD,
    REPORT_DIMENSIONS,
    RESERVED,
    UNDATED,
    Column,
    ColumnType,
    compact,
    snake_case,
)
from sei_provider.lake.errors import HeaderError, columns_argument
from sei_provider.lake.header_words import is_plain_header

_MAX_NAMED = 20
"""Headers that an error gives an entry of `columns=` for."""
_MAX_CANDIDATES = 3
_PEOPLE = ("developer", "developer_email")
_PERSON_HEADERS = frozenset(compact(alias) for name in _PEOPLE for alias in DIMENSIONS[name][1]) - {"name"}
"""Headers of developers' rows; a plain `Name` may be the team's."""


def declare(
    headers: Sequence[str],
    *,
    report: str,
    metrics: frozenset[str] = frozenset(),
    mapping: ColumnMapping | None = None,
) -> list[Column]:
    """Return the columns of one CSV in its order, with their names and declared types. `require_columns` checks them.

    What `mapping` names comes first, then documented metrics and likely headers of dimensions, which are compared
    without case and punctuation.
    """
    named = (mapping or ColumnMapping({})).match(headers)
    forms = {header: compact(header) for header in headers}
    documented = {metric.lower() for metric in metrics}
    known: dict[str, tuple[str, ColumnType]] = {compact(metric): (metric, "float64") for metric in documented}
    given = {name for name, _ in named.values()}
    known |= _dimensions_found({forms[header] for header in headers if header not in named}, report, given)
    return [
        _named_column(header, named[header], documented)
        if header in named
        else _column(header, known.get(forms[header]), report)
        for header in headers
    ]


def require_columns(columns: Sequence[Column], *, level: str | None = None, needs_dates: bool = True) -> None:
    """Raise `HeaderError` if a file has not the columns that a table needs; the error tells the argument to write.

    That is, if one is missing (team; start date with `needs_dates`; a developer at level `developer`), if a report at
    level `team` names developers, if a column has no name, or two have the same.
    """
    needed = [("team",), *([("start_date",)] if needs_dates else []), *([_PEOPLE] if level == "developer" else [])]
    _check_needed(columns, needed)  # first: a file that has these begins with a header, which messages may show
    _check_level(columns, level)
    _check_names(columns)


def free_name(wanted: str, taken: Collection[str]) -> str:
    """Return `wanted`, or a name like it that is not taken and is typed alike: the number goes before the last word."""
    if wanted not in taken:
        return wanted
    first, _, last = wanted.rpartition("_")
    number = 2
    while (name := f"{first}_{number}_{last}" if first else f"{last}_{number}") in taken:
        number += 1
    return name


def _named_column(header: str, named: Named, documented: Collection[str]) -> Column:
    names = (named.name, snake_case(header))
    is_number = named.name in documented or any(name.endswith(NUMBER_SUFFIXES) for name in names)
    return Column(named.name, header, named.type or ("float64" if is_number else None), is_named=True)


def _column(header: str, known: tuple[str, ColumnType] | None, report: str) -> Column:
    if known:
        return Column(known[0], header, known[1])
    name = snake_case(header)
    is_heading = report in UNDATED and CALCULATION.sub("", header.strip().lower()) in LEGACY_HEADINGS
    if is_heading or name.endswith(NUMBER_SUFFIXES):
        return Column(name, header, "float64")
    # A column named like the partition column or like a computed one would break every reader.
    taken = RESERVED | PERIOD if report == "developers" else RESERVED
    return Column(f"sei_{name}" if name in taken else name, header, None)


def _dimensions_found(seen: Collection[str], report: str, given: Collection[str]) -> dict[str, tuple[str, ColumnType]]:
    """Return the form of the header of each dimension but those that the user has given."""
    special = {name for names in REPORT_DIMENSIONS.values() for name in names}
    own = REPORT_DIMENSIONS.get(report, ())
    found: dict[str, tuple[str, ColumnType]] = {}
    for name, (kind, aliases) in DIMENSIONS.items():
        if name in given or (name in special and name not in own) or (name in PERIOD and report == "developers"):
            continue
        first = next((form for form in map(compact, aliases) if form in seen), None)
        if first is not None:
            found[first] = (name, kind)
    return found


def _check_needed(columns: Sequence[Column], needed: Sequence[Sequence[str]]) -> None:
    names = {column.name for column in columns}
    for choices in needed:
        if names.isdisjoint(choices):
            name = choices[0]
            aliases = (alias for choice in choices for alias in DIMENSIONS[choice][1])
            msg = f"no column holds the {name}; looked for {', '.join(aliases)}: name the right one with"
            # Of a file without a header this is a row, which may name people.
            unknown = (column for column in columns if not column.is_named and column.name not in DIMENSIONS)
            text = (column.header for column in unknown if column.type in (None, "string"))
            likely = list(filter(is_plain_header, text))
            raise _error(msg, columns, [{header: name} for header in likely[:_MAX_CANDIDATES] or ["…"]])


def _check_level(columns: Sequence[Column], level: str | None) -> None:
    """Refuse developers' rows where teams' were requested: their names would land in a table of teams."""
    if level != "team":
        return
    for place, column in enumerate(columns, 1):
        if column.name in _PEOPLE or (not column.is_named and compact(column.header) in _PERSON_HEADERS):
            msg = (
                f"the request was at level team, and column {place} of {len(columns)} names developers, so SEI did not "
                "apply the level: clusters know it as metricLevel or aggregationLevel, see level_field in the "
                "connection. If the column is the team's, name it with"
            )
            raise _error(msg, columns, [{column.header: f"team_{snake_case(column.header)}"}])


def _check_names(columns: Sequence[Column]) -> None:
    places: dict[str, list[int]] = defaultdict(list)
    for place, column in enumerate(columns):
        places[column.name].append(place)
    for place in places.get("", ()):
        msg = f"column {place + 1} of {len(columns)} has no letter or digit to name it by; name it with"
        raise _error(msg, columns, [{columns[place].header: free_name(f"column_{place + 1}", places)}])
    meeting = [place for found in places.values() if len(found) > 1 for place in found]
    if not meeting:
        return
    meet = f"columns {_numbers(meeting)} of {len(columns)} meet in one name"
    named: dict[str, str] = {}
    for place in sorted(meeting[:_MAX_NAMED], key=lambda place: (not columns[place].is_named, place)):
        header, name = columns[place].header, columns[place].name
        if header in named:
            msg = f"{meet}, and two have one header: rename one in SEI"
            raise _error(msg, columns)
        named[header] = free_name(name, {*places, *named.values()}) if name in named.values() else name
    if any(columns[place].hashed for place in meeting):
        meet = f"{meet}, and some may name people, so write these headers in personal_columns= too"
    msg = f"{meet}; tell them apart with"
    raise _error(msg, columns, [named])


def _error(message: str, columns: Sequence[Column], named: Sequence[Mapping[str, str]] = ()) -> HeaderError:
    advice = f" {' or '.join(map(columns_argument, named))}" if named else ""
    return HeaderError(f"{message}{advice}", headers=[column.header for column in columns])


def _numbers(places: Sequence[int]) -> str:
    shown = ", ".join(str(place + 1) for place in sorted(places)[:_MAX_NAMED])
    return shown if len(places) <= _MAX_NAMED else f"{shown} and {len(places) - _MAX_NAMED} more"
