"""How a test's own client speaks to a server without TLS on this machine."""

from __future__ import annotations

import ssl

NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Trusts no certificate. httpx would read some 140 authorities for each client, which takes longer than most tests."""
