"""Secrets in arguments: a template can render one, and then it would travel into XComs, errors and names of files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import redact  # whose place differs between 3.1 and 3.3

from sei_provider.operators._arguments import SeiArgumentError

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator

_MASK = "***"
_LEAST = 10
"""Characters of a secret from which on it is refused. A shorter one may be a word that other arguments hold as well, as
the sandbox's key is."""
_RESULTS = frozenset({"staged", "published"})
"""Arguments that are XComs of our own tasks."""


def refuse_secrets(operator: BaseOperator) -> None:
    """Raise `SeiArgumentError` if a rendered argument holds what Airflow masks in logs, as a connection's password.

    Airflow masks these in logs and in rendered templates, but not in XComs, triggers and task states. The error does
    not show the value. Call this first, because other errors about arguments do.
    """
    for name in operator.template_fields:
        if name not in _RESULTS and any(map(_holds_secret, _texts(getattr(operator, name)))):
            msg = (
                f"{name} holds a secret, such as a connection's password, as {{{{ conn.….password }}}} renders it: "
                "XComs and errors would show it. No argument takes one: the connections that sei_conn_id= and lake= "
                "name hold what is needed"
            )
            raise SeiArgumentError(msg)


def _holds_secret(text: str) -> bool:
    masked = str(redact(text))
    count = masked.count(_MASK) - text.count(_MASK)
    return count > 0 and len(text) - len(masked) + count * len(_MASK) >= count * _LEAST


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str | PurePath):
        yield str(value)
    elif isinstance(value, Mapping):
        for each in (*value, *value.values()):
            yield from _texts(each)
    elif isinstance(value, list | tuple | set | frozenset):
        for each in value:
            yield from _texts(each)
