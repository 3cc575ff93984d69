"""Payload encryption: C2SP chunked-encryption, Cobblestone-256 (docs/spec/suites.md).

A DEK is only ever a Cobblestone input key. The context names direction, part, suite and the hash that
the bytes are bound to, so nothing sealed for one place opens in another. Output: salt 24 ‖ commitment
32 ‖ chunks of 16 KiB with a 16-byte tag each.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, Literal

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag

from vaultq_core.errors import Malformed, NotVerified

DEK_BYTES: Final = 32
HEAD_BYTES: Final = 56
_CHUNK_BYTES: Final = 16 * 1024
_TAG_BYTES: Final = 16

Direction = Literal["upload", "store", "answer"]
Part = Literal["manifest", "content", "message"]


def payload_context(direction: Direction, part: Part, suite: str, bound_to: str) -> bytes:
    """Return the context; `bound_to` is 64 hex digits: a manifest's hash, or for answers a request's."""
    return f"vaultq/{direction}/{part}/v1".encode() + suite.encode() + bytes.fromhex(bound_to)


def encrypted_length(length: int) -> int:
    """Return how many bytes `length` bytes of plaintext become."""
    chunks = length // _CHUNK_BYTES + 1  # the last chunk is always shorter, if need be empty
    return HEAD_BYTES + length + chunks * _TAG_BYTES


def encrypt(dek: bytes, context: bytes, plaintext: bytes) -> bytes:
    """Return one encrypted message."""
    encryptor = Cobblestone256Encryptor(_require_dek(dek), context)
    return encryptor.update(plaintext) + encryptor.finalize()


def decrypt(dek: bytes, context: bytes, ciphertext: bytes) -> bytes:
    """Return one whole message. Raises NotVerified when any of it was changed, cut or extended."""
    return b"".join(decrypt_chunks(dek, context, (ciphertext,)))


def encrypt_chunks(dek: bytes, context: bytes, plaintext: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the encryption of a stream, as it goes."""
    encryptor = Cobblestone256Encryptor(_require_dek(dek), context)
    for chunk in plaintext:
        if data := encryptor.update(chunk):
            yield data
    yield encryptor.finalize()


def decrypt_chunks(dek: bytes, context: bytes, ciphertext: Iterable[bytes]) -> Iterator[bytes]:
    """Yield authenticated plaintext as it goes; the whole is proven only when the iteration ends.

    Raises NotVerified at the first chunk that does not authenticate, and at the end of a cut stream.
    """
    decryptor = Cobblestone256Decryptor(_require_dek(dek), context)
    try:
        for chunk in ciphertext:
            if data := decryptor.update(chunk):
                yield data
        if data := decryptor.finalize():
            yield data
    except InvalidTag:
        raise NotVerified("the encrypted data was changed, cut or belongs elsewhere") from None


def _require_dek(dek: bytes) -> bytes:
    if len(dek) != DEK_BYTES:
        raise Malformed(f"a DEK has {DEK_BYTES} bytes")
    return dek
