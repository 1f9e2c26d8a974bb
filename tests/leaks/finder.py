"""Looks for the key, a signature and an address in all that a real Airflow leaves behind."""

from __future__ import annotations

import io
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Self

import psutil
import pyarrow.parquet as pq

from tests.api.hostile_answers import leaks

_PIECE, _OVERLAP = 20_000, 2_000
Places = dict[str, set[str]]
"""Place → what was found there."""


class Finder:
    """Searches a database, folders and the processes; `looked_at` counts what each place held."""

    def __init__(self, database: Path, folders: dict[str, Path]) -> None:
        self._database = database
        self._folders = folders
        self._seen: set[int] = set()
        self.looked_at: Counter[str] = Counter()
        self.found: Places = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End watching, then look at everything once more."""
        if not self._over.is_set():
            self._over.set()
            self._thread.join()
            self.look()

    def _watch(self) -> None:
        while not self._over.wait(0.5):
            with suppress(sqlite3.Error, psutil.Error):  # locked just now; ended just now
                self._look_at(self._tables({"trigger", "task_instance", "xcom"}))
                self._look_at(self._processes())
                self._look_at(self._files("temporary"))

    def look(self) -> None:
        """Look at every place."""
        self._look_at(self._tables(None))
        self._look_at(self._processes())
        for name in self._folders:
            self._look_at(self._files(name))

    def _look_at(self, places: Iterator[tuple[str, str]]) -> None:
        for place, text in places:
            self.looked_at[place] += 1
            for at in range(0, max(len(text), 1), _PIECE - _OVERLAP):
                piece = text[at : at + _PIECE]
                if hash(piece) in self._seen:
                    continue
                if found := leaks(piece):
                    self.found.setdefault(place, set()).update(found)
                else:
                    self._seen.add(hash(piece))

    def _tables(self, wanted: set[str] | None) -> Iterator[tuple[str, str]]:
        with closing(sqlite3.connect(f"file:{self._database}?mode=ro", uri=True, timeout=30)) as database:
            names = [row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            for name in names if wanted is None else wanted.intersection(names):
                for row in database.execute(f'SELECT * FROM "{name}"').fetchall():  # noqa: S608 - its own tables
                    text = "\n".join(
                        cell.decode("latin-1") if isinstance(cell, bytes) else str(cell) for cell in row if cell
                    )
                    yield f"table {name}", text

    def _processes(self) -> Iterator[tuple[str, str]]:
        # Those of this test, because somebody else's command line on the machine may hold the same made-up key.
        for process in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):  # ended just now
                yield "ps", "\n".join(process.cmdline())

    def _files(self, name: str) -> Iterator[tuple[str, str]]:
        for path in sorted(self._folders[name].rglob("*")):
            try:
                content = path.read_bytes() if path.is_file() else b""
            except OSError:  # gone meanwhile
                continue
            place = f"{name}: {path.suffix or path.name}" if name == "lake" else name
            yield place, f"{path}\n{content.decode('latin-1')}"
            if len(content) > 2 * len(b"PAR1") and content.startswith(b"PAR1") and content.endswith(b"PAR1"):
                table = pq.read_table(io.BytesIO(content))
                yield place, f"{table.schema.metadata}\n{table.to_pylist()}"
