"""Policy for personal data of a table that an older version wrote, which did not record one."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

import pyarrow.compute as pc

from sei_provider.lake.columns import personal_columns
from sei_provider.lake.parquet import read_rows
from sei_provider.lake.storage.store import read
from sei_provider.lake.tables.layout import object_path
from sei_provider.lake.tables.schema import PERSONAL_DATA, TableSchema
from sei_provider.lake.tables.table import Snapshot

_HASH = re.compile("[0-9a-f]{64}")


def with_stored_policy(before: Snapshot) -> TableSchema:
    """Return the schema of a table with the policy that its rows tell: `keep`, or `hash` under a key that is not known.

    It stays as it is if a policy is recorded, or if no row names a person.
    """
    schema = before.schema
    if not schema.definition or schema.definition.get(PERSONAL_DATA):
        return schema
    own = sorted(personal_columns(str(schema.definition.get("report"))) & schema.typed.keys())
    for month, footer in before.footers(before.months if own else ()).items():
        names = [name for name in own if footer.schema is not None and name in footer.schema.names]
        rows = read(object_path(before.folder, month), partial(read_rows, columns=names))
        values = {text for name in names if rows is not None for text in pc.unique(rows[name]).to_pylist() if text}
        if values:
            policy = "hash" if all(map(_HASH.fullmatch, values)) else "keep"
            return replace(schema, definition={**schema.definition, PERSONAL_DATA: policy})
    return schema
