"""What VaultQ's objects look like in a token: labels, ids, and the narrow templates of their keys.

    vaultq:<purpose>:<algorithm>:<version>      a key; of a signing key, its private and its public half
    vaultq:issued:<purpose>:<algorithm>:<version>  a mark (CKO_DATA): this id was given, and never is again

CKA_ID is the time of creation (8 bytes, POSIX seconds, big-endian) and 8 random bytes.
Every value here is checked before it gets to the module, which a wrong type would end.
"""

from __future__ import annotations

import secrets
import struct
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.attributes import AttributeMapper
from pkcs11.util.ec import encode_named_curve_parameters

from vaultq_core.spi.keystore import AES_256_GCM, KeyId

APPLICATION: Final = "vaultq"
PREFIX: Final = "vaultq:"
MARK: Final = "vaultq:issued:"
SCALAR_BYTES: Final = 48  # P-384
P384: Final = encode_named_curve_parameters("secp384r1")
_ID_BYTES: Final = 16

Template = dict[Attribute, Any]


def _mapper() -> AttributeMapper:
    mapper = AttributeMapper()
    mapper.register_handler(
        Attribute.ALLOWED_MECHANISMS,
        lambda value: struct.pack(f"@{len(value)}L", *value),
        lambda data: [*struct.unpack(f"@{len(data) // struct.calcsize('@L')}L", data)],
    )
    return mapper


MAPPER: Final = _mapper()


def label_of(key_id: KeyId) -> str:
    """Return the label of a key's objects."""
    return f"{PREFIX}{key_id}"


def new_id(now: int) -> bytes:
    """Return a CKA_ID for a key that is made at `now`, POSIX seconds."""
    return now.to_bytes(8, "big") + secrets.token_bytes(_ID_BYTES - 8)


def created_of(object_id: bytes) -> int:
    """Return when a key was made by its CKA_ID; 0 for one that is not ours."""
    return int.from_bytes(object_id[:8], "big") if len(object_id) == _ID_BYTES else 0


def mark(key_id: KeyId) -> Template:
    """Return the template of a mark."""
    return {
        Attribute.CLASS: ObjectClass.DATA,
        Attribute.TOKEN: True,
        Attribute.PRIVATE: True,
        Attribute.APPLICATION: APPLICATION,
        Attribute.LABEL: f"{MARK}{key_id}",
        Attribute.VALUE: str(key_id).encode(),
    }


def wrapping_key(algorithm: str) -> Template:
    """Return the template of an AES key that wraps by `algorithm` and does nothing else.

    A key for GCM encrypts and decrypts; it may neither wrap nor unwrap objects of the token. A key for AES key wrap
    wraps and unwraps, since many tokens offer that mechanism in no other way, and neither encrypts nor decrypts.
    """
    by_gcm = algorithm == AES_256_GCM
    return {
        **_KEPT_IN,
        Attribute.ENCRYPT: by_gcm,
        Attribute.DECRYPT: by_gcm,
        Attribute.WRAP: not by_gcm,
        Attribute.UNWRAP: not by_gcm,
        Attribute.SIGN: False,
        Attribute.VERIFY: False,
        Attribute.DERIVE: False,
        Attribute.ALLOWED_MECHANISMS: [Mechanism.AES_GCM if by_gcm else Mechanism.AES_KEY_WRAP],
    }


def private_key() -> Template:
    """Return the template of a private key that signs by ECDSA and does nothing else."""
    return {
        **_KEPT_IN,
        Attribute.SIGN: True,
        Attribute.DECRYPT: False,
        Attribute.UNWRAP: False,
        Attribute.DERIVE: False,
        Attribute.ALLOWED_MECHANISMS: [Mechanism.ECDSA],
    }


def public_key() -> Template:
    """Return the template of its public half, which may be read by all."""
    return {
        Attribute.PRIVATE: False,
        Attribute.MODIFIABLE: False,
        Attribute.VERIFY: True,
        Attribute.ENCRYPT: False,
        Attribute.WRAP: False,
    }


def imported_halves(key: ec.EllipticCurvePrivateKey, label: str, object_id: bytes) -> tuple[Template, Template]:
    """Return whole templates for C_CreateObject of a P-384 key: private, public."""
    same = {
        Attribute.KEY_TYPE: KeyType.EC,
        Attribute.TOKEN: True,
        Attribute.EC_PARAMS: P384,
        Attribute.LABEL: label,
        Attribute.ID: object_id,
    }
    scalar = key.private_numbers().private_value.to_bytes(SCALAR_BYTES, "big")
    private = {Attribute.CLASS: ObjectClass.PRIVATE_KEY, **same, **private_key(), Attribute.VALUE: scalar}
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    octets = b"\x04" + bytes([len(point)]) + point  # DER OCTET STRING; 97 bytes have a short length
    public = {Attribute.CLASS: ObjectClass.PUBLIC_KEY, **same, **public_key(), Attribute.EC_POINT: octets}
    return private, public


_KEPT_IN: Final[Template] = {
    Attribute.PRIVATE: True,
    Attribute.SENSITIVE: True,
    Attribute.EXTRACTABLE: False,
    Attribute.MODIFIABLE: False,
}
