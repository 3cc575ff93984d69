"""Sealing to a public key: HPKE base mode (RFC 9180), MLKEM768-X25519, HKDF-SHA256, AES-256-GCM.

A private key is kept as its 32-byte seed and expanded by SHAKE256 to 64 bytes for ML-KEM-768 and
32 for X25519, as X-Wing does (draft-connolly-cfrg-xwing-kem, 5.2). The AAD is empty; what a message
is bound to stands in `info` (docs/spec/suites.md).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519

from vaultq_core.crypto.keys import SEED_BYTES
from vaultq_core.errors import Malformed, NotVerified
from vaultq_core.wire.statements import KEM_PUBLIC_KEY_BYTES

_MLKEM768_PUBLIC_BYTES = 1184  # FIPS 203, table 3
_MLKEM_SEED_BYTES = 64
_SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)


@dataclass(frozen=True, slots=True)
class KemPrivateKey:
    """A KEM key with its public half, raw (1,216 bytes: ML-KEM-768 ‖ X25519)."""

    public: bytes
    _key: hpke.MLKEM768X25519PrivateKey = field(repr=False)

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """Return the plaintext. Raises NotVerified when it was not sealed to this key with this info."""
        try:
            return _SUITE.decrypt(sealed, self._key, info)
        except (InvalidTag, ValueError):
            raise NotVerified("the sealed message does not open with this key and purpose") from None


def kem_private_key(seed: bytes) -> KemPrivateKey:
    """Return the key of a 32-byte seed. Raises Malformed for another length."""
    if len(seed) != SEED_BYTES:
        raise Malformed("a KEM seed has 32 bytes")
    expanded = hashlib.shake_256(seed).digest(_MLKEM_SEED_BYTES + SEED_BYTES)
    mlkem_key = mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:_MLKEM_SEED_BYTES])
    x25519_key = x25519.X25519PrivateKey.from_private_bytes(expanded[_MLKEM_SEED_BYTES:])
    public = mlkem_key.public_key().public_bytes_raw() + x25519_key.public_key().public_bytes_raw()
    return KemPrivateKey(public, hpke.MLKEM768X25519PrivateKey(mlkem_key, x25519_key))


def seal(public: bytes, plaintext: bytes, info: bytes) -> bytes:
    """Return encapsulation ‖ ciphertext for a raw public key. Raises Malformed for a bad key."""
    if len(public) != KEM_PUBLIC_KEY_BYTES:
        raise Malformed(f"a KEM public key has {KEM_PUBLIC_KEY_BYTES} bytes")
    try:
        key = hpke.MLKEM768X25519PublicKey(
            mlkem.MLKEM768PublicKey.from_public_bytes(public[:_MLKEM768_PUBLIC_BYTES]),
            x25519.X25519PublicKey.from_public_bytes(public[_MLKEM768_PUBLIC_BYTES:]),
        )
        return _SUITE.encrypt(plaintext, key, info)
    except ValueError:
        raise Malformed("this is not a KEM public key") from None


def upload_info(suite: str, vault: str, recipient: bytes, manifest_hash: str) -> bytes:
    """Return the HPKE info of an upload's DEK; `recipient` is the raw public key."""
    return _info(b"vaultq/upload/v1", suite, vault, recipient) + bytes.fromhex(manifest_hash)


def request_info(suite: str, vault: str, recipient: bytes) -> bytes:
    """Return the HPKE info of a sealed request."""
    return _info(b"vaultq/request/v1", suite, vault, recipient)


def recovery_info(suite: str, vault: str, recipient: bytes, patient: str) -> bytes:
    """Return the HPKE info of a patient key that is sealed to the recovery key."""
    return _info(b"vaultq/recovery/v1", suite, vault, recipient) + patient.encode()


def _info(label: bytes, suite: str, vault: str, recipient: bytes) -> bytes:
    return label + suite.encode() + bytes.fromhex(vault) + hashlib.sha256(recipient).digest()
