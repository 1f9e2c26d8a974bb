"""Publish in a process of its own, which can pause between reading a month and putting it."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from unittest.mock import patch

from filelock import FileLock, Timeout
from stores import open_store
from upath import UPath

from sei_provider import lake
from sei_provider.lake.tables import publish as publishing
from sei_provider.lake.tables import table as tables


def publish(task):
    """Publish what `task` names: name, store, endpoint, lake, manifests, signals, pause, published_at.

    Creates `<signals>/<its name>.read` after reading the first month and, if it is told to pause, waits for
    `<signals>/go`. Creates `….blocked` if it finds the table locked, and `….done` at its end.
    """
    signals = Path(task["signals"])
    put_month, locked = tables.put_month, publishing.locked
    paused = []

    def put_after_a_pause(*args, **kwargs):
        (signals / f"{task['name']}.read").touch()
        if task["pause"] and not paused:
            paused.append(True)
            until = time.monotonic() + 60
            while not (signals / "go").exists() and time.monotonic() < until:
                time.sleep(0.01)
        put_month(*args, **kwargs)

    @contextmanager
    def say_if_locked(folder):
        if folder.protocol in {"", "file"}:
            try:
                FileLock(Path(folder.parent.path) / "_schemas" / f"{folder.name}.lock").acquire(
                    timeout=0
                ).lock.release()
            except Timeout:
                (signals / f"{task['name']}.blocked").touch()
        with locked(folder):
            yield

    on_disk = task["store"] == "disk"
    root = UPath(task["lake"]) if on_disk else open_store(task["store"], task["endpoint"], task["lake"])
    with patch.object(tables, "put_month", put_after_a_pause), patch.object(publishing, "locked", say_if_locked):
        lake.publish(root, task["manifests"], published_at=datetime.fromisoformat(task["published_at"]))
    (signals / f"{task['name']}.done").touch()
