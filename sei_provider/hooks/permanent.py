"""Permanent errors in tasks of one's own: Airflow retries nothing that a person has to correct."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowFailException  # whose place differs between 3.1 and 3.3

from sei_provider.api.errors import SeiError
from sei_provider.lake.errors import LakeError


@contextmanager
def no_retry_if_permanent() -> Iterator[None]:
    """Raise a permanent error of SEI or the lake as `AirflowFailException`, so that the task gets no retry."""
    try:
        yield
    except (SeiError, LakeError) as error:
        if not error.is_permanent:
            raise
        raise AirflowFailException(str(error)) from error
