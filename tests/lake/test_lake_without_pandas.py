"""A task that stages or publishes does without pandas, which pyarrow imports where it is given Python values."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path


def test_staging_publishing_and_reading_import_neither_pandas_nor_arrows_query_engine(tmp_path):
    command = [sys.executable, str(Path(__file__).with_name("without_pandas.py")), str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"rows": 30, "asked for pandas": 0, "pyarrow.acero": False}
