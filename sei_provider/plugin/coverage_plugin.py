"""Plugin of the coverage page. Every process of Airflow imports it, so the web application waits for its first request.

Knows nothing of tables and pages.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from sei_provider.plugin import HEADERS

log = logging.getLogger(__name__)

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
_Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_Application = Callable[[_Scope, _Receive, _Send], Awaitable[None]]


class LazyApplication:
    """ASGI application that is built when it is first asked, which happens in the API server alone.

    Fails closed: if it cannot be built, because this Airflow lacks what guards it, every request gets status 503.
    """

    def __init__(self) -> None:
        self._application: _Application | None = None

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Serve one request."""
        if self._application is None:
            self._application = _built()
        await self._application(scope, receive, send)


def _built() -> _Application:
    try:
        from sei_provider.plugin.application import create_application

        return create_application()
    except Exception:
        log.exception("the coverage page is closed, because it cannot be built on this version of Airflow")
        return _closed


async def _closed(scope: _Scope, _receive: _Receive, send: _Send) -> None:
    if scope["type"] == "http":
        ours = {"Content-Type": "text/plain; charset=utf-8"} | HEADERS
        headers = [(name.lower().encode(), value.encode()) for name, value in ours.items()]
        await send({"type": "http.response.start", "status": 503, "headers": headers})
        body = b"The coverage page is closed: see the log of the API server.\n"
        await send({"type": "http.response.body", "body": body})


class SeiPlugin(AirflowPlugin):
    """The coverage page, under *Browse*.

    It is a page of its own: inside Airflow's frame it could not lead to the pages of runs.
    """

    name = "sei"
    fastapi_apps = [  # noqa: RUF012 - Airflow declares it as an instance's
        {"app": LazyApplication(), "url_prefix": "/sei", "name": "SEI coverage"}
    ]
    external_views = [  # noqa: RUF012 - as above
        {"name": "SEI coverage", "href": "sei/coverage", "destination": "nav", "category": "browse"}
    ]
