"""Error responses of the sandbox's API as one exception; the application turns it into HTTP."""

from __future__ import annotations

from typing import NoReturn


class ApiError(Exception):
    """An error response: HTTP status, SEI's error code, message."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def bad_request(message: str) -> NoReturn:
    """Answer 400."""
    raise ApiError(400, "INVALID_REQUEST", message)


def not_found(message: str) -> NoReturn:
    """Answer 404."""
    raise ApiError(404, "RESOURCE_NOT_FOUND", message)
