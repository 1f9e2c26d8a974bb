"""Faults on request: the table of them, the rules that say which call gets one, and how they are injected."""

from sei_provider.sandbox.faults.table import (
    BROKEN_FILES,
    CALLS,
    EVERY_FAULT,
    REPORTS_OF,
    TRANSIENT_FAULTS,
    VALID_FILES,
    CallFault,
    ExportFault,
    Fault,
)

__all__ = [
    "BROKEN_FILES",
    "CALLS",
    "EVERY_FAULT",
    "REPORTS_OF",
    "TRANSIENT_FAULTS",
    "VALID_FILES",
    "CallFault",
    "ExportFault",
    "Fault",
]
