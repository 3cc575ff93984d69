from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vaultq_core.crypto.wrapping import unwrap, wrap
from vaultq_core.errors import Malformed, NotVerified

KEY = bytes(range(32))


@given(st.binary(max_size=200), st.binary(min_size=1, max_size=80))
def test_what_was_wrapped_unwraps(secret: bytes, aad: bytes) -> None:
    wrapped = wrap(KEY, secret, aad)
    assert unwrap(KEY, wrapped, aad) == secret
    assert len(wrapped) == 12 + len(secret) + 16


def test_two_wraps_of_one_secret_differ() -> None:
    assert wrap(KEY, b"secret", b"aad") != wrap(KEY, b"secret", b"aad")


def test_every_flipped_byte_and_every_cut_is_refused() -> None:
    wrapped = wrap(KEY, b"secret", b"aad")
    for at in range(len(wrapped)):
        with pytest.raises(NotVerified):
            unwrap(KEY, wrapped[:at] + bytes([wrapped[at] ^ 1]) + wrapped[at + 1 :], b"aad")
        with pytest.raises(NotVerified):
            unwrap(KEY, wrapped[:at], b"aad")


@pytest.mark.parametrize(("key", "aad"), [(bytes(32), b"aad"), (KEY, b"other"), (KEY, b"")])
def test_another_key_or_place_does_not_unwrap(key: bytes, aad: bytes) -> None:
    with pytest.raises(NotVerified):
        unwrap(key, wrap(KEY, b"secret", b"aad"), aad)


def test_a_secret_is_always_bound_to_something() -> None:
    with pytest.raises(Malformed):
        wrap(KEY, b"secret", b"")
