"""Strength of the key under which names and e-mail addresses are hashed.

With a key that can be guessed, anybody who guesses names can tell whose hash is whose. Plain Python, cheap to import.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import re
from collections.abc import Iterator
from functools import partial

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
2718281828459045 2852 31415926535 8979323846 1123581321345589 1248163264128256 141421356 1618033988 bad beef cafe
cafebabe dead deadbeef face feed d41d8cd98f00b204e9800998ecf8427e 5f4dcc3b5aa765d61d8327deb882cf99
00112233445566778899aabbccddeeff april august autumn december february friday january july june march may monday
november october saturday september spring summer sommer sunday thursday tuesday wednesday winter acme berlin company
corp corporation department engineering europe london paris productivity software developerproductivity bhu bgt cde
edc esz ijn mko nhy nji okm okn ijb plm poiuytrewq qaz rfv tgb uhb ujm vfr vgy wsx xdr xsw yhn ygv zse zxc rty fgh
vbn uio jkl bnm geheim passwort kennwort motdepasse contrasena michael jennifer jessica fox brown quick jumps over lazy
dog bit random phrase must be characters
"""
_WORDS = frozenset(_TEXT.split())
_LONGEST_WORD = max(map(len, _WORDS))
_COPY_BITS = 6.0
_SHORTEST_COPY = 3
_STEP_BITS = 1.0
_HEX_ROWS = frozenset({"89a", "9ab", "ba9", "a98"})
_SEPARATORS = frozenset(" -_.,:/")
_YEAR = re.compile("(19|20)[0-9][0-9]")
_DATE = re.compile(
    r"(19|20)[0-9]{2}[-/.]?[0-1][0-9][-/.]?[0-3][0-9]|[0-3][0-9][-/.]?[0-1][0-9][-/.]?(19|20)[0-9]{2}"
    r"|[0-2][0-9]:[0-5][0-9](:[0-5][0-9])?"
)
_DATE_BITS = 14.0
_LEET = str.maketrans("013457@$!", "oieastasi")
_NOT_PRINTABLE = re.compile(rb"[^\t\n\r -~]")


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
    `4321`), or a copy of what stood before. Two rows may be interleaved (`1q2w3e4r`), and the whole be spelled
    backwards, with digits for letters, or encoded as base64, base32 or hex. Only the first 128 bytes count.
    """
    text = key[:128].decode("latin-1").strip()
    per_character = math.log2(_alphabet(text)) if text else 0.0
    plain = text.lower()
    even, odd = plain[::2], plain[1::2]
    apart = _cheapest(even, per_character) + (0.0 if even == odd else _cheapest(odd, per_character))
    disguised = [_cheapest(other, per_character) for other in (plain[::-1], plain.translate(_LEET))]
    inner = [guess_bits(decoded) for decoded in _decoded(key.strip())]
    return min(_cheapest(plain, per_character), *inner, *(bits + _COPY_BITS for bits in (apart, *disguised)))


def _decoded(key: bytes) -> Iterator[bytes]:
    """Yield the texts that a key encodes; random bytes are hardly ever text."""
    bare = key.rstrip(b"=")
    encoded = bare.translate(bytes.maketrans(b"-_", b"+/"))
    for decode, text, unit in (
        (base64.b16decode, bare.upper(), 2),
        (base64.b32decode, bare.upper(), 8),
        (partial(base64.b64decode, validate=True), encoded, 4),
    ):
        try:
            found = decode(text + b"=" * (-len(text) % unit))
        except ValueError:
            continue
        if found and not _NOT_PRINTABLE.search(found):
            yield found


def _cheapest(text: str, per_character: float) -> float:
    best = [0.0] + [math.inf] * len(text)
    for end in range(1, len(text) + 1):
        is_cheap = text[end - 1] in _SEPARATORS or _goes_on(text[max(0, end - 3) : end])
        best[end] = best[end - 1] + (min(_STEP_BITS, per_character) if is_cheap else per_character)
        for start in range(max(0, end - _LONGEST_WORD), end - 1):
            if text[start:end] in _WORDS or _YEAR.fullmatch(text[start:end]):
                best[end] = min(best[end], best[start] + _WORD_BITS)
            elif _DATE.fullmatch(text[start:end]):
                best[end] = min(best[end], best[start] + _DATE_BITS)
        for start in range(1, end - _SHORTEST_COPY + 1):
            if text.find(text[start:end]) < start:
                best[end] = min(best[end], best[start] + _COPY_BITS)
                break  # a longer copy is cheaper than a shorter one
    return best[len(text)]


def _goes_on(three: str) -> bool:
    if len(three) < 3:  # noqa: PLR2004
        return False
    first, second, third = map(ord, three)
    return three in _HEX_ROWS or (third - second == second - first and abs(third - second) <= 1)


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
