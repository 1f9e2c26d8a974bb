"""Lake: stage the exports of SEI, publish them into tables, read the tables. Knows neither Airflow nor HTTP.

Functions that need Arrow are imported lazily: write `from sei_provider import lake` and `lake.stage(…)` in code that
Airflow's DAG processor imports (DESIGN, decision 18).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from sei_provider.lake.errors import (
    BodyError,
    ColumnsError,
    ConflictError,
    CsvError,
    DamagedObjectError,
    EmptyBodyError,
    HeaderError,
    LabelError,
    LakeAddressError,
    LakeError,
    NewerFormatError,
    NotCsvError,
    PersonalDataError,
    SchemaError,
    StagingError,
    StoreError,
    TableDefinitionError,
    TableNameError,
    TooLargeError,
    TooManyError,
    TruncatedError,
    UnknownColumnError,
    UnknownTableError,
    UnsupportedStoreError,
)
from sei_provider.lake.model import Manifest, Published, Slice, Superseded, TreeTeam, default_table

if TYPE_CHECKING:
    from sei_provider.lake.staging.developers import stage_developers
    from sei_provider.lake.staging.export_reader import FinishedExport
    from sei_provider.lake.staging.manifests import discard, resume, staged
    from sei_provider.lake.staging.org_trees import stage_teams
    from sei_provider.lake.staging.raw import keep
    from sei_provider.lake.staging.reading import reading_of
    from sei_provider.lake.staging.stage import stage, stage_chunk
    from sei_provider.lake.storage.store import lake_path
    from sei_provider.lake.tables.coverage import ScopeCoverage, coverage
    from sei_provider.lake.tables.erase import erase, unerase
    from sei_provider.lake.tables.erase_objects import Erased
    from sei_provider.lake.tables.freshness import Incomplete, incomplete
    from sei_provider.lake.tables.ledger import ledger
    from sei_provider.lake.tables.publish import publish
    from sei_provider.lake.tables.retire import retire
    from sei_provider.lake.tables.retype import Retyped, retype
    from sei_provider.lake.tables.stored_schema import has_table
    from sei_provider.lake.tables.table import read_table

__all__ = [
    "BodyError",
    "ColumnsError",
    "ConflictError",
    "CsvError",
    "DamagedObjectError",
    "EmptyBodyError",
    "Erased",
    "FinishedExport",
    "HeaderError",
    "Incomplete",
    "LabelError",
    "LakeAddressError",
    "LakeError",
    "Manifest",
    "NewerFormatError",
    "NotCsvError",
    "PersonalDataError",
    "Published",
    "Retyped",
    "SchemaError",
    "ScopeCoverage",
    "Slice",
    "StagingError",
    "StoreError",
    "Superseded",
    "TableDefinitionError",
    "TableNameError",
    "TooLargeError",
    "TooManyError",
    "TreeTeam",
    "TruncatedError",
    "UnknownColumnError",
    "UnknownTableError",
    "UnsupportedStoreError",
    "coverage",
    "default_table",
    "discard",
    "erase",
    "has_table",
    "incomplete",
    "keep",
    "lake_path",
    "ledger",
    "publish",
    "read_table",
    "reading_of",
    "resume",
    "retire",
    "retype",
    "stage",
    "stage_chunk",
    "stage_developers",
    "stage_teams",
    "staged",
    "unerase",
]

_LOADED_WHEN_NAMED = {
    "Erased": "tables.erase_objects",
    "FinishedExport": "staging.export_reader",
    "Incomplete": "tables.freshness",
    "Retyped": "tables.retype",
    "ScopeCoverage": "tables.coverage",
    "coverage": "tables.coverage",
    "discard": "staging.manifests",
    "erase": "tables.erase",
    "incomplete": "tables.freshness",
    "has_table": "tables.stored_schema",
    "keep": "staging.raw",
    "lake_path": "storage.store",
    "ledger": "tables.ledger",
    "publish": "tables.publish",
    "read_table": "tables.table",
    "reading_of": "staging.reading",
    "resume": "staging.manifests",
    "retire": "tables.retire",
    "retype": "tables.retype",
    "stage": "staging.stage",
    "stage_chunk": "staging.stage",
    "stage_developers": "staging.developers",
    "stage_teams": "staging.org_trees",
    "staged": "staging.manifests",
    "unerase": "tables.erase",
}


def __getattr__(name: str) -> Any:
    if name not in _LOADED_WHEN_NAMED:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_LOADED_WHEN_NAMED[name]}"), name)
