"""How many cases a generated test tries: few in `make test`, as many as asked in `make fuzz`."""

from __future__ import annotations

import os


def examples(few: int) -> int:
    """Return `few`, or what `make fuzz` asks for."""
    return int(os.environ.get("SEI_FUZZ_EXAMPLES", few))
