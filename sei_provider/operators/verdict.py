"""Which errors another try may get past, and which it would meet again: the one rule for all tasks.

Knows the errors of `api` and `lake` and nothing else; what Airflow makes of the verdict is `base`'s part.
"""

from __future__ import annotations

from http import HTTPStatus

from sei_provider.api.errors import (
    SeiAuthError,
    SeiBadRequestError,
    SeiDownloadError,
    SeiError,
    SeiInputError,
    SeiNotFoundError,
)
from sei_provider.api.watch import is_everybodys_error
from sei_provider.lake.errors import BodyError, CsvError, PersonalDataError, TooLargeError, UnsupportedStoreError

_FINAL = (
    SeiInputError,
    SeiBadRequestError,
    SeiNotFoundError,
    CsvError,
    TooLargeError,
    PersonalDataError,
    UnsupportedStoreError,
)


def is_final(error: BaseException) -> bool:
    """Whether the next try would meet this error again, until a person corrects something.

    Final are: what is refused before any call, what SEI refuses, a key that it refuses, and a name that it does not
    know; a file that is too large, and a row or header that does not fit its table, since the export is complete and
    would give the same file again; a lake or a use of personal data that is wrongly set up. An HTML page with a status
    of success is not: a gateway sends such pages too (CONTRACT row 24). Nor is an answer that makes no sense.

    Of an export that was made `SeiNotFoundError` means something else: it is gone, and the next try makes another.
    """
    if isinstance(error, SeiAuthError):
        return error.status >= HTTPStatus.MULTIPLE_CHOICES
    return isinstance(error, _FINAL)


def spoils_all(error: BaseException) -> bool:
    """Whether an error met with one scope would come with every other: it is the key's, the lake's or this machine's.

    It ends the task, so that a full disk does not read like a hundred exports gone wrong.
    """
    if isinstance(error, SeiError):
        return is_everybodys_error(error)
    return not isinstance(error, BodyError | CsvError)


def spoils_export(error: BaseException, *, again: bool) -> bool:
    """Whether an export whose file gave this error is of no use to the next try, which is then to make another.

    It is so if the file is gone, or does not fit its table; or is broken for the second time (`again`), since what was
    broken once may have been so on its way.
    """
    if isinstance(error, BodyError | SeiDownloadError):
        return again
    return isinstance(error, SeiNotFoundError | CsvError)
