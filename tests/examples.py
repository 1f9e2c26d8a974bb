"""How many cases a generated test tries: few in `make test`, as many as asked in `make fuzz`."""

from __future__ import annotations

import os

_EXAMPLES = "SEI_FUZZ_EXAMPLES"


def examples(few: int) -> int:
    """Return `few`, or what `make fuzz` asks for."""
    return int(os.environ.get(_EXAMPLES, few))


def is_fuzzing() -> bool:
    """Return whether this is `make fuzz`."""
    return _EXAMPLES in os.environ
