"""Strength of the key under which names and e-mail addresses are hashed.

With a key that can be guessed, anybody who guesses names can tell whose hash is whose. Plain Python, cheap to import.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import re

from sei_provider.lake.errors import PersonalDataError

MIN_KEY_BYTES = 16
_MIN_BITS = 44
"""Guesses, as a power of two, that a key is worth at least. Sixteen random hex digits are worth 64."""
MAKE_A_KEY = 'make one with: python -c "import secrets; print(secrets.token_hex(32))"'

_WORD_BITS = 8.0
_TEXT = """
1qaz2wsx 3edc4rfv abc access account address admin airflow amet and anonymous api apikey app apple asdf asdfgh
asdfghjkl bar baseball batman battery baz change changeit changeme changethis client company cookie correct crypto
data database default demo dev developer development dolor domain donttell dragon dummy email enter example fake flask
foo foobar football for freedom github google guest harness hash hashing hashkey hello here hidden hmac horse hunter
iloveyou insert insights internal ipsum is key keyboard lake letmein login long lorem love master minimum monkey my
mypassword name names never not note nothing null of only our pass passphrase passw0rd password people pepper personal
personaldata placeholder please princess private prod production project provider public put qazwsx qweasdzxc qwer
qwert qwerty qwertyuiop qwertz random really replace root salt sample secret secretkey secrets secure security sei
shadow shared signing simple sit some something staging staple string strong sunshine super superman supersecret
system temp temporary test testing the this to todo token tomcat top topsecret trustno trustno1 unknown user username
value very weak welcome whatever word world your yxcvbnm zaq zxcvbn zxcvbnm
"""
_WORDS = frozenset(_TEXT.split())
_LONGEST_WORD = max(map(len, _WORDS))
_COPY_BITS = 6.0
_SHORTEST_COPY = 3
_STEP_BITS = 1.0
_SEPARATORS = frozenset(" -_.,:/")
_YEAR = re.compile("(19|20)[0-9][0-9]")


def require_strong_key(key: bytes | None, *, named: str) -> bytes:
    """Return the key; raise `PersonalDataError` if it is missing, short, a repeated pattern, or made of common words.

    `named` is what the user gave it as. The message holds nothing of the key.
    """
    if not key:
        msg = f"{named} is missing: names and e-mail addresses are hashed under a secret key; {MAKE_A_KEY}"
        raise PersonalDataError(msg)
    if len(key) < MIN_KEY_BYTES:
        msg = (
            f"{named} needs at least {MIN_KEY_BYTES} bytes, got {len(key)}: without a secret key, anybody could "
            f"recover names and addresses by hashing guesses; {MAKE_A_KEY}"
        )
        raise PersonalDataError(msg)
    if guess_bits(key) < _MIN_BITS:
        msg = (
            f"{named} is easy to guess, because it repeats a pattern or is made of common words, so anybody could "
            f"recover names and addresses by hashing guesses; {MAKE_A_KEY}"
        )
        raise PersonalDataError(msg)
    return key


def key_fingerprint(key: bytes) -> str:
    """Return 16 hex digits that tell keys apart and tell nothing of a key."""
    return hmac.new(key, b"sei_provider: fingerprint of the key for personal data", hashlib.sha256).hexdigest()[:16]


def guess_bits(key: bytes) -> float:
    """Estimate the binary logarithm of the guesses that a key takes: its cheapest description, piece by piece.

    A piece is a character, a common word or a year, a separator, a character that continues a row (`aaaa`, `abcd`,
    `4321`), or a copy of what stood before. Two rows may be interleaved (`1q2w3e4r`). Only the first 128 bytes count.
    """
    text = key[:128].decode("latin-1").strip()
    per_character = math.log2(_alphabet(text)) if text else 0.0
    plain = text.lower()
    apart = _cheapest(plain[::2], per_character) + _cheapest(plain[1::2], per_character)
    return min(_cheapest(plain, per_character), apart + _COPY_BITS)


def _cheapest(text: str, per_character: float) -> float:
    best = [0.0] + [math.inf] * len(text)
    for end in range(1, len(text) + 1):
        is_cheap = text[end - 1] in _SEPARATORS or _goes_on(text[max(0, end - 3) : end])
        best[end] = best[end - 1] + (min(_STEP_BITS, per_character) if is_cheap else per_character)
        for start in range(max(0, end - _LONGEST_WORD), end - 1):
            if text[start:end] in _WORDS or _YEAR.fullmatch(text[start:end]):
                best[end] = min(best[end], best[start] + _WORD_BITS)
        for start in range(1, end - _SHORTEST_COPY + 1):
            if text.find(text[start:end]) < start:
                best[end] = min(best[end], best[start] + _COPY_BITS)
                break  # a longer copy is cheaper than a shorter one
    return best[len(text)]


def _goes_on(three: str) -> bool:
    if len(three) < 3:  # noqa: PLR2004
        return False
    first, second, third = map(ord, three)
    return third - second == second - first and abs(third - second) <= 1


def _alphabet(text: str) -> int:
    """Return how many characters each one could have been, judged by the kinds that occur and how many differ."""
    if all(character in "0123456789abcdef" for character in text):
        size = 16 if any(character in "abcdef" for character in text) else 10
    else:
        kinds = ((str.islower, 26), (str.isupper, 26), (str.isdigit, 10))
        size = sum(count for is_kind, count in kinds if any(map(is_kind, text)))
        size += 33 if any(not character.isalnum() for character in text) else 0
        size += 100 if any(ord(character) > 127 for character in text) else 0  # noqa: PLR2004
    return max(2, min(size, 2 * len(set(text))))
