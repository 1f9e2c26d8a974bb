"""Script: run the first try of an export task, whose state store is a file.

python -m tests.operators.chunk_task <lake> <state> <scope> …
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tests.operators.conftest import Task
from tests.tasks import TaskState


class StateFile(TaskState):
    """State store that outlives its process."""

    def __init__(self, file: Path) -> None:
        super().__init__(json.loads(file.read_text()) if file.exists() else {})
        self._file = file

    def set(self, key: str, value: Any) -> None:
        super().set(key, value)
        new = self._file.with_suffix(".new")
        new.write_text(json.dumps(self))
        new.replace(self._file)


if __name__ == "__main__":
    Task(Path(sys.argv[1]), state=StateFile(Path(sys.argv[2])), scopes=sys.argv[3:], timeout=100).run()
