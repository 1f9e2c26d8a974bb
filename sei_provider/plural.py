"""Numbers of things in the words of a message."""

from __future__ import annotations


def plural(number: int, noun: str, nouns: str | None = None) -> str:
    """Return `1 scope`, `3 scopes` or `12,000 scopes`; `nouns` is the plural where it is not the noun with an s."""
    return f"{number:,} {noun if number == 1 else nouns or f'{noun}s'}"
