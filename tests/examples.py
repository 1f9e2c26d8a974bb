"""Number of cases of a generated test: few in `make test`, fewer in `make check`, as many as asked in `make fuzz`."""

from __future__ import annotations

import os

_EXAMPLES = "SEI_FUZZ_EXAMPLES"
_PART = "SEI_EXAMPLES_PART"


def examples(few: int, *, costly: int = 1) -> int:
    """Return `few`, divided by what `make check` says; or what `make fuzz` asks for, of costly cases one in so many."""
    if is_fuzzing():
        asked = int(os.environ[_EXAMPLES])
        return asked if costly == 1 else max(few, asked // costly)
    return max(1, few // int(os.environ.get(_PART, "1")))


def is_fuzzing() -> bool:
    """Return whether this is `make fuzz`."""
    return _EXAMPLES in os.environ
