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
_BASES = ((base64.b64encode, 6, 3), (base64.b32encode, 5, 5))
"""Encodings in letters, each with the bits of a character and the bytes after which they start anew."""
_CODES = (
    "{:d}", "{:03d}", "{:o}", "{:03o}", "{:02x}", "{:04x}", "{:06x}", "{:08x}", "{:08b}", "0x{:02x}", "x{:02x}",
    "u{:04x}", "chr{:d}",
)  # fmt: skip
"""Forms of a character as a number, as in `[112, 97]`, `0x70 0x61`, `U+0070`, or UTF-16 in hexadecimal."""
_ESCAPE = re.compile(
    r"""%(?:25)*(?P<percent>[0-9a-f]{2})
    | \\+(?:u\{?(?:00)*|x|0000)(?P<escape>[0-9a-f]{2})\}?
    | \\+(?P<octal>[0-3][0-7]{2}|[0-7]{2}(?![0-9a-f]|\s\\))
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
        stripped: dict[re.Pattern[str], str] = {}
        for each in _spellings(secret) if secret else ():
            if each.others not in stripped:
                stripped[each.others] = each.others.sub("", decoded)
            chars = stripped[each.others]
            if not any(probe in chars for probe in each.probes):  # nearly always, and a tree has 100,000 names
                continue
            kept = [place for char, place in zip(self._chars, self._places, strict=True) if char in each.own]
            for start in range(len(chars) - each.length + 1):
                if chars[start : start + each.length] in each.windows:
                    yield kept[start][0], kept[start + each.length - 1][1], "<key>"

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


class _Spelling:
    """One spelling of the secret: its windows of `length`, and the characters that count, `own`, and all others.

    Each window holds one of the `probes` whole; there are fewer of them.
    """

    def __init__(self, text: str, most: int) -> None:
        self.length = min(most, len(text))
        self.windows = frozenset(text[at : at + self.length] for at in range(len(text) - self.length + 1))
        half = (self.length + 1) // 2
        self.probes = frozenset(text[at : at + half] for at in range(0, len(text) - half + 1, half))
        self.own = frozenset("abcdefghijklmnopqrstuvwxyz0123456789") | frozenset(text)
        self.others = re.compile(f"[^{re.escape(''.join(sorted(self.own)))}]+")


@lru_cache(maxsize=16)
def _spellings(secret: str) -> tuple[_Spelling, ...]:
    plain, raw = secret.lower(), secret.encode()
    letters = "".join(filter(str.isalnum, plain))
    texts = [(plain, _KEY_CHARS), (plain[::-1], _KEY_CHARS)]
    for code in _CODES:
        shortest = min(len(code.format(byte)) for byte in raw)
        # One digit less at either end: in UTF-16 a character's zeros stand before or behind it.
        texts.append(("".join(map(code.format, raw)), _KEY_CHARS * shortest - 2))
    if len(letters) >= _KEY_CHARS:  # dots and dashes may have been replaced
        texts += [(letters, _KEY_CHARS), (letters[::-1], _KEY_CHARS)]
    for wide in (raw, secret.encode("utf-16-le"), secret.encode("utf-16-be")):
        for encode, bits, period in _BASES:
            # Ten characters of the key determine all but two of the characters that they touch.
            most = (8 * _KEY_CHARS * len(wide) // len(raw) - bits + 1) // bits
            for shift in range(period):  # what bytes become depends on how many stand before
                encoded = encode(bytes(shift) + wide).decode().rstrip("=").lower()
                # The first depend on what stands before as well, the last on what follows.
                inner = encoded[-(-8 * shift // bits) : len(encoded) - 1]
                texts += [(each, most) for each in {inner, inner.replace("+", "-").replace("/", "_")}]
    return tuple(_Spelling(text, most) for text, most in texts)


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
