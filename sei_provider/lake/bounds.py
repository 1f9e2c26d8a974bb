"""Bounds of what the lake takes. Each is checked where a file or a slice would pass it, so others land all the same."""

from __future__ import annotations

MAX_COLUMNS = 10_000
"""Columns of a file, and of a table: the footer of a month describes each column of each of its row groups."""
MAX_FOOTER_BYTES = 64 << 20
"""Bytes of team paths, periods and sprints in one footer: of a staged file, or of a month with its ledger. Parquet
readers refuse footers from 100 MB on."""
