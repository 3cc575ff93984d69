"""Wrapping small secrets in memory: AES-256-GCM (NIST SP 800-38D), iv 12 ‖ ciphertext ‖ tag 16.

A keystore wraps the same way inside its own walls (`spi.keystore`); this is for keys that are open in
memory: a patient's key wraps DEKs, demographics and salts.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vaultq_core.errors import Malformed, NotVerified

KEY_BYTES = 32
_IV_BYTES = 12


def wrap(key: bytes, plaintext: bytes, aad: bytes) -> bytes:
    """Return `plaintext` sealed under the 32-byte `key`, bound to `aad`. Raises Malformed for an empty AAD."""
    if not aad:
        raise Malformed("a wrapped secret is bound to something")
    iv = secrets.token_bytes(_IV_BYTES)
    return iv + AESGCM(key).encrypt(iv, plaintext, aad)


def unwrap(key: bytes, wrapped: bytes, aad: bytes) -> bytes:
    """Return the plaintext. Raises NotVerified for another key, another AAD or changed bytes."""
    try:
        return AESGCM(key).decrypt(wrapped[:_IV_BYTES], wrapped[_IV_BYTES:], aad)
    except (InvalidTag, ValueError):
        raise NotVerified("the wrapped secret does not open: other key, other purpose or changed bytes") from None
