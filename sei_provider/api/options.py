"""The options of a request: what users give in `options`, by documented name, validated. Knows no request."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from collections.abc import Set as AbstractSet
from typing import Any

from sei_provider.api.errors import SeiInputError
from sei_provider.api.report import Option, Report
from sei_provider.api.reports import REPORTS
from sei_provider.api.validation import normalize_choice, quoted

MANAGER = "managerEmailId"
"""A scope that efficiency documents, and that is never taken."""
_ARGUMENTS = {
    "aggregation": "aggregation",
    "computationMode": "computation_mode",
    "metricLevel": "level",
    "aggregationLevel": "level",
    "granularity": "granularity",
    "metricGroups": "metric_groups",
    "metrics": "metrics",
    "scope": "scopes",
    "dateRange": "start and end",
    "format": None,
}
"""Members of the body that have an argument of their own; the format has none."""
_FOLDED_ARGUMENTS = {name.casefold(): argument for name, argument in _ARGUMENTS.items()}


def names_manager(name: object) -> bool:
    """Tell whether a name is that of efficiency's scope by manager, in any case."""
    return isinstance(name, str) and name.strip().casefold() == MANAGER.casefold()


def names_manager_anywhere(scope: object) -> bool:
    """Tell whether a scope, also one rendered to text, names a manager."""
    if isinstance(scope, Mapping):
        return any(map(names_manager, scope))
    return isinstance(scope, str) and MANAGER.casefold() in scope.casefold()


def refuse_manager() -> SeiInputError:
    """Return the error for a scope by manager; it does not show the address."""
    msg = (
        f"{MANAGER} is not taken: it is a person's e-mail address, and Airflow stores the arguments of tasks in plain "
        "text, in its database and in its web pages; name the manager's team by teamId instead"
    )
    return SeiInputError(msg)


def check_option_names(report: Report, options: object) -> None:
    """Raise `SeiInputError` if options are no mapping, or one has an argument of its own, or is another report's."""
    if options is None:
        return
    if not isinstance(options, Mapping):
        msg = f"options must be a mapping of names and values, not {quoted(options)}"
        raise SeiInputError(msg)
    for name in options:
        if names_manager(name):
            raise refuse_manager()
        folded = name.strip().casefold() if isinstance(name, str) else ""
        if folded in _FOLDED_ARGUMENTS:
            argument = _FOLDED_ARGUMENTS[folded]
            hint = f"use the argument {argument}" if argument else "the format is always CSV"
            msg = f"options must not hold {name!r}: {hint}"
            raise SeiInputError(msg)
        owners = [each.name for each in REPORTS.values() if folded in map(str.casefold, each.options or ())]
        if report.options is None and owners:
            msg = f"{report.name} does not take the option {name!r}, which {' and '.join(owners)} takes"
            raise SeiInputError(msg)


def normalize_options(
    report: Report, options: Mapping[str, Any] | None, groups: Collection[str], metrics: Collection[str]
) -> dict[str, Any]:
    """Return the options in documented spelling; an option that is None is left out.

    Raises `SeiInputError` for one that the report does not take, a value that it does not allow, one that is missing,
    or one without the metric group that it belongs to.
    """
    if report.options is None:
        return dict(options or {})
    found: dict[str, Any] = {}
    for name, value in (options or {}).items():
        known = _known_name(report, name, value)
        if known in found:
            msg = f"options name {known} twice; give it once"
            raise SeiInputError(msg)
        if value is not None:
            found[known] = _normalize(report, known, report.options[known], value)
    for name, option in report.options.items():
        if option.required and name not in found:
            msg = f"a {report.name} export needs the option {name}: write {_example(name, option)}"
            raise SeiInputError(msg)
        if name in found and option.group and not _has_group(option.group, groups, metrics):
            asked = ", ".join([*groups, *metrics])
            msg = f"{name} goes with the metric group {option.group} only; request that group too (got {asked})"
            raise SeiInputError(msg)
    return found


def place_options(report: Report, options: Mapping[str, Any], place: str) -> dict[str, Any]:
    """Return the options that stand in one place of the body."""
    known = report.options
    if known is None:
        return dict(options) if place == "options" else {}
    return {name: value for name, value in options.items() if known[name].place == place}


def _known_name(report: Report, name: object, value: object) -> str:
    known = {each.casefold(): each for each in report.options or ()}
    found = known.get(name.strip().casefold()) if isinstance(name, str) else None
    if found is None:
        taken = ", ".join(f"{each} ({_allowed(option)})" for each, option in (report.options or {}).items()) or "none"
        msg = f"{report.name} does not take the option {quoted(name)} with {quoted(value)}; it takes: {taken}"
        raise SeiInputError(msg)
    return found


def _normalize(report: Report, name: str, option: Option, value: object) -> Any:
    if option.kind == "flag":
        if not isinstance(value, bool):
            raise _wrong(report, name, option, value)
        return value
    if option.kind == "name":
        return _normalize_name(report, name, option, value)
    if not isinstance(value, list | tuple | AbstractSet) or not value:
        raise _wrong(report, name, option, value)
    names = dict.fromkeys(_normalize_name(report, name, option, each) for each in value)
    if option.alone in names and len(names) > 1:
        msg = f"{name} is {option.alone} alone, or others without it; got {quoted(value)}"
        raise SeiInputError(msg)
    if option.choices:
        return [choice for choice in option.choices if choice in names]
    return sorted(names) if isinstance(value, AbstractSet) else list(names)


def _normalize_name(report: Report, name: str, option: Option, value: object) -> str:
    if not isinstance(value, str) or not value.strip() or not value.isprintable():
        raise _wrong(report, name, option, value)
    return normalize_choice(name, value, option.choices, report) if option.choices else value


def _wrong(report: Report, name: str, option: Option, value: object) -> SeiInputError:
    msg = (
        f"{report.name} does not take the option {name!r} with {quoted(value)}; it takes: {name} ({_allowed(option)}), "
        f"as in {_example(name, option)}"
    )
    return SeiInputError(msg)


def _allowed(option: Option) -> str:
    if option.kind == "flag":
        return "true or false"
    choices = ", ".join(option.choices) or "text"
    return f"a list of: {choices}" if option.kind == "names" else f"one of: {choices}"


def _example(name: str, option: Option) -> str:
    value: object = option.kind == "flag" or (option.choices or ("In Progress", "In Review"))[0]
    if option.kind == "names":
        value = [option.choices[0]] if option.choices else ["In Progress", "In Review"]
    return f"options={{'{name}': {value!r}}}"


def _has_group(group: str, groups: Collection[str], metrics: Collection[str]) -> bool:
    """Tell whether a group is requested, or a single metric of it, which begin with its name (`LTTC_Mean_Days`)."""
    return group in groups or any(metric.casefold().partition("_")[0] == group for metric in metrics)
