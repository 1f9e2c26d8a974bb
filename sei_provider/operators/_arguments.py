"""Arguments of operators: what is checked when a DAG is read, and what only once templates are rendered."""

from __future__ import annotations

import ast
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

from airflow.providers.common.compat.sdk import AirflowFailException, conf  # whose place differs between 3.1 and 3.3

from sei_provider.api.errors import SeiError, SeiInputError
from sei_provider.api.reports import REPORTS
from sei_provider.api.validation import normalize_choice, quoted
from sei_provider.lake.errors import LakeError
from sei_provider.lake.model import checked_table_name
from sei_provider.lake.storage.address import normalize_address

Check = Callable[[str, Any], object]
"""Takes an argument's name and value, and raises `SeiInputError` or a `LakeError` for a wrong value."""
_LONGEST = timedelta(days=365)
_DEFAULT_DEFERRABLE = "AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE"


class SeiArgumentError(SeiInputError, AirflowFailException):
    """An argument is wrong: an import error where a DAG is read; no retry where a mapped task gets it at run time."""


@contextmanager
def argument_errors() -> Iterator[None]:
    """Raise a permanent error of the block as `SeiArgumentError`."""
    try:
        yield
    except (SeiError, LakeError) as error:
        if isinstance(error, SeiArgumentError) or not error.is_permanent:
            raise
        raise SeiArgumentError(str(error)) from error


def normalize_report(name: object) -> str:
    """Return a report's name as SEI's documents spell it. Raises `SeiArgumentError` for an unknown one."""
    with argument_errors():
        return normalize_choice("report", name, REPORTS)


def is_template(value: object) -> bool:
    """Tell whether a value of a templated argument is known only at run time: a template, an XCom, a mapped value."""
    if isinstance(value, str):
        return any(mark in value for mark in ("{{", "{%", "{#"))
    if isinstance(value, Mapping):
        return any(map(is_template, [*value, *value.values()]))
    if isinstance(value, list | tuple | set | frozenset):
        return any(map(is_template, value))
    # XComs, mapped values and DAG parameters; functions and objects that Airflow renders itself.
    return hasattr(value, "iter_references") or hasattr(value, "template_fields") or callable(value)


def check_place(name: str, value: object) -> None:
    """Raise an error unless `value` is the place of a lake: an absolute path, or the address of a store."""
    if isinstance(value, bytes) or not (isinstance(value, str) or hasattr(value, "__fspath__") or _is_upath(value)):
        msg = f"{name} must be a path like /data/lake or an address like s3://conn@bucket/lake, not {quoted(value)}"
        raise SeiInputError(msg)
    normalize_address(str(value))


def check_seconds(name: str, value: object, *, least: float = 0, above: bool = False) -> float:
    """Return seconds given as a number or a timedelta, up to a year. Raises `SeiInputError` for anything else."""
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, int | float) and not isinstance(value, bool):
        seconds = float(value) if value <= _LONGEST.total_seconds() else math.inf
    else:
        seconds = math.nan
    if not (least < seconds if above else least <= seconds) or seconds > _LONGEST.total_seconds():
        bound = f"more than {least:g}" if above else f"{least:g} or more"
        msg = f"{name} must be seconds as a number ({bound}, up to a year) or a timedelta, not {quoted(value)}"
        raise SeiInputError(msg)
    return seconds


def check_flag(name: str, value: object) -> None:
    """Raise `SeiInputError` unless `value` is True or False: the text "false" would count as true."""
    if not isinstance(value, bool):
        msg = f"{name} must be True or False, not {quoted(value)}"
        raise SeiInputError(msg)


def check_count(name: str, value: object) -> None:
    """Raise `SeiInputError` unless `value` is a whole number from 1 on."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        msg = f"{name} must be a whole number from 1 on, not {quoted(value)}"
        raise SeiInputError(msg)


def check_factor(name: str, value: object) -> None:
    """Raise `SeiInputError` unless `value` is a finite number from 1 on."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not 1 <= value <= sys.float_info.max:
        msg = f"{name} must be a number, 1 or more, not {quoted(value)}"
        raise SeiInputError(msg)


def check_words(name: str, value: object) -> None:
    """Raise `SeiInputError` unless `value` is a list of texts, none of them blank; it may be empty."""
    if not isinstance(value, list | tuple | set | frozenset) or not all(
        isinstance(w, str) and w.strip() for w in value
    ):
        msg = f"{name} must be a list of words, not {quoted(value)}"
        raise SeiInputError(msg)


def check_text(name: str, value: object) -> None:
    """Raise `SeiInputError` unless `value` is text that is not blank."""
    if not isinstance(value, str) or not value.strip():
        msg = f"{name} must be text, and not empty, not {quoted(value)}"
        raise SeiInputError(msg)


def check_table(name: str, value: object) -> None:
    """Raise `SeiInputError` unless `value` is text, and `TableNameError` unless it can name a table."""
    check_text(name, value)
    checked_table_name(str(value))


def check_names(name: str, value: object) -> None:
    """Raise `SeiInputError` unless `value` is a list of texts; an empty one would be taken for "all"."""
    if not isinstance(value, list | tuple | set | frozenset) or not value or not all(isinstance(n, str) for n in value):
        msg = f"{name} must be a list of names, not {quoted(value)}; leave it out for all"
        raise SeiInputError(msg)


def deferrable_by_default() -> bool:
    """Return what `[operators] default_deferrable` says, True if it says nothing.

    Airflow's own `false` counts as nothing, because Airflow writes it into every new `airflow.cfg`.
    """
    is_airflows_own = conf.get("operators", "default_deferrable") == "false" and _DEFAULT_DEFERRABLE not in os.environ
    return is_airflows_own or conf.getboolean("operators", "default_deferrable")


def optional(check: Check) -> Check:
    """Return a check that lets None pass."""
    return lambda name, value: None if value is None else check(name, value)


def one_of(*allowed: str) -> Check:
    """Return a check that raises `SeiInputError` for all but these words."""

    def check(name: str, value: object) -> None:
        if value not in allowed:
            msg = f"{name}={quoted(value)} is unknown; use one of {', '.join(allowed)}"
            raise SeiInputError(msg)

    return check


def listed_headers(value: Any) -> list[str]:
    """Return a list of headers from a list, or from a template that was rendered to text: JSON, Python, or one header.

    Raises `SeiInputError` for anything else.
    """
    found = value or []
    if isinstance(value, str) and value:
        found = [value]
        for parse in (json.loads, ast.literal_eval):
            with suppress(ValueError, SyntaxError):
                found = parse(value)
                break
    if isinstance(found, str):
        found = [found]
    if not isinstance(found, Sequence | set | frozenset) or not all(isinstance(header, str) for header in found):
        msg = f"personal_columns must be a list of SEI's headers, got {type(value).__name__}"
        raise SeiInputError(msg)
    return list(found)


def request_arguments(names: Sequence[str], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of these names that every request carries, as a request takes them."""
    asked = {name: arguments.get(name) for name in names}
    return asked | {"options": parsed_options(asked["options"])}


def any_options(report: object) -> dict[str, list[str]]:
    """Return options that a report needs, in place of those that are known only at run time."""
    return {name: ["…"] for name in REPORTS[normalize_report(report)].required_options}


def parsed_options(value: Any) -> Any:
    """Return options from a mapping, or from a template that was rendered to text: JSON, or Python's form of a dict.

    A list in them may be such text too, as `{{ var.value.sei_issue_statuses }}` gives it. Raises `SeiInputError` for
    text that is neither.
    """
    if isinstance(value, Mapping):
        return {name: _parsed(each) if _is_text_of_list(each) else each for name, each in value.items()}
    if not isinstance(value, str):
        return value
    if value.strip() in {"", "None", "null"}:
        return None
    found = _parsed(value)
    if not isinstance(found, Mapping):
        msg = f"options must be a mapping of names and values, not {quoted(value)}"
        raise SeiInputError(msg)
    return parsed_options(found)


def _is_text_of_list(value: object) -> bool:
    return isinstance(value, str) and value.strip().startswith("[") and value.strip().endswith("]")


def _parsed(text: str) -> Any:
    """Return what a text of JSON or Python means; the text itself if it is neither."""
    for parse in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            return parse(text.strip())
    return text


def _is_upath(value: object) -> bool:
    return hasattr(value, "protocol") and hasattr(value, "joinpath")
