"""How any part of the sandbox says no; the app turns it into HTTP."""

from __future__ import annotations

from typing import NoReturn


class Refusal(Exception):  # noqa: N818 - it is an answer to the caller, not an error of the sandbox
    """An answer other than the one asked for: HTTP status, SEI's error code, message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def not_found(message: str) -> NoReturn:
    """Answer 404."""
    raise Refusal(404, "RESOURCE_NOT_FOUND", message)
