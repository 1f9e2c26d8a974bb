"""Protection from pages of other sites in a browser on this machine, which may do nothing.

A browser sends a page's requests to localhost too, and after its name was pointed there (DNS rebinding) lets the page
read the answers. So each request must name a host that no other site can have, and controls take only what a page
cannot send without asking first, which nobody here answers.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.responses import JSONResponse

from sei_provider.sandbox.http.request_log import PREFIX

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::[0-9]{1,5})?")
_HEADERS = [
    (b"x-content-type-options", b"nosniff"),
    (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


class SameSiteMiddleware:
    """Refuses requests for hosts that other sites can have, and controls that another site's page can send."""

    def __init__(self, app: ASGIApp, *, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = {"localhost", *(host.lower() for host in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 421, 403 or 415, or hand on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = self._refusal(scope)
        if refused:
            status, why = refused
            await JSONResponse({"status": status, "error": why}, status)(scope, receive, send)
            return

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start" and scope["path"].startswith(PREFIX):
                message = {**message, "headers": [*message.get("headers", ()), *_HEADERS]}
            await send(message)

        await self._app(scope, receive, send_safely)

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        sent = [(name, value.decode("latin-1")) for name, value in scope["headers"]]
        hosts = [value for name, value in sent if name == b"host"]
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            return 421, (
                "this sandbox is asked by an IP address, as localhost, or by a name that --allowed-hosts has, not as "
                f"{hosts[0] if len(hosts) == 1 else 'several hosts or none'!r}"
            )
        if not scope["path"].startswith(PREFIX) or scope["method"] in {"GET", "HEAD"}:
            return None
        origins = [value for name, value in sent if name == b"origin"]
        sites = [value for name, value in sent if name == b"sec-fetch-site"]
        if any(urlsplit(origin).netloc != hosts[0] for origin in origins) or set(sites) - {"same-origin", "none"}:
            return 403, "a page of another site must not control the sandbox"
        kinds = [value.partition(";")[0].strip().lower() for name, value in sent if name == b"content-type"]
        if scope["method"] == "POST" and kinds != ["application/json"]:
            return 415, "the controls take JSON: send the header Content-Type: application/json"
        return None

    def _is_ours(self, host: str) -> bool:
        found = _HOST.fullmatch(host)
        if not found:
            return False
        name = found["name"].lower()
        try:
            ip_address(name.strip("[]"))
        except ValueError:
            return name in self._hosts
        return True
