from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from vaultq_core.crypto.fingerprints import word_indices
from vaultq_core.words import fingerprint_words


@given(st.binary(max_size=99))
def test_the_words_are_the_hash_in_base_7776(statement: bytes) -> None:
    number = 0
    for index in word_indices(statement):
        assert 0 <= index < 7776
        number = number * 7776 + index
    assert number == int.from_bytes(hashlib.sha256(statement).digest(), "big") % 7776**7


def test_seven_words_of_the_list_are_read_out() -> None:
    assert len(fingerprint_words(b"")) == 7
    assert fingerprint_words(b"a") != fingerprint_words(b"b")


def test_seven_words_carry_90_bits() -> None:
    assert 7776**7 > 2**90
