"""Faults on request: the table of them, the rules that say which call gets one, and how they are injected."""

from sei_provider.sandbox.faults.table import BROKEN_FILES, EVERY_FAULT, VALID_FILES

__all__ = ["BROKEN_FILES", "EVERY_FAULT", "VALID_FILES"]
