"""Damage of a Parquet file: what its parser raises, as one error that names the object."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pyarrow as pa

from sei_provider.lake.errors import DamagedObjectError

MONTH = (
    "restore it from a backup or an older version of the object, or remove it and export its month again; other months "
    "and tables are not affected"
)
"""Advice about the damaged object of a month."""
STAGED = "clear the export task that it came from, so that it is exported again"
ASIDE = "restore it from a backup, or remove it"


@contextmanager
def parsing(path: object, advice: str = MONTH) -> Iterator[None]:
    """Raise what the parser of a Parquet file raises for a damaged one as `DamagedObjectError`."""
    try:
        yield
    except (pa.ArrowException, LookupError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise damaged_object(path, error, advice) from error
    except OSError as error:
        # pyarrow raises it without a number for damaged bytes; a disk or a store that fails has one, or its own class.
        if type(error) is not OSError or error.errno is not None:
            raise
        raise damaged_object(path, error, advice) from error


def damaged_object(path: object, cause: BaseException | None, advice: str = MONTH) -> DamagedObjectError:
    """Return the error for an object whose parser raised `cause`."""
    return DamagedObjectError(f"{path} is damaged and cannot be read ({cause}): {advice}")
