"""The SEI export API: requests, replies, clients and errors. Knows neither Airflow nor the lake.

Names are loaded when first used, so a DAG file that only imports an operator does not import an HTTP library.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sei_provider.api.async_client import AsyncSeiClient as AsyncSeiClient
    from sei_provider.api.client import SeiClient as SeiClient
    from sei_provider.api.errors import SeiAuthError as SeiAuthError
    from sei_provider.api.errors import SeiBadRequestError as SeiBadRequestError
    from sei_provider.api.errors import SeiConnectionError as SeiConnectionError
    from sei_provider.api.errors import SeiDownloadError as SeiDownloadError
    from sei_provider.api.errors import SeiError as SeiError
    from sei_provider.api.errors import SeiHTTPError as SeiHTTPError
    from sei_provider.api.errors import SeiInputError as SeiInputError
    from sei_provider.api.errors import SeiNotFoundError as SeiNotFoundError
    from sei_provider.api.errors import SeiRateLimitError as SeiRateLimitError
    from sei_provider.api.errors import SeiReplyError as SeiReplyError
    from sei_provider.api.errors import SeiServerError as SeiServerError
    from sei_provider.api.errors import SeiTurnError as SeiTurnError
    from sei_provider.api.export import Export as Export
    from sei_provider.api.export import ExportStatus as ExportStatus
    from sei_provider.api.request import ExportRequest as ExportRequest
    from sei_provider.api.request import Scope as Scope
    from sei_provider.api.teams import OrgTree as OrgTree
    from sei_provider.api.teams import Team as Team

_HOME = {
    "async_client": ("AsyncSeiClient",),
    "client": ("SeiClient",),
    "errors": (
        "SeiAuthError",
        "SeiBadRequestError",
        "SeiConnectionError",
        "SeiDownloadError",
        "SeiError",
        "SeiHTTPError",
        "SeiInputError",
        "SeiNotFoundError",
        "SeiRateLimitError",
        "SeiReplyError",
        "SeiServerError",
        "SeiTurnError",
    ),
    "export": ("Export", "ExportStatus"),
    "request": ("ExportRequest", "Scope"),
    "teams": ("OrgTree", "Team"),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}

__all__ = sorted(_MODULE_OF)  # noqa: PLE0605 - one list of names, not two


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
