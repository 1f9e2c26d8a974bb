"""Redaction of a server's words: the key, e-mail addresses and signatures in them are masked. Knows no transport.

A server that is broken or means harm repeats the key in any spelling, so text is decoded before it is searched, and
masked before it is cut.
"""

from __future__ import annotations

import base64
import html
import re
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache

from sei_provider.api.bounds import MESSAGE_CHARS

_SEARCHED_CHARS = 2000
_MARGIN_CHARS = 300
"""Characters at the end of a long text that are searched but not shown: half a key or address is not found."""
_KEY_CHARS = 10
"""Consecutive characters of the key that are masked. Fewer do not help to guess a key."""
_BASE64_CHARS = 11
"""Characters of base64 that ten bytes certainly determine."""
_ESCAPE = re.compile(
    r"""%(?:25)*(?P<percent>[0-9a-f]{2})
    | \\+(?:u\{?(?:00)*|x)(?P<escape>[0-9a-f]{2})\}?
    | \\+(?P<octal>[0-3][0-7]{2})
    | &(?:amp;)*(?P<entity>\#x0*[0-9a-f]{1,6}|\#0*[0-9]{1,7}|[a-z]{2,20});?""",
    re.IGNORECASE | re.VERBOSE,
)
"""Escapes of URLs, JSON, C and HTML, also applied more than once."""
_PERSONAL = (
    # A local part has 64 characters at most; without limits the search takes time by the square of a word's length.
    (re.compile(r"""(?:"[^"\n]{1,64}"|[^\s@<>"'(),:;=]{1,64})@\[?[^\s@<>"'(),;]{1,255}"""), "<e-mail>"),
    (re.compile(r"""\?(?=[^\s?"'<>]*=)[^\s"'<>]+"""), "?<query>"),
    (
        re.compile(
            r"""(?:sig|signature|token|secret|password|credential|api_?-?key)["']?\s*[=:]\s*["']?"""
            r"""(?P<value>(?=[^\s"',;&<>]*[0-9])[^\s"',;&<>]{16,})"""
        ),
        "<secret>",
    ),
)
_secret: ContextVar[str] = ContextVar("secret", default="")


@contextmanager
def redacting(secret: str) -> Iterator[None]:
    """Have `sanitize` mask `secret` within the block, wherever an error is built from an answer."""
    before = _secret.set(secret)
    try:
        yield
    finally:
        _secret.reset(before)


def is_redacting() -> bool:
    """Tell whether this is within a `redacting` block: what is logged here may hold a server's words."""
    return bool(_secret.get())


def sanitize(value: object) -> str:
    """Return the server's text made safe for logs and databases, or the type of a JSON list or object.

    Text becomes one line of printable characters, cut at 300. Ten or more consecutive characters of the redacted
    secret, also in base64, hexadecimal, reversed or escaped, e-mail addresses, and the queries of links are masked.
    """
    if isinstance(value, Mapping | list):
        return "a JSON object" if isinstance(value, Mapping) else "a JSON list"
    text = str(value)
    searched, shown = text[:_SEARCHED_CHARS], len(text)
    if len(text) > _SEARCHED_CHARS:
        shown = _SEARCHED_CHARS - _MARGIN_CHARS
    words = _Words(searched)
    pieces, at = [], 0
    for start, end, label in _merged([*words.find_secret(_secret.get()), *words.find_personal()]):
        if start >= shown:
            break
        pieces += [searched[at:start], label]
        at = end
    pieces.append(searched[at:shown])
    line = " ".join("".join(pieces).split())
    line = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in line)
    return line if len(line) <= MESSAGE_CHARS else line[:MESSAGE_CHARS] + "…"


def holds_secret(text: str) -> bool:
    """Tell whether the text holds ten consecutive characters of the redacted secret, in any spelling."""
    secret = _secret.get()
    if text.isascii() and len(text) < min(_KEY_CHARS, len(secret)):  # most ids
        return False
    return any(_Words(text).find_secret(secret))


_Span = tuple[int, int, str]
"""Start and end in a text, and the label that takes the place of what is between."""


class _Words:
    """A text decoded: its characters, without escapes and in lower case, and where each stands in the text."""

    def __init__(self, text: str) -> None:
        self._chars: list[str] = []
        self._places: list[tuple[int, int]] = []
        at = 0
        for escape in _ESCAPE.finditer(text):
            self._add_plain(text, at, escape.start())
            self._add(_decoded(escape), *escape.span())
            at = escape.end()
        self._add_plain(text, at, len(text))

    def find_secret(self, secret: str) -> Iterator[_Span]:
        """Find windows of the secret. Characters between that are neither letters nor digits, nor its own, count not.

        So a line break, a quote or an invisible character within the secret does not hide it.
        """
        decoded = "".join(self._chars)
        for windows, own, others in _spellings(secret) if secret else ():
            found = others.sub("", decoded)
            if not any(window in found for window in windows):  # nearly always, and a tree has 100,000 names
                continue
            kept = [(char, place) for char, place in zip(self._chars, self._places, strict=True) if char in own]
            chars = "".join(char for char, _ in kept)
            length = len(next(iter(windows)))
            for start in range(len(chars) - length + 1):
                if chars[start : start + length] in windows:
                    yield kept[start][1][0], kept[start + length - 1][1][1], "<key>"

    def find_personal(self) -> Iterator[_Span]:
        """Find e-mail addresses, queries and signatures."""
        decoded = "".join(self._chars)
        for pattern, label in _PERSONAL:
            for found in pattern.finditer(decoded):
                start, end = found.span("value" if "value" in pattern.groupindex else 0)
                yield self._places[start][0], self._places[end - 1][1], label

    def _add_plain(self, text: str, start: int, end: int) -> None:
        plain = text[start:end]
        if plain.isascii():
            self._chars.extend(plain.lower())
            self._places.extend(zip(range(start, end), range(start + 1, end + 1), strict=True))
            return
        for place, char in enumerate(plain, start):
            self._add(char, place, place + 1)

    def _add(self, decoded: str, start: int, end: int) -> None:
        for char in decoded if decoded.isascii() else unicodedata.normalize("NFKC", decoded):
            self._chars.append(char.lower()[:1])
            self._places.append((start, end))


@lru_cache(maxsize=16)
def _spellings(secret: str) -> tuple[tuple[frozenset[str], frozenset[str], re.Pattern[str]], ...]:
    """Return for each spelling the windows to search for, all of one length, the characters that count, and all others.

    The last is a pattern.
    """
    plain, raw = secret.lower(), secret.encode()
    letters = "".join(filter(str.isalnum, plain))
    texts = [(plain, _KEY_CHARS), (plain[::-1], _KEY_CHARS), (raw.hex(), 2 * _KEY_CHARS)]
    if len(letters) >= _KEY_CHARS:  # dots and dashes may have been replaced
        texts += [(letters, _KEY_CHARS), (letters[::-1], _KEY_CHARS)]
    for shift in range(3):  # the characters that bytes become depend on how many stand before
        encoded = base64.b64encode(bytes(shift) + raw).decode().rstrip("=").lower()
        # The first depend on what stands before as well, the last on what follows.
        inner = encoded[(0, 2, 3)[shift] : len(encoded) - 1]
        texts += [(each, _BASE64_CHARS) for each in {inner, inner.replace("+", "-").replace("/", "_")}]
    alphanumeric = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
    return tuple(
        (
            frozenset(text[start : start + length] for start in range(len(text) - length + 1)),
            own := alphanumeric | frozenset(text),
            re.compile(f"[^{re.escape(''.join(sorted(own)))}]+"),
        )
        for text, most in texts
        if (length := min(most, len(text)))
    )


def _decoded(escape: re.Match[str]) -> str:
    name, text = escape.lastgroup, escape.group(escape.lastgroup or 0)
    if name == "entity":
        char = html.unescape(f"&{text};")
        return char if len(char) == 1 else escape.group()
    return chr(int(text, 8 if name == "octal" else 16))


def _merged(spans: list[_Span]) -> Iterator[_Span]:
    """Join spans that overlap, under the label of the first."""
    joined: _Span | None = None
    for start, end, label in sorted(spans):
        if joined and start < joined[1]:
            joined = (joined[0], max(joined[1], end), joined[2])
        else:
            if joined:
                yield joined
            joined = (start, end, label)
    if joined:
        yield joined
