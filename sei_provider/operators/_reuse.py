"""Exports that SEI gives back: an identical request within 30 minutes is the same export (CONTRACT, "Reuse")."""

from __future__ import annotations

import logging
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from sei_provider import lake as sei_lake
from sei_provider.operators._staging import table_of
from sei_provider.plural import plural
from sei_provider.triggers.export import few

if TYPE_CHECKING:
    from sei_provider.api.export import Export
    from sei_provider.api.request import ExportRequest
    from sei_provider.operators._state import BatchState, TaskCheckpoint

log = logging.getLogger(__name__)

_REUSE = timedelta(minutes=30)


def note_published(state: BatchState, checkpoint: TaskCheckpoint, requests: list[ExportRequest]) -> None:
    """Record which of the exports that SEI gave back an earlier run has published: their figures are not new."""
    published = set()
    for table in {table_of(request) for request in requests}:
        with suppress(sei_lake.UnknownTableError):
            ledger = sei_lake.ledger(checkpoint.lake, table)
            published |= {entry["export_id"] for entries in ledger.values() for entry in entries}
    notes = []
    for request in requests:
        export_id = state.exports.get(request.fingerprint)
        if export_id in published and export_id in state.made_at:
            fresh_from = datetime.fromisoformat(state.made_at[export_id]) + _REUSE
            state.fresh_from[request.fingerprint] = fresh_from.isoformat()
            notes.append(f"{request.scope.label} {export_id}, fresh figures from {fresh_from.isoformat()}")
    if notes:
        log.warning(
            "SEI gave back %s that an earlier run has published, so these figures stay as they are. To "
            "get fresh figures, clear this task after the time given: %s",
            plural(len(notes), "export"), few(notes),
        )  # fmt: skip


def until_new(export: Export) -> str:
    """Say until when SEI gives an export back."""
    until = (export.created_at.astimezone(UTC) + _REUSE).isoformat(timespec="seconds")
    return f"SEI gives back the same export until {until}; a try after that can help"
