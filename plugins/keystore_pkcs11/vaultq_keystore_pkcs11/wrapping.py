"""Wrapping bytes under an AES key of the token: by AES-GCM with associated data, or by AES key wrap.

Both forms are open to other implementations: docs/spec/keys.md, "Wrapped keys".
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Any, Final

import pkcs11
from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, ObjectClass

from vaultq_core.errors import NotVerified
from vaultq_keystore_pkcs11.errors import STALE

IV_BYTES: Final = 12
TAG_BYTES: Final = 16
_BLOCK: Final = 8  # RFC 3394 wraps blocks of 64 bits
_DIGEST_BYTES: Final = 32
_SALT_BYTES: Final = 16
_END: Final = b"\x80"

_CARRIER: Final = {
    Attribute.TOKEN: False,
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: False,
    Attribute.EXTRACTABLE: True,
}
"""AES key wrap works on objects: for the length of a call, the bytes are one of this session."""


def wrap_by_gcm(key: Any, plain: bytes, aad: bytes) -> bytes:
    """Return IV ‖ ciphertext ‖ tag, as AESGCM would."""
    params = GCMParams(secrets.token_bytes(IV_BYTES), aad)
    sealed: bytes = key.encrypt(plain, mechanism=Mechanism.AES_GCM, mechanism_param=params)
    if len(sealed) == len(plain) + TAG_BYTES + IV_BYTES:  # the token made its own IV, and appended it
        return sealed[-IV_BYTES:] + sealed[:-IV_BYTES]
    return bytes(params.nonce) + sealed


def unwrap_by_gcm(key: Any, sealed: bytes, aad: bytes) -> bytes:
    """Return what was wrapped. Raises NotVerified; what STALE names passes through."""
    if len(sealed) <= IV_BYTES + TAG_BYTES:
        raise NotVerified("a wrapped key is too short")
    params = GCMParams(sealed[:IV_BYTES], aad)
    try:
        plain: bytes = key.decrypt(sealed[IV_BYTES:], mechanism=Mechanism.AES_GCM, mechanism_param=params)
    except STALE:
        raise
    except pkcs11.PKCS11Error:  # SoftHSM says GeneralError for a wrong tag, others EncryptedDataInvalid
        raise NotVerified("a wrapped key does not open: it was changed, or is bound to something else") from None
    return plain


def wrap_by_key_wrap(key: Any, plain: bytes, aad: bytes) -> bytes:
    """Return the RFC 3394 wrapping of salt ‖ `plain` ‖ 80 00… ‖ SHA-256(`aad`).

    Key wrap alone gives the same bytes for the same key, which would show that two keys are one; hence the salt.
    """
    padded = secrets.token_bytes(_SALT_BYTES) + plain + _END + bytes(-(len(plain) + 1) % _BLOCK)
    carrier = key.session.create_object(
        {
            Attribute.CLASS: ObjectClass.SECRET_KEY,
            Attribute.KEY_TYPE: KeyType.GENERIC_SECRET,
            Attribute.VALUE: padded + hashlib.sha256(aad).digest(),
            **_CARRIER,
        }
    )
    try:
        wrapped: bytes = key.wrap_key(carrier, mechanism=Mechanism.AES_KEY_WRAP)
    finally:
        carrier.destroy()
    return wrapped


def unwrap_by_key_wrap(key: Any, wrapped: bytes, aad: bytes) -> bytes:
    """Return what was wrapped. Raises NotVerified; what STALE names passes through."""
    if len(wrapped) % _BLOCK or len(wrapped) < _SALT_BYTES + _DIGEST_BYTES + 2 * _BLOCK:
        raise NotVerified("a wrapped key has an impossible length")
    try:
        carrier = key.unwrap_key(
            ObjectClass.SECRET_KEY,
            KeyType.GENERIC_SECRET,
            wrapped,
            mechanism=Mechanism.AES_KEY_WRAP,
            template=_CARRIER,
        )
    except STALE:
        raise
    except pkcs11.PKCS11Error:
        raise NotVerified("a wrapped key does not open: it was changed") from None
    try:
        opened: bytes = carrier[Attribute.VALUE]
    finally:
        carrier.destroy()
    return _without_binding(opened, aad)


def _without_binding(opened: bytes, aad: bytes) -> bytes:
    padded, digest = opened[_SALT_BYTES:-_DIGEST_BYTES], opened[-_DIGEST_BYTES:]
    if not hmac.compare_digest(digest, hashlib.sha256(aad).digest()):
        raise NotVerified("a wrapped key is bound to something else")
    plain, end, rest = padded.rpartition(_END)
    if not end or any(rest) or len(rest) >= _BLOCK:
        raise NotVerified("a wrapped key has no end")
    return plain
