from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cryptography_vectors
import pytest
from cryptography.cobblestone import Cobblestone256Decryptor
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures import chunked_encryption as formulas
from tests.fixtures.hospital import seed
from vaultq_core.crypto import payload
from vaultq_core.errors import Malformed, NotVerified

VECTORS = Path(cryptography_vectors.__file__).parent / "chunked-encryption" / "vectors.json"
PUBLISHED = [
    vector for vector in json.loads(VECTORS.read_text("utf-8"))["vectors"] if vector["aead"] == "AEAD_AES_256_GCM"
]
DEK, CONTEXT = seed("dek"), b"context"


def ciphertext_of(vector: dict[str, Any]) -> bytes:
    data = base64.b64decode(vector["ciphertext"] or "")
    return zlib.decompress(data) if vector.get("compressed") else data


@pytest.mark.parametrize("vector", PUBLISHED, ids=lambda vector: vector["name"])
def test_the_formulas_fit_the_published_vectors_which_derive_with_sha_256(vector: dict[str, Any]) -> None:
    key, context = bytes.fromhex(vector["key"]), vector["context"].encode()
    ciphertext = ciphertext_of(vector)
    if vector["expect"] != "success":
        with pytest.raises(InvalidTag):
            formulas.decrypt(key, context, ciphertext, hashes.SHA256())
        return
    plaintext = formulas.decrypt(key, context, ciphertext, hashes.SHA256())
    assert hashlib.sha256(plaintext).hexdigest() == vector["payload_sha256"]
    assert payload.encrypted_length(len(plaintext)) == len(ciphertext)


@pytest.mark.parametrize("length", [0, 1, 16_383, 16_384, 16_385, 32_768, 257 * 16_384 + 1])
def test_the_engine_is_the_formulas_with_sha_512(length: int) -> None:
    message, salt = hashlib.shake_256(b"message").digest(length), seed("salt")[:24]
    theirs = formulas.encrypt(DEK, CONTEXT, salt, message, hashes.SHA512())
    assert payload.decrypt(DEK, CONTEXT, theirs) == message
    assert formulas.decrypt(DEK, CONTEXT, payload.encrypt(DEK, CONTEXT, message), hashes.SHA512()) == message


@pytest.mark.parametrize("vector", PUBLISHED, ids=lambda vector: vector["name"])
def test_the_engine_refuses_what_was_derived_with_another_hash(vector: dict[str, Any]) -> None:
    ciphertext = ciphertext_of(vector)
    with pytest.raises((NotVerified, Malformed)):
        payload.decrypt(bytes.fromhex(vector["key"]), vector["context"].encode(), ciphertext)


def test_the_published_vectors_are_there() -> None:
    assert {vector["expect"] == "success" for vector in PUBLISHED} == {True, False}


@given(st.lists(st.binary(max_size=20_000), max_size=5), st.integers(1, 20_000))
def test_a_stream_comes_back_however_it_is_cut(chunks: list[bytes], size: int) -> None:
    sealed = b"".join(payload.encrypt_chunks(DEK, CONTEXT, chunks))
    pieces = (sealed[at : at + size] for at in range(0, len(sealed), size))
    assert b"".join(payload.decrypt_chunks(DEK, CONTEXT, pieces)) == b"".join(chunks)
    assert len(sealed) == payload.encrypted_length(len(b"".join(chunks)))


@pytest.mark.parametrize("length", [0, 1, 16_383, 16_384, 16_385, 32_768])
def test_the_length_is_known_beforehand(length: int) -> None:
    assert len(payload.encrypt(DEK, CONTEXT, bytes(length))) == payload.encrypted_length(length)


def test_every_flipped_byte_is_refused() -> None:
    sealed = payload.encrypt(DEK, CONTEXT, b"a short message")
    for at in range(len(sealed)):
        with pytest.raises(NotVerified):
            payload.decrypt(DEK, CONTEXT, sealed[:at] + bytes([sealed[at] ^ 0x80]) + sealed[at + 1 :])


def test_every_cut_is_refused() -> None:
    sealed = payload.encrypt(DEK, CONTEXT, b"a short message")
    for length in range(len(sealed)):
        with pytest.raises(NotVerified):
            payload.decrypt(DEK, CONTEXT, sealed[:length])


def test_what_arrives_before_a_damaged_chunk_is_authentic_and_the_rest_never_comes() -> None:
    sealed = bytearray(payload.encrypt(DEK, CONTEXT, bytes(40_000)))
    sealed[-1] ^= 1
    pieces = (bytes(sealed[at : at + 999]) for at in range(0, len(sealed), 999))
    got: list[bytes] = []
    with pytest.raises(NotVerified):
        got.extend(payload.decrypt_chunks(DEK, CONTEXT, pieces))
    assert b"".join(got) == bytes(32_768)


def test_the_source_s_own_error_passes_through() -> None:
    def stalled() -> Iterator[bytes]:
        yield payload.encrypt(DEK, CONTEXT, b"x")[:60]
        raise TimeoutError

    with pytest.raises(TimeoutError):
        list(payload.decrypt_chunks(DEK, CONTEXT, stalled()))


def test_no_two_places_share_a_context() -> None:
    directions, parts = ("upload", "store", "answer"), ("manifest", "content", "message")
    contexts = {
        payload.payload_context(direction, part, suite, bound)  # type: ignore[arg-type]
        for direction in directions
        for part in parts
        for suite in ("VQ-65", "VQ-87")
        for bound in ("00" * 32, "01" * 32)
    }
    assert len(contexts) == 36


def test_a_context_has_the_bytes_of_the_specification() -> None:
    context = payload.payload_context("upload", "content", "VQ-65", "ab" * 32)
    assert context == b"vaultq/upload/content/v1VQ-65" + b"\xab" * 32
    with pytest.raises(InvalidTag):
        Cobblestone256Decryptor(DEK, context + b"x").update(payload.encrypt(DEK, context, b"x"))
