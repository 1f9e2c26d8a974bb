"""Bounds of what the lake takes. Each is checked where a file or a slice would pass it, so others land all the same."""

from __future__ import annotations

MAX_COLUMNS = 10_000
"""Columns of a file, and of a table: the footer of a month describes each column of each of its row groups."""
MAX_FOOTER_BYTES = 64 << 20
"""Bytes of team paths, periods and sprints in one footer: of a staged file, or of a month with its ledger. Parquet
readers refuse footers from 100 MB on."""
MAX_HIERARCHY_LEVELS = 200
"""Levels of a team's hierarchy, and slashes in it: twice as many as an org tree may have. What lies above a team is
walked level by level, so one cell of a megabyte of slashes would take a terabyte."""
MAX_HIERARCHY_CHARS = 20_000
"""Characters of a team's hierarchy: each of its levels is a text of its own."""
MAX_ROWS_ASIDE = 1_000_000
"""Rows of one export that go to quarantine: each is looked at by itself, so a file of them alone would take a worker a
day."""
