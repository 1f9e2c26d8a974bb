"""The text of a probe: what SEI was found to answer, as Markdown that can be attached to an issue."""

from __future__ import annotations

import json
from collections.abc import Iterator

from sei_provider import __version__
from sei_provider.api.reports import REPORTS
from sei_provider.cli.findings import File, Findings
from sei_provider.cli.shapes import cell_kinds, label_shapes
from sei_provider.cli.survey import Survey
from sei_provider.plural import plural

_NAMES = {"team", "team_hierarchy", "developer", "developer_email", "sprint"}
_MAX_KINDS_OF_COLUMNS = 60
"""Rows of a table of columns: a file may have thousands."""


def report_text(survey: Survey) -> str:
    """Return the whole text; it holds no value, name or id of the customer's."""
    findings = Findings(survey)
    return "\n".join([*_head(survey), *_answers(findings), *_fitting(findings), *_files(findings)]) + "\n"


def _head(survey: Survey) -> Iterator[str]:
    exports = sum(not REPORTS[sample.request.report].legacy for sample in survey.samples)
    legacy = len(survey.samples) - exports
    yield "# What SEI answers, by `airflow sei probe`"
    yield ""
    yield (
        f"Provider {__version__}. Asked for {plural(exports, 'export')} and {plural(legacy, 'legacy report')} of one "
        f"team, in {plural(survey.calls, 'call')}. Below are headers and shapes: `Aa` is a word that is not told, `9` "
        "a number, `<…>` a header or a part of one that is not told. No value, name or id is in this text."
    )
    if survey.trees_problem:
        yield f"The org trees could not be read: {survey.trees_problem}."
    yield ""


def _answers(findings: Findings) -> Iterator[str]:
    yield "| what no document says | found |"
    yield "|---|---|"
    for question, answer in findings.answers():
        yield f"| {question} | {answer} |"
    yield ""


def _fitting(findings: Findings) -> Iterator[str]:
    extras, columns = findings.extras(), findings.columns()
    yield "## What fits"
    yield ""
    if extras:
        yield f"Extras of the connection: `{json.dumps(extras)}`"
    else:
        yield "Extras of the connection: the defaults of `level_field` and `week_starts_on`, or what cannot be told."
    yield ""
    for report, named in columns.items():
        yield f"For {report}: `columns={named!r}`"
        yield ""
    if not columns:
        yield "No `columns=` is needed, as far as there were rows to tell it by."
        yield ""


def _files(findings: Findings) -> Iterator[str]:
    yield "## Files"
    yield ""
    shown: dict[tuple[str, ...], str] = {}
    by_sample = {id(file.sample): file for file in findings.files}
    for sample in findings.survey.samples:
        name = sample.name + (f", level sent as {sample.level_field}" if sample.level_field != "metricLevel" else "")
        file = by_sample.get(id(sample))
        if file is None:
            yield f"- {name}: {sample.problem or 'an empty file'}"
            continue
        packing = "packed by gzip" if sample.packed else "plain"
        problem = "" if sample.rows else ", no rows"
        header = (sample.request.report, *sample.header)
        if header in shown:
            yield f"- {name}: {packing}{problem}, the columns of *{shown[header]}*"
            continue
        shown[header] = name
        yield f"- {name}: {packing}{problem}"
        yield ""
        yield from _columns(file)
        yield ""
    for report in dict.fromkeys(findings.survey.refused):
        yield f"- {report}: not asked for, because it does not take such a request for this team"


def _columns(file: File) -> Iterator[str]:
    """Yield a table: columns that look the same in one row, documented metrics in one too."""
    roles = {place: role for role, place in file.roles.places.items()}
    groups: dict[tuple[str, str, str], list[int]] = {}
    for place, header in enumerate(file.sample.header):
        role, cells = roles.get(place, ""), [row[place] for row in file.sample.rows]
        kinds = label_shapes(cells) if role == "granularity" and cells else cell_kinds(cells, are_names=role in _NAMES)
        is_documented = header in file.metrics and not file.is_headless
        shown = "metrics, as documented" if is_documented else f"`{file.header(place)}`"
        groups.setdefault((shown, kinds, role), []).append(place + 1)
    yield "| columns | header | cells | is |"
    yield "|---|---|---|---|"
    for (shown, kinds, role), places in list(groups.items())[:_MAX_KINDS_OF_COLUMNS]:
        where = str(places[0]) if len(places) == 1 else f"{places[0]} and {len(places) - 1} more"
        yield f"| {where} | {shown} | {kinds} | {role} |"
    missing = sorted(file.metrics - set(file.sample.header))
    if missing and not (file.is_headless or REPORTS[file.report].legacy):  # whose headers are other words (seed 002)
        yield ""
        yield f"Documented metrics that are not there under their names: {', '.join(missing)}"
