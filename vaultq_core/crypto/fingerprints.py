"""Hashes as identities: of bytes, of keys, of a vault, and of an enrolment in words."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from vaultq_core.crypto.keys import PublicKey

WORDS = 7
WORD_LIST_SIZE = 7776  # EFF large list; 7 words carry 90.4 bits


def sha256_hex(data: bytes) -> str:
    """Return SHA-256 (FIPS 180-4) of `data`, 64 hex digits."""
    return hashlib.sha256(data).hexdigest()


def spki(key: PublicKey) -> bytes:
    """Return the key's DER SubjectPublicKeyInfo (RFC 5280, 4.1)."""
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def vault_id(hospital_root: PublicKey, pq_root: PublicKey) -> str:
    """Return a vault's name: SHA-256 over both roots' SubjectPublicKeyInfo, hospital's first."""
    return sha256_hex(spki(hospital_root) + spki(pq_root))


def word_indices(statement: bytes) -> tuple[int, ...]:
    """Return seven indices below 7,776 from an enrolment statement's exact bytes (docs/spec/enrolment.md).

    SHA-256 of the bytes, as one big-endian number modulo 7776^7, in base 7776, most significant first.
    """
    number = int.from_bytes(hashlib.sha256(statement).digest(), "big") % WORD_LIST_SIZE**WORDS
    return tuple(number // WORD_LIST_SIZE**place % WORD_LIST_SIZE for place in reversed(range(WORDS)))
