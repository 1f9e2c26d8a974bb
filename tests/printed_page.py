"""A page of the docs with a part that a module of the tests prints: `--write` writes it anew, and a test holds it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_DOCS = Path(__file__).parents[1] / "docs"
_ENDS = "<!-- end of it -->"


@dataclass(frozen=True)
class PrintedPage:
    """The page, and the module's file as the page names it."""

    name: str
    printed_by: str

    def read(self) -> str:
        """Return the page as it is."""
        return (_DOCS / self.name).read_text(encoding="utf-8")

    def with_part(self, new: str) -> str:
        """Return the page with another printed part."""
        begins = f"<!-- printed by {self.printed_by} -->"
        before, _, rest = self.read().partition(begins)
        return f"{before}{begins}\n\n{new}\n\n{_ENDS}{rest.partition(_ENDS)[2]}"

    def main(self, part: Callable[[], str]) -> None:
        """Print the part, or write it into the page."""
        if "--write" in sys.argv:
            (_DOCS / self.name).write_text(self.with_part(part()), encoding="utf-8")
        else:
            print(part())  # noqa: T201 - its purpose
