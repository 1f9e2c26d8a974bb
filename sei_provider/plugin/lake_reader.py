"""Lake of the page: the one that the Variable `sei_lake` names, as far as the API server can read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sei_provider.lake.storage.backend import LakePath
    from sei_provider.lake.tables.coverage_summary import CoverageSummary

VARIABLE = "sei_lake"


@dataclass(slots=True)
class LakeReader:
    """Read the summaries of one lake. What cannot be read is told in `trouble` and raises nothing."""

    root: LakePath | None = None
    trouble: list[str] = field(default_factory=list)
    """Sentences for the page that say what could not be read, and why."""

    @classmethod
    def open(cls) -> LakeReader:
        """Open the lake that the Variable `sei_lake` names."""
        from airflow.sdk import Variable

        from sei_provider.hooks.lake import open_lake

        address = str(Variable.get(VARIABLE, default="")).strip()
        if not address:
            return cls(trouble=[f"The Variable {VARIABLE} names no lake, so only months can be shown, not scopes."])
        try:
            return cls(root=open_lake(address))
        except Exception as error:  # noqa: BLE001 - a provider that is not installed, a connection that is not there
            return cls(trouble=[f"The lake {address} of the Variable {VARIABLE} cannot be opened: {_said(error)}"])

    def tables(self) -> list[str]:
        """Return the tables that have a summary."""
        from sei_provider.lake.tables.coverage_summary import summarized_tables

        if self.root is None:
            return []
        try:
            return summarized_tables(self.root)
        except Exception as error:  # noqa: BLE001 - each SDK of a store raises its own
            self.root = None
            self.trouble.append(f"The API server cannot read the lake of the Variable {VARIABLE}: {_said(error)}")
            return []

    def summary(self, table: str, *, details: bool = False) -> CoverageSummary | None:
        """Return the summary of a table, with what describes each export if `details`; None if it cannot be read."""
        from sei_provider.lake.tables.coverage_summary import GRID_COLUMNS, read_summary

        if self.root is None:
            return None
        try:
            found = read_summary(self.root, table, columns=None if details else GRID_COLUMNS)
        except Exception as error:  # noqa: BLE001 - each SDK of a store raises its own
            self.trouble.append(f"The API server cannot read the coverage summary of {table}: {_said(error)}")
            return None
        if found is None:
            self.trouble.append(
                f"The lake {self.root} has no coverage summary of {table}. The next publish into it, or the DAG "
                "sei_maintenance, writes one."
            )
        return found

    def holds(self, place: str) -> bool:
        """Return whether a path lies in this lake."""
        return self.root is not None and place.startswith(f"{self.root}".rstrip("/") + "/")


def _said(error: Exception) -> str:
    return f"{str(error) or type(error).__name__}"[:500]
