"""Answers of a survey's files and replies to each question that SEI's documents leave open (CONTRACT, marked [?]).

Every answer is made of fixed words and of what `shapes` lets through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from sei_provider.api.periods import WEEKDAYS
from sei_provider.api.reports import REPORTS
from sei_provider.api.request import LEVEL_FIELDS
from sei_provider.cli.place import SEPARATORS, Place
from sei_provider.cli.roles import Roles, find_roles
from sei_provider.cli.shapes import has_values_for_header, header_shape, is_told, label_shapes, own_days
from sei_provider.cli.survey import Sample, Survey

_NEEDS_FAILURE = "not tried: it takes an export that failed"
_UNKNOWN = "cannot be told"


class File:
    """The file of one sample, and the roles of its columns."""

    def __init__(self, sample: Sample, place: Place) -> None:
        self.sample = sample
        self.report = sample.request.report
        self.metrics = REPORTS[self.report].metrics(sample.request.level)
        self.is_headless = has_values_for_header(sample.header, place.names)
        self.roles: Roles = find_roles(
            sample.header,
            sample.rows,
            report=self.report,
            metrics=self.metrics,
            level=sample.request.level,
            names=place.names,
        )

    def cells(self, role: str) -> list[str]:
        """Return the cells of a dimension."""
        return self.roles.cells(role, self.sample.rows)

    def header(self, column: int) -> str:
        """Return a header as it may be told."""
        if self.is_headless:
            return "<a value, so the file has no header>"
        return header_shape(self.sample.header[column], self.report, self.metrics)

    def columns(self) -> dict[str, str]:
        """Return the entries of `columns=` that this file needs; a header that may not be told by its number."""
        named = {}
        for role in sorted(self.roles.guessed, key=self.roles.places.__getitem__):
            place = self.roles.places[role]
            told = not self.is_headless and is_told(self.sample.header[place], self.report, self.metrics)
            named[self.sample.header[place] if told else f"<header of column {place + 1}>"] = role
        return named


@dataclass(frozen=True)
class Findings:
    """Answers about one survey."""

    survey: Survey

    @cached_property
    def files(self) -> list[File]:
        """The files that came, in the order in which they were asked for."""
        return [File(sample, self.survey.place) for sample in self.survey.samples if sample.header]

    def answers(self) -> Iterator[tuple[str, str]]:
        """Yield each question with its answer."""
        yield "Is an export's `teamId` the `refId` of the org tree?", self._of_files(self._team_id)
        yield "Where does a team's hierarchy start?", self._of_files(self._hierarchy)
        yield "Which dates have rows?", self._of_files(_dates)
        yield "On which day does a week start?", self._of_files(_week_start)
        for granularity in ("daily", "weekly", "monthly", "quarterly", "sprint"):
            shapes = self._of_files(lambda file, asked=granularity: _labels(file, asked))  # type: ignore[misc]
            if shapes != _UNKNOWN:
                yield f"How is a period labelled, {granularity}?", shapes
        yield "Which field holds the level?", self._of_reports(self._level_field())
        facts = self.survey.facts
        yield (
            "What does an identical request get, at once?",
            self._of_reports({r: f.repeated for r, f in facts.items()}),
        )
        for question, name in (
            ("What does a create call answer?", "create"),
            ("How are statuses spelled?", "statuses"),
            ("Where is the download link, and of which kind?", "links"),
            ("What is the error of a failed export?", "errors"),
        ):
            found = self._of_reports({r: ", ".join(sorted(getattr(f, name))) for r, f in facts.items()})
            yield question, f"{_UNKNOWN}: no export failed" if (name, found) == ("errors", _UNKNOWN) else found
        yield (
            "How old is the oldest export of this key, and is it still there?",
            self._of_reports({r: f.oldest for r, f in facts.items()}),
        )
        yield (
            "How long was the longest range of this key's completed exports?",
            self._of_reports({r: f"{f.longest_days} days" if f.longest_days else None for r, f in facts.items()}),
        )
        yield "When does a request whose export failed get a new one?", _NEEDS_FAILURE

    def extras(self) -> dict[str, str]:
        """Return the connection's extras that fit, as far as they are not the defaults."""
        fields = set(self._level_field().values())
        starts = {_week_start(file) for file in self.files} & {name.capitalize() for name in WEEKDAYS}
        found = {}
        if fields == {f"`{LEVEL_FIELDS[1]}`"}:
            found["level_field"] = LEVEL_FIELDS[1]
        if len(starts) == 1 and (start := str(starts.pop()).lower()) != WEEKDAYS[0]:
            found["week_starts_on"] = start
        return found

    def columns(self) -> dict[str, dict[str, str]]:
        """Return the `columns=` that each report needs."""
        found: dict[str, dict[str, str]] = {}
        for file in self.files:
            for header, role in file.columns().items():
                named = found.setdefault(file.report, {})
                if role not in named.values():
                    named[header] = role
        return found

    def _team_id(self, file: File) -> str | None:
        name, teams = self.survey.place.name, file.cells("team")
        if not teams:
            return None
        if name is None:
            why = self.survey.trees_problem
            return f"{_UNKNOWN}: {f'the org trees were not read, {why}' if why else 'no org tree that was read has it'}"
        return "yes" if name in teams else "no, the rows are of other teams"

    def _hierarchy(self, file: File) -> str | None:
        place = self.survey.place
        pairs = list(zip(file.cells("team"), file.cells("team_hierarchy"), strict=False))
        found = {_start(place, path) for team, path in pairs if place.name in {None, team}}
        return ", ".join(sorted(found)) or None

    def _level_field(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for report in REPORTS.values():
            mine = [file.sample for file in self.files if file.report == report.name]
            first = [each for each in mine if each.level_field == LEVEL_FIELDS[0]]
            levels = {each.request.level: (each.header, each.rows) for each in reversed(first)}
            if len(levels) < 2 or not self.survey.reads_level(first[0]):  # noqa: PLR2004 - files to compare
                continue
            other = [each for each in mine if each.level_field == LEVEL_FIELDS[1]]
            if not _alike(list(levels.values())):
                found[report.name] = f"`{LEVEL_FIELDS[0]}`"
            elif other and not _alike([*levels.values(), (other[0].header, other[0].rows)]):
                found[report.name] = f"`{LEVEL_FIELDS[1]}`"
            else:
                found[report.name] = f"{_UNKNOWN}: files of all levels are alike"
        return found

    def _of_files(self, answer: Callable[[File], str | None]) -> str:
        by_report: dict[str, list[str]] = {}
        for file in self.files:
            if found := answer(file):
                by_report.setdefault(file.report, []).append(found)
        return self._of_reports({report: " and ".join(dict.fromkeys(said)) for report, said in by_report.items()})

    def _of_reports(self, answers: Mapping[str, str | None]) -> str:
        """Return answers with the reports that gave them."""
        reports: dict[str, list[str]] = {}
        for report, answer in answers.items():
            if answer:
                reports.setdefault(answer, []).append(report)
        return "; ".join(f"{answer} ({', '.join(of)})" for answer, of in reports.items()) or _UNKNOWN


def _alike(files: list[tuple[list[str], list[list[str]]]]) -> bool:
    return all(each == files[0] for each in files)


def _start(place: Place, hierarchy: str) -> str:
    """Return where a hierarchy starts, in fixed words."""
    if not place.path:
        return _UNKNOWN
    for separator in SEPARATORS:
        if len(place.path) > 1 and hierarchy == separator.join(place.path):
            return "at the tree's root" + ("" if separator == SEPARATORS[0] else f", joined by `{separator}`")
    if hierarchy == place.name:
        return "at the scope" if len(place.path) > 1 else f"{_UNKNOWN}: the team is its tree's root"
    if hierarchy in place.names:
        return "between the tree's root and the scope"
    return "elsewhere, or its names are others or joined otherwise"


def _dates(file: File) -> str | None:
    if not file.sample.rows or REPORTS[file.report].legacy:
        return None
    found = [name for name in ("start_date", "end_date") if name in file.roles.places]
    return {0: "none", 1: f"{found[0].replace('_', ' ')} only" if found else "", 2: "first and last day"}[len(found)]


def _week_start(file: File) -> str | None:
    request = file.sample.request
    if request.granularity.lower() != "weekly" or request.level == "sprint":  # whose rows start when sprints do
        return None
    starts = [cell for cell in file.cells("start_date") if cell > request.start.isoformat()]
    days = own_days(starts) or own_days(file.cells("granularity"))
    names = {WEEKDAYS[day.weekday()].capitalize() for day in days if day > request.start}
    return names.pop() if len(names) == 1 else f"{_UNKNOWN}: starts are of several weekdays" if names else None


def _labels(file: File, granularity: str) -> str | None:
    labels = file.cells("granularity")
    is_asked = file.sample.request.granularity.lower() == granularity
    return label_shapes(labels) if is_asked and labels else None
