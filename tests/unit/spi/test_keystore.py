from __future__ import annotations

import pytest

from vaultq_core.errors import KeystoreError, Malformed
from vaultq_core.spi.keystore import (
    AES_256,
    AES_256_GCM,
    WRAPPABLE_BYTES,
    WRAPPED_CHARS,
    KeyId,
    WrappedKey,
    require_wrappable,
)

MONTH = KeyId("kem/2026-03", AES_256, 12)
WRAPPED = WrappedKey(MONTH, AES_256_GCM, bytes(range(60)))


def test_a_key_id_reads_back() -> None:
    assert str(MONTH) == "kem/2026-03:AES-256:12"
    assert KeyId.parse(str(MONTH)) == MONTH


@pytest.mark.parametrize(
    "text",
    [
        "",
        "master",
        "master:AES-256",
        "master:AES-256:0",
        "master:AES-256:01",
        "master:AES-256:-1",
        "master:AES-256:2147483648",
        "master:AES-256:1:2",
        "master:AES-256:1\n",
        "master:AES-256:\u0661",
        "master:AES-128:1",
        "Master:AES-256:1",
        "../master:AES-256:1",
        "a/b/c:AES-256:1",
        "a--b:AES-256:1",
        "a" * 65 + ":AES-256:1",
    ],
)
def test_no_other_text_is_a_key_id(text: str) -> None:
    with pytest.raises(Malformed):
        KeyId.parse(text)


def test_key_ids_are_in_order_of_version() -> None:
    assert KeyId("master", AES_256, 9) < KeyId("master", AES_256, 10)


def test_a_wrapped_key_reads_back_from_text_and_bytes() -> None:
    assert WrappedKey.parse(str(WRAPPED)) == WRAPPED
    assert WrappedKey.parse(bytes(WRAPPED)) == WRAPPED


def test_the_longest_wrapped_key_fits_its_row() -> None:
    longest = WrappedKey(KeyId("a" * 64, AES_256, 2**31 - 1), AES_256_GCM, bytes(WRAPPABLE_BYTES + 28))

    assert len(str(longest)) <= WRAPPED_CHARS
    assert WrappedKey.parse(bytes(longest)) == longest


@pytest.mark.parametrize(
    "text",
    [
        "",
        "||",
        str(WRAPPED) + "\n",
        str(WRAPPED) + "=",
        str(WRAPPED).replace("|", "||"),
        str(WRAPPED).replace("AES-256-GCM", "aes gcm"),
        str(WRAPPED)[:-1],
        "master:AES-256:1|AES-256-GCM|",
        "master:AES-256:1|AES-256-GCM|AB==",  # not the one spelling of its byte
        "master:AES-256:1|AES-256-GCM|" + "A" * WRAPPED_CHARS,
        b"\xff\xfe",
    ],
)
def test_no_other_text_is_a_wrapped_key(text: str | bytes) -> None:
    with pytest.raises(Malformed):
        WrappedKey.parse(text)


@pytest.mark.parametrize(("key", "aad"), [(b"k", b""), (b"", b"a"), (bytes(WRAPPABLE_BYTES + 1), b"a")])
def test_what_cannot_be_wrapped_is_refused(key: bytes, aad: bytes) -> None:
    with pytest.raises(KeystoreError):
        require_wrappable(key, aad)
