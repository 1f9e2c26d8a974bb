"""Names that others chose, made fit for a terminal or a log."""

from __future__ import annotations

import unicodedata

_UNSEEN = frozenset({"Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp"})
"""Categories of characters that steer a terminal, turn the direction of text, end a line, or show nothing."""


def printable(text: object) -> str:
    r"""Return a text on one line, in which what cannot be seen is written as in Python: `\x1b`, `\u202e`, `\n`."""
    return "".join(
        char.encode("unicode_escape").decode() if unicodedata.category(char) in _UNSEEN else char for char in str(text)
    )
