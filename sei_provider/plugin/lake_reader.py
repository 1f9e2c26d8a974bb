"""Lake of the page: the one that the Variable `sei_lake` names, as far as the API server can read it."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import BoundedSemaphore, Thread
from time import monotonic
from typing import TYPE_CHECKING, TypeVar

from sei_provider.plugin.redaction import redacted

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from sei_provider.lake.storage.backend import LakePath
    from sei_provider.lake.tables.coverage_grid import CoverageGrid
    from sei_provider.lake.tables.coverage_summary import CoverageSummary

VARIABLE = "sei_lake"
_PATIENCE = 10.0
"""Seconds that a page waits for the store in all. The store's own limits are longer, because publish has time."""
_TURN = 1.0
"""Seconds that a page waits for a thread while all of them read."""
_READING = 8
_free = BoundedSemaphore(_READING)
_Result = TypeVar("_Result")


@dataclass(slots=True)
class LakeReader:
    """Read the summaries of one lake for one page. What cannot be read is told in `trouble` and raises nothing."""

    root: LakePath | None = None
    trouble: list[str] = field(default_factory=list)
    """Sentences for the page that say what could not be read, and why, without secrets."""
    _address: str = ""
    _until: float = field(default_factory=lambda: monotonic() + _PATIENCE)

    @classmethod
    def open(cls) -> LakeReader:
        """Open the lake that the Variable `sei_lake` names."""
        from airflow.sdk import Variable

        from sei_provider.hooks.lake import open_lake

        reader = cls()
        try:
            reader._address = address = str(Variable.get(VARIABLE, default="") or "").strip()
        except Exception as error:  # noqa: BLE001 - each backend of secrets raises its own
            reader._tell(f"The Variable {VARIABLE} cannot be read", error)
            return reader
        if not address:
            reader.trouble.append(f"The Variable {VARIABLE} names no lake, so only months can be shown, not scopes.")
            return reader
        try:
            reader.root = reader._ask(lambda: open_lake(address))
        except Exception as error:  # noqa: BLE001 - a provider that is not installed, a connection that is not there
            reader._tell(f"The lake of the Variable {VARIABLE} cannot be opened", error)
        return reader

    @property
    def place(self) -> str:
        """The lake's address without its connection; empty if it is not open."""
        return "" if self.root is None else redacted(self.root, self._address)

    def tables(self) -> list[str]:
        """Return the tables that have a summary; a file that somebody else put there is passed over."""
        from sei_provider.lake.model import is_table_name
        from sei_provider.lake.tables.coverage_summary import summarized_tables

        if (root := self.root) is None:
            return []
        try:
            return [name for name in self._ask(lambda: summarized_tables(root)) if is_table_name(name)]
        except Exception as error:  # noqa: BLE001 - each SDK of a store raises its own
            self._give_up(error)
            return []

    def coverage(
        self, table: str, today: date, *, details: bool = False
    ) -> tuple[CoverageSummary, CoverageGrid] | tuple[None, None]:
        """Return the summary of a table, with what describes each export if `details`, and its grid as of a day (UTC).

        Both are None if it cannot be read.
        """
        from sei_provider.lake.tables.coverage_grid import coverage_grid
        from sei_provider.lake.tables.coverage_summary import GRID_COLUMNS, read_summary

        if (root := self.root) is None:
            return None, None
        try:
            found = self._ask(lambda: read_summary(root, table, columns=None if details else GRID_COLUMNS))
            if found is not None:
                return found, coverage_grid(found, today=today)
        except TimeoutError as error:  # the next table would hold the page as long
            self._give_up(error)
        except Exception as error:  # noqa: BLE001 - each SDK of a store raises its own
            self._tell(f"The API server cannot read the coverage summary of {table}", error)
        else:
            self.trouble.append(
                f"The lake {self.place} has no coverage summary of {table}. The next publish into it, or the DAG "
                "sei_maintenance, writes one."
            )
        return None, None

    def holds(self, place: str) -> bool:
        """Return whether a path lies in this lake."""
        return self.root is not None and place.startswith(f"{self.root}".rstrip("/") + "/")

    def _ask(self, call: Callable[[], _Result]) -> _Result:
        """Call the store on one of a few threads of the page's own. Raises `TimeoutError` if that takes too long.

        All routes of the API server share their threads, so pages of a store that hangs must not hold many for long.
        """
        slow = f"its store has not answered within {_PATIENCE:.0f} seconds"
        if monotonic() >= self._until:
            raise TimeoutError(slow)
        if not _free.acquire(timeout=_TURN):
            msg = f"{_READING} other pages are already waiting for its store"
            raise TimeoutError(msg)
        answer: Future[_Result] = Future()

        def work() -> None:
            try:
                answer.set_result(call())
            except Exception as error:  # noqa: BLE001 - raised where the answer is awaited
                answer.set_exception(error)
            finally:
                _free.release()

        try:
            Thread(target=work, name="sei-coverage", daemon=True).start()
        except RuntimeError:  # the process has no thread left
            _free.release()
            raise
        try:
            return answer.result(timeout=max(0, self._until - monotonic()))
        except TimeoutError:
            if answer.done():
                raise
            raise TimeoutError(slow) from None

    def _give_up(self, error: Exception) -> None:
        self.root = None
        self._tell(f"The API server cannot read the lake of the Variable {VARIABLE}", error)

    def _tell(self, what: str, error: Exception) -> None:
        self.trouble.append(f"{what}: {redacted(str(error) or type(error).__name__, self._address)}")
