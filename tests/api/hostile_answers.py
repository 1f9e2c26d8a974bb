"""Answers of a server that is broken or means harm, made by hypothesis, from the status line to the connection's end.

They repeat the key, a signature and an address in many spellings. `leaks` judges what comes out, by other means than
`sei_provider.api.redaction`.
"""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
import socket
import struct
import threading
import urllib.parse
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from isal import igzip

KEY = "pat.Zz9acme.sesame-open/1234+Qx"
SIGNATURE = "8f3cd19e77ab4410SIGNED"
ADDRESS = "developer-1-01@example.com"


def leaks(text: str) -> list[str]:
    """Secrets that a text gives away: any ten characters of the key in a row, the signature, or the address."""
    spellings = {text, text[::-1]}
    for _ in range(3):
        spellings |= {urllib.parse.unquote(each) for each in spellings}
        spellings |= {html.unescape(each) for each in spellings}
        spellings |= {re.sub(r"\\+(?:u00|x)([0-9a-fA-F]{2})", lambda m: chr(int(m[1], 16)), each) for each in spellings}
    for word in re.findall(r"[A-Za-z0-9+/_-]{14,}", text):
        for start in range(4):
            part = word[start:].translate(str.maketrans("-_", "+/"))
            spellings.add(base64.b64decode(part[: len(part) // 4 * 4]).decode("latin-1"))
    for word in re.findall(r"[0-9a-fA-F]{20,}", text):
        spellings |= {bytes.fromhex(word[at : at + (len(word) - at) // 2 * 2]).decode("latin-1") for at in (0, 1)}
    flat = ["".join(each.split()).lower() for each in spellings]
    found = [KEY[at : at + 10] for at in range(len(KEY) - 9) if any(KEY[at : at + 10].lower() in each for each in flat)]
    found += [secret for secret in (SIGNATURE, ADDRESS) if any(secret.lower() in each for each in flat)]
    return found


def _spelled(text: str) -> list[str]:
    quoted = "".join(f"%{ord(char):02x}" for char in text)
    return [
        text,
        text.upper(),
        text[::-1],
        urllib.parse.quote(text, safe=""),
        quoted,
        quoted.replace("%", "%25"),
        "".join(f"\\u{ord(char):04X}" for char in text),
        "".join(f"&#{ord(char)};" for char in text),
        "".join(f"&#x{ord(char):x};" for char in text),
        base64.b64encode(text.encode()).decode(),
        base64.urlsafe_b64encode(f"ApiKey {text}".encode()).decode(),
        text.encode().hex(),
        f"{text[:13]}\n{text[13:]}",
        f'{text[: len(text) // 2]}", "{text[len(text) // 2 :]}',
        "x" * 290 + text,
        "y" * 1995 + text,
    ]


SECRETS = [
    *_spelled(KEY),
    f"authorization: ApiKey {KEY}",
    f"https://store.example.com/f.csv?X-Amz-Signature={SIGNATURE}",
    f"/v2/x?sig={SIGNATURE}&a=1",
    *(ADDRESS, ADDRESS.replace("@", "%40"), ADDRESS.replace("@", "\\u0040"), ADDRESS.replace("@", "&#64;")),
    f"{KEY[:12]} then {KEY[12:]}",
]
secrets = st.sampled_from(SECRETS)

scalars = st.one_of(
    secrets,
    st.none(),
    st.booleans(),
    st.integers(-(10**30), 10**30),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["", "\ud800", "\x00", "\x1b[31m"]),
    st.sampled_from([30, 100_000]).map(lambda length: "x" * length),
    st.sampled_from([30, 4_000]).map(lambda digits: 10**digits),
)
trees = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(secrets | st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
times = st.sampled_from(
    ["2026-01-01T00:00:00Z", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "9999-12-31", "2026", 0, 1e300]
)
links = st.one_of(
    st.sampled_from(
        [
            "/v2/insights/sprints/exports/exp_1/download",
            f"/v2/x?sig={SIGNATURE}",
            f"/v2/x?key={KEY}",
            f"/v2/{KEY}",
            f"https://user:{KEY}@evil.example.com/v2/x",
            *(
                "/v2/..;/x",
                "/v2/%252e%252e/x",
                "/v2/\uff0e\uff0e/x",
                "//evil/x",
                "/v2\\x",
                "/v2/x\r\nA: b",
                "file:///x",
            ),
        ]
    ),
    scalars,
)
statuses = st.sampled_from(["completed", "COMPLETED", "processing", "failed", KEY, None, [], 1])


@st.composite
def exports(draw: st.DrawFn) -> dict[str, Any]:
    """A reply about an export, of which some fields are odd."""
    reply: dict[str, Any] = {"exportId": "exp_1", "createdAt": "2026-01-01T00:00:00Z", "status": "completed"}
    odd = {
        "exportId": secrets | trees,
        "createdAt": times | trees,
        "completedAt": times | trees,
        "status": statuses | trees,
        "download": st.fixed_dictionaries({"url": links, "sizeBytes": scalars}) | trees,
        "downloadUrl": links,
        "error": secrets | trees,
        "createdBy": trees,
        "scope": st.fixed_dictionaries({"teamId": scalars, "orgTreeName": scalars}) | trees,
        "metadata": trees,
    }
    for name in draw(st.lists(st.sampled_from(sorted(odd)), max_size=4, unique=True)):
        reply[name] = draw(odd[name])
    return reply


def _teams() -> st.SearchStrategy[Any]:
    team = {"refId": st.integers(1, 9) | scalars, "name": st.text(min_size=1, max_size=5) | scalars}
    return st.recursive(
        st.fixed_dictionaries(team),
        lambda inner: st.fixed_dictionaries({**team, "children": st.lists(inner | scalars, max_size=3)}),
        max_leaves=6,
    )


@st.composite
def pages(draw: st.DrawFn) -> dict[str, Any]:
    """A page of exports and org trees, with odd entries and odd figures."""
    count = draw(st.sampled_from([0, 1, 3, 3, 3, 150]))
    entries = draw(st.lists(exports() | trees, max_size=count))
    trees_ = st.fixed_dictionaries({"id": st.integers(1, 9) | scalars, "name": st.just("T") | scalars})
    return {
        "exports": entries,
        "records": draw(st.lists(trees_ | trees, max_size=3)),
        "pagination": draw(st.fixed_dictionaries({"total": scalars, "hasMore": st.booleans()}) | trees),
        "totalCount": draw(st.integers(0, 9) | scalars),
    }


_LARGE = [
    b"[" + b"0," * 1_000_000 + b"0]",
    b'{"exports": [' + b"0," * 1_000_000 + b'0], "records": []}',
    b'{"exports": [' + b"{}," * 150 + b"{}]}",
    b"[" * 90_000,
    b'{"a":' * 900 + b"1" + b"}" * 900,
    b'{"exportId": ' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"error": ' + b"[" * 900 + b"]" * 900 + b"}",
    b'{"exportId": ' + b"9" * 100_000 + b"}",
    b'{"createdAt": "' + b"x" * 3_000_000 + b'"}',
    b"{" + b",".join(b'"k%d": 1' % at for at in range(60_000)) + b"}",
    b"{" + b'"exportId": "a",' * 50_000 + b'"exportId": "b"}',
    "{}".encode("utf-16"),
    b'{"exportId": NaN, "sizeBytes": -Infinity}',
]


@st.composite
def bodies(draw: st.DrawFn) -> bytes:
    """JSON of every shape, CSV, pages, and bytes."""
    kind = draw(st.sampled_from(["export", "export", "page", "team", "tree", "large", "words", "bytes", "csv"]))
    if kind == "large":
        return _LARGE[draw(st.integers(0, len(_LARGE) - 1))]
    if kind == "words":
        return draw(secrets).encode() + draw(st.binary(max_size=20))
    if kind == "bytes":
        return draw(st.binary(max_size=100))
    if kind == "csv":
        return draw(st.sampled_from([b"", b"Team\nA\n", b"<html>login", b"Team\n"])) * draw(
            st.sampled_from([1, 100_000])
        )
    value = draw({"export": exports(), "page": pages(), "team": _teams(), "tree": trees}[kind])
    return json.dumps(value, ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")


STATUS_LINES = [
    *["HTTP/1.1 200 OK"] * 8,
    *["HTTP/1.1 202 Accepted", "HTTP/1.0 200 OK", "HTTP/1.1 204 No Content", "HTTP/1.1 206 Partial"],
    *[f"HTTP/1.1 {code} {KEY}" for code in (302, 303, 304, 307, 400, 401, 403, 404, 405, 409, 429, 500, 502, 503)],
    *["HTTP/1.1 101 Switching", "HTTP/1.1 099 Low", "HTTP/1.1 999 High", "HTTP/1.1 1000 X", "HTTP/9.9 200 OK"],
    *["ICY 200 OK", f"ApiKey {KEY}", "", "HTTP/1.1 200", "HTTP/1.1 200 \x00", "HTTP/1.1 -12 No"],
]
HEADERS = [
    "Content-Type: application/json",
    "Content-Type: text/html",
    f"Content-Type: {KEY}",
    "Content-Encoding: gzip",
    "Content-Encoding: deflate",
    "Content-Encoding: br",
    "Content-Encoding: gzip, gzip",
    f"Content-Encoding: {KEY}",
    "Location: /login",
    f"Location: https://evil.example.com/{KEY}",
    "Location: http://[::1",
    "Location: http://a:99999999/",
    "Location: \x80\xff",
    "Location:",
    "Location: //",
    f"WWW-Authenticate: ApiKey {KEY}",
    f"X-Request-Id: {KEY}",
    f"x-request-id: {base64.b64encode(KEY.encode()).decode()}",
    f"Set-Cookie: key={KEY}; Domain=127.0.0.1; Expires=Thu, 01 Jan 9999 00:00:00 GMT",
    "Set-Cookie: =;;;=",
    *("Retry-After: 1e400", "Retry-After: nan", "Retry-After: -5", "Retry-After: Thu, 01 Jan 99999 00:00:00 GMT"),
    *("Date: Thu, 01 Jan 2026 00:00:30 GMT", "Date: Mon, 01 Jan 0001 00:00:00 +2359", "Date: 1", "Date: Thu, 99"),
    "Date: Thu, 01 Jan 2026 00:00:30 +99999999999999999999",
    f"X-Long: {'x' * 60_000}",
    f"X-Longer: {'x' * 200_000}",
    f"{KEY}: {KEY}",
    "no colon",
    "X-\x00: \x00",
    "Transfer-Encoding: gzip, chunked",
    "Content-Length: -1",
    "Content-Length: 99999999999999999999",
    "Content-Length: 5, 6",
    "Connection: keep-alive",
    "Connection: Upgrade",
]


_BOMB = igzip.compress(b"[" + b" " * 50_000_000)  # much faster than gzip


@st.composite
def answers(draw: st.DrawFn) -> Program:
    """One answer, from the status line to the end of the connection."""
    interim = draw(st.sampled_from([0] * 6 + [1, 20, 20_000])) * b"HTTP/1.1 100 Continue\r\n\r\n"
    chosen = draw(st.lists(st.integers(0, len(HEADERS) - 1), max_size=3))
    lines = [draw(st.sampled_from(STATUS_LINES)), *(HEADERS[at] for at in chosen)]
    body = draw(bodies())
    packing = draw(st.sampled_from(["", "", "", "gzip", "bomb"]))
    if packing:
        body = gzip.compress(body, 1) if packing == "gzip" else _BOMB
        lines += draw(st.sampled_from([[], ["Content-Encoding: gzip"]]))
    framing = draw(st.sampled_from(["right", "right", "right", "short", "long", "none", "chunks", "small", "extended"]))
    if framing in {"right", "short", "long"}:
        lines.append(f"Content-Length: {max(0, len(body) + {'right': 0, 'short': -3, 'long': 7}[framing])}")
    elif framing != "none":
        lines.append("Transfer-Encoding: chunked")
        body = _chunked(body, framing)
    head = interim + "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogatepass")
    end = draw(
        st.sampled_from(["close", "close", "close", "reset", "cut", "trickle", "endless", "silence", "slow head"])
    )
    if end == "cut":
        body = body[: len(body) // 2]
    return Program(head, body, end)


def _chunked(body: bytes, framing: str) -> bytes:
    if framing == "small":
        return b"".join(b"1\r\n%c\r\n" % byte for byte in body[:3_000]) + b"0\r\n\r\n"
    extension = b";" + b"e" * 5_000 if framing == "extended" else b""
    return b"%x%s\r\n%s\r\n0\r\n\r\n" % (len(body), extension, body) if body else b"zz\r\n"


@dataclass(frozen=True, slots=True)
class Program:
    """An answer: what is sent, and how it ends."""

    head: bytes
    body: bytes
    end: str

    def __repr__(self) -> str:
        return f"Program({self.head[:2000]!r}, {self.body[:2000]!r} of {len(self.body)}, {self.end!r})"

    def __call__(self, connection: socket.socket, over: threading.Event) -> None:
        if self.end == "slow head":
            for at in range(len(self.head)):
                connection.sendall(self.head[at : at + 1])
                if over.wait(0.02):
                    return
        connection.sendall(self.head + self.body)
        if self.end == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif self.end == "trickle":
            while not over.wait(0.02):
                connection.sendall(b"1")
        elif self.end == "endless":
            while not over.is_set():
                connection.sendall(b"0," * 30_000)
        elif self.end == "silence":
            over.wait()
