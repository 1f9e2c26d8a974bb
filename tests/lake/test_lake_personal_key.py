"""A key for hashing people that can be guessed is refused, and one that is random is not."""

from __future__ import annotations

import base64
import random

import pytest

from sei_provider.lake import PersonalDataError
from sei_provider.lake.personal_key import key_fingerprint, require_strong_key
from tests.examples import examples

WEAK = [
    "",
    "short",
    "aaaaaaaaaaaaaaaa",
    "0000000000000000000000000000000000000000",
    "abababababababab",
    "abcabcabcabcabcabc",
    "abcdabcdabcdabcdefgh",
    "aaaaaaaaaaaaaaab",
    "aaaaaaaabbbbbbbb",
    "aabbccddeeffgghh",
    "1111222233334444",
    "0123456789abcdef",
    "fedcba9876543210",
    "1234567890123456",
    "abcdefghijklmnop",
    "qwertyuiopasdfgh",
    "1q2w3e4r5t6y7u8i",
    "passwordpassword",
    "Password1Password1",
    "P@ssw0rdP@ssw0rd",
    "password-password-2026",
    "changemechangeme",
    "thisisasecretkey",
    "mysupersecretkey",
    "personal_data_secret",
    "harness-sei-secret-2026",
    "correcthorsebatterystaple",
    "your-secret-here!",
    "deadbeefdeadbeef",
    "Sommer2026Sommer2026",
    " " * 20,
    "\t\n" * 20,
    "ääääääääääääääää",
    "my secret key 123",
    "qazwsxedcrfvtgbyhn",
    "poiuytrewqlkjhgfdsa",
    "2026-01-01T00:00:00Z",
    "01.01.2026 12:00:00",
    "January 1st, 2026!",
    "S0mm3rS0mm3r2026",
    "Summer2026Winter2026",
    "deadbeefcafebabe",
    "3141592653589793",
    "00112233445566778899aabbccddeeff",
    "d41d8cd98f00b204e9800998ecf8427e",
]
DISGUISED = ["passwordpassword", "0123456789abcdef", "changemechangeme"]


@pytest.mark.parametrize("key", WEAK, ids=repr)
def test_issue_15_13_a_key_that_can_be_guessed_is_refused_with_how_to_make_one(key: str) -> None:
    with pytest.raises(PersonalDataError, match=r"the secret .*python -c \"import secrets; print") as caught:
        require_strong_key(key.encode(), named="the secret")
    assert not key.strip() or key not in str(caught.value)


@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode, base64.b32encode, base64.b16encode])
@pytest.mark.parametrize("key", DISGUISED)
def test_issue_15_13_a_key_that_can_be_guessed_is_refused_encoded_and_backwards_too(key, encode) -> None:
    encoded = encode(key.encode())
    for form in (encoded, encoded.rstrip(b"="), encoded + b"\n", encode(key[::-1].encode()), key[::-1].encode()):
        with pytest.raises(PersonalDataError, match="easy to guess"):
            require_strong_key(form, named="the secret")


@pytest.mark.parametrize("key", ["sixteen bytes or more", "a secret of sixteen", "another secret, longer"])
def test_issue_15_13_a_phrase_that_is_no_list_of_common_words_passes(key: str) -> None:
    assert require_strong_key(key.encode(), named="the secret") == key.encode()


def test_issue_15_13_no_random_key_is_refused() -> None:
    numbers = random.Random(15)  # noqa: S311 - the same keys every time
    for _ in range(examples(300)):
        data = numbers.randbytes(32)
        for key in (data, data[:16], data[:16].hex().encode(), data.hex().encode()):
            assert require_strong_key(key, named="the secret") == key


def test_a_fingerprint_tells_keys_apart() -> None:
    assert key_fingerprint(b"a" * 32) != key_fingerprint(b"b" * 32)
    assert len(key_fingerprint(b"a" * 32)) == 16
