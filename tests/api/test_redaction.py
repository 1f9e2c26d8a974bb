"""A server's words are masked before they are cut: the key in any spelling, addresses, and the queries of links."""

from __future__ import annotations

import base64
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sei_provider.api.redaction import holds_secret, redacting, sanitize
from tests.api.hostile_answers import ADDRESS, KEY, SECRETS, SIGNATURE, leaks
from tests.examples import examples


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("around", ["{}", "before {} after", '{{"message": "{}"}}', "x{}x", "{}" * 40], ids=repr)
def test_line_3_no_spelling_of_a_secret_is_shown(secret: str, around: str) -> None:
    with redacting(KEY):
        assert leaks(sanitize(around.replace("{}", secret))) == []


@pytest.mark.parametrize("before", range(200, 310, 5))
def test_line_3_the_key_at_the_cut_is_masked_first(before: int) -> None:
    with redacting(KEY):
        assert leaks(sanitize("." * before + KEY + "." * 100)) == []
        assert leaks(sanitize("." * before + ADDRESS)) == []


@pytest.mark.parametrize("at", [0, 5, 13, len(KEY) - 10])
def test_line_3_ten_characters_in_a_row_are_masked_and_the_words_around_are_kept(at: int) -> None:
    with redacting(KEY):
        assert sanitize(f"unknown header {KEY[at : at + 10]} in the request") == "unknown header <key> in the request"


def test_line_3_words_that_are_no_secret_are_kept() -> None:
    words = 'unknown metric group "velocty"; groups of productivity: activity, velocity (HTTP 400) 50% a@ @b C:\\x'
    with redacting(KEY):
        assert sanitize(words) == words
        assert sanitize(f"ask {ADDRESS}, see https://x.example.com/a/b?c=d now") == (
            "ask <e-mail>, see https://x.example.com/a/b?<query> now"
        )
        assert sanitize(f"Signature: {SIGNATURE}") == "Signature: <secret>"
        assert not holds_secret("/v2/insights/sprints/exports/exp_1/download")


def test_line_3_a_list_or_an_object_is_not_shown() -> None:
    assert (sanitize([KEY]), sanitize({KEY: 1}), sanitize(None), sanitize(1.5)) == (
        *("a JSON list", "a JSON object", "None", "1.5"),
    )


_ENCODERS = {
    "plain": str,
    "upper": str.upper,
    "reversed": lambda text: text[::-1],
    "percent": lambda text: "".join(f"%{ord(char):02X}" for char in text),
    "percent twice": lambda text: "".join(f"%25{ord(char):02x}" for char in text),
    "JSON": lambda text: "".join(f"\\u{ord(char):04x}" for char in text),
    "JSON twice": lambda text: "".join(f"\\\\u{ord(char):04x}" for char in text),
    "C": lambda text: "".join(f"\\x{ord(char):02x}" for char in text),
    "HTML": lambda text: "".join(f"&#{ord(char)};" for char in text),
    "HTML in hexadecimal": lambda text: "".join(f"&#x{ord(char):X};" for char in text),
    "hexadecimal": lambda text: text.encode().hex(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64 for URLs": lambda text: base64.urlsafe_b64encode(text.encode()).decode(),
    "base32": lambda text: base64.b32encode(text.encode()).decode(),
    "UTF-16 in base64": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
    "UTF-16 in hexadecimal": lambda text: text.encode("utf-16-be").hex(),
    "percent and u": lambda text: "".join(f"%u{ord(char):04X}" for char in text),
    "C in octal": lambda text: "".join(f"\\{ord(char):o}" for char in text),
    "Perl": lambda text: "".join(f"\\x{{{ord(char):x}}}" for char in text),
    "CSS": lambda text: "".join(f"\\{ord(char):06x}" for char in text),
    "CSS, short": lambda text: "".join(f"\\{ord(char):x} " for char in text).strip(),
    "bytes": lambda text: ", ".join(str(ord(char)) for char in text),
    "bytes in hexadecimal": lambda text: ", ".join(f"0x{ord(char):02x}" for char in text),
    "code points": lambda text: " ".join(f"U+{ord(char):04X}" for char in text),
    "wide": lambda text: "".join(chr(ord(char) + 0xFEE0) for char in text),
    "NUL between": "\0".join,
}
keys = st.text(string.ascii_letters + string.digits + "._-/+=~", min_size=12, max_size=60)


@pytest.mark.fuzz
@settings(max_examples=examples(150))
@given(
    key=keys,
    encoder=st.sampled_from(sorted(_ENCODERS)),
    part=st.tuples(st.integers(0, 50), st.integers(10, 60)),
    before=st.text(max_size=40),
    filler=st.integers(0, 400),
    after=st.text(max_size=40),
)
def test_line_3_no_ten_characters_of_any_key_are_shown_in_any_spelling(
    key: str, encoder: str, part: tuple[int, int], before: str, filler: int, after: str
) -> None:
    start = min(part[0], len(key) - 10)
    inner = key[start : start + part[1]]
    spelled = _ENCODERS[encoder](inner)
    with redacting(key):
        shown = sanitize(f"{before}{'x' * filler} {spelled} {after}")
        assert holds_secret(spelled)
    for at in range(len(inner) - 9):
        wanted = _ENCODERS[encoder](inner[at : at + 10])
        if "base" in encoder:
            wanted = wanted[2:-8]
        assert wanted not in shown
