"""The number of generated cases of a test marked `fuzz`: few in `make test`, many in `make fuzz`."""

from __future__ import annotations

import os


def examples(default: int) -> int:
    """Return `SEI_FUZZ_EXAMPLES`, or `default` where it is not set, for `@settings(max_examples=examples(300))`."""
    return int(os.environ.get("SEI_FUZZ_EXAMPLES", default))
