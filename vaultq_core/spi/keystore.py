"""The keystore plug point: what a file, a token or an HSM has to do for VaultQ.

Two kinds of key: AES-256 keys wrap other keys (AES-256-GCM), EC-P384 keys sign certificates and CRLs.
A key is named by purpose, algorithm and version and keeps that name for ever. A purpose has one
algorithm; its newest version that is not destroyed is current.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from vaultq_core.errors import KeystoreError, Malformed

AES_256 = "AES-256"
EC_P384 = "EC-P384"
ALGORITHMS = (AES_256, EC_P384)
MASTER = "master"

AES_256_GCM = "AES-256-GCM"  # ciphertext = 12-byte random IV ‖ sealed key ‖ 16-byte tag
AES_256_KW = "AES-256-KW"  # for tokens without GCM: RFC 3394, 16 random bytes ‖ key ‖ 80 00… ‖ SHA-256(aad)

PURPOSE_CHARS = 64
LAST_VERSION = 2**31 - 1
WRAPPABLE_BYTES = 4096  # the longest key: an ML-KEM or ML-DSA key in expanded form
WRAP_OVERHEAD_BYTES = 64  # an IV and a tag (28), with room for a second wrapping algorithm
WRAPPED_CHARS = 8 * 1024

_PURPOSE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*(/[a-z0-9]+(-[a-z0-9]+)*)?", re.ASCII)
_KEY_ID = re.compile(r"(?P<purpose>[^:]+):(?P<algorithm>[^:]+):(?P<version>[1-9][0-9]{0,9})", re.ASCII)
_WRAP_ALGORITHM = re.compile(r"[A-Z0-9]+(-[A-Z0-9]+)*", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class KeyId:
    """The lasting name of one key; its text form is `purpose:algorithm:version`, for instance `kem/2026-03:AES-256:1`.

    Raises Malformed for a purpose, algorithm or version that cannot be.
    """

    purpose: str
    algorithm: str
    version: int

    def __post_init__(self) -> None:
        if len(self.purpose) > PURPOSE_CHARS or not _PURPOSE.fullmatch(self.purpose):
            raise Malformed("a key's purpose is lower-case words, digits and hyphens, with one slash at most")
        if self.algorithm not in ALGORITHMS:
            raise Malformed(f"a key's algorithm is one of {', '.join(ALGORITHMS)}")
        if not 1 <= self.version <= LAST_VERSION:
            raise Malformed("a key's version is a number from 1 on")

    def __str__(self) -> str:
        return f"{self.purpose}:{self.algorithm}:{self.version}"

    @classmethod
    def parse(cls, text: str) -> KeyId:
        """Read the text form back. Raises Malformed."""
        found = _KEY_ID.fullmatch(text)
        if found is None:
            raise Malformed("a key id reads `purpose:algorithm:version`")
        return cls(found["purpose"], found["algorithm"], int(found["version"]))


class Provenance(Enum):
    """Where a key came into being. Only a key made here was never anywhere else."""

    MADE_HERE = "made here"
    IMPORTED = "imported"


@dataclass(frozen=True, slots=True)
class KeyInfo:
    """What may be told of a key; `created` in POSIX seconds (UTC)."""

    key_id: KeyId
    provenance: Provenance
    created: int


@dataclass(frozen=True, slots=True)
class KeystoreInfo:
    """What may be told of a keystore: backend ("file", "pkcs11"), place (path, token label), keys in order of id.

    `imports_signing_keys` and `exports_signing_keys`: whether it is a SigningKeyImporter or a SigningKeyExporter.
    `details` are names and values for people: module, serial number, wrapping algorithm and so on.
    """

    backend: str
    place: str
    keys: tuple[KeyInfo, ...]
    imports_signing_keys: bool = False
    exports_signing_keys: bool = False
    details: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """A key under a keystore's key, as it stands in a registry row.

    Its text form is `key id|algorithm|base64`, at most WRAPPED_CHARS characters of ASCII.
    """

    key_id: KeyId
    algorithm: str
    ciphertext: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.algorithm) > PURPOSE_CHARS or not _WRAP_ALGORITHM.fullmatch(self.algorithm):
            raise Malformed("a wrapping algorithm is upper-case words and digits")
        if not 1 <= len(self.ciphertext) <= WRAPPABLE_BYTES + WRAP_OVERHEAD_BYTES:
            raise Malformed("a wrapped key has an impossible length")

    def __str__(self) -> str:
        return f"{self.key_id}|{self.algorithm}|{base64.b64encode(self.ciphertext).decode()}"

    def __bytes__(self) -> bytes:
        return str(self).encode()

    @classmethod
    def parse(cls, text: str | bytes) -> WrappedKey:
        """Read either form back; only the one exact spelling is taken. Raises Malformed."""
        if len(text) > WRAPPED_CHARS:
            raise Malformed("a wrapped key is longer than any can be")
        try:
            plain = text if isinstance(text, str) else text.decode("ascii")
            key_id, algorithm, sealed = plain.split("|")
            wrapped = cls(KeyId.parse(key_id), algorithm, base64.b64decode(sealed, validate=True))
        except (ValueError, binascii.Error):
            raise Malformed("a wrapped key reads `key id|algorithm|base64`") from None
        if str(wrapped) != plain:
            raise Malformed("a wrapped key is not in its one exact spelling")
        return wrapped


class Keystore(Protocol):
    """Holds the keys that hold everything else. Threads and processes may use one keystore at the same time.

    Every method may raise KeystoreUnavailable (does not answer) and KeystoreError (refuses).
    """

    def info(self) -> KeystoreInfo:
        """Return backend, and keys with versions and provenance; no secrets."""
        ...

    def create_key(self, purpose: str, algorithm: str, *, above: int = 0) -> KeyId:
        """Make the next version of a purpose's key and make it current; durable on return.

        The version is greater than `above`: keys that move here from another keystore keep ids of their own.

        Raises Malformed for an impossible purpose or algorithm, KeystoreError when the purpose has another algorithm.
        """
        ...

    def current_key(self, purpose: str) -> KeyId:
        """Return the newest version that is not destroyed. Raises KeyNotFound."""
        ...

    def wrap_key(self, key: bytes, *, aad: bytes, key_id: KeyId | None = None) -> WrappedKey:
        """Wrap 1 to WRAPPABLE_BYTES bytes, bound to a non-empty `aad`; without `key_id` under the current `master` key.

        Raises KeyNotFound; KeystoreError for an empty `aad`, a wrong length, or a key that cannot wrap.
        """
        ...

    def unwrap_key(self, wrapped: WrappedKey, *, aad: bytes) -> bytes:
        """Return the key again. Raises NotVerified when bytes or `aad` differ, KeyNotFound when its key is gone."""
        ...

    def destroy_key(self, key_id: KeyId) -> None:
        """Remove one version for good; durable on return. Raises KeyNotFound."""
        ...

    def signer(self, key_id: KeyId) -> ec.EllipticCurvePrivateKey:
        """Return a key for cryptography's builders; it may live elsewhere and refuse export.

        Raises KeyNotFound; KeystoreError for a key that cannot sign.
        """
        ...

    def close(self) -> None:
        """Forget secrets and let go of the backend; may be called twice. Later calls raise KeystoreUnavailable."""
        ...


class SigningKeyImporter(Protocol):
    """An extra of a keystore: it takes signing keys that were made elsewhere."""

    def import_signing_key(self, purpose: str, key: ec.EllipticCurvePrivateKey, *, above: int = 0) -> KeyId:
        """Keep a P-384 key as the purpose's next version, as `create_key` does; its provenance says `imported`.

        Raises what `create_key` raises; Malformed for a key on another curve.
        """
        ...


class SigningKeyExporter(Protocol):
    """An extra of a keystore that can give its signing keys away, to move them into a better one."""

    def export_signing_key(self, key_id: KeyId) -> ec.EllipticCurvePrivateKey:
        """Return the private key itself. Raises KeyNotFound; KeystoreError for a key that cannot sign."""
        ...


def require_wrappable(key: bytes, aad: bytes) -> None:
    """Refuse what every `wrap_key` refuses: an empty `aad`, an empty or an over-long key. Raises KeystoreError."""
    if not aad:
        raise KeystoreError("a key is wrapped for nothing: its associated data is empty")
    if not 1 <= len(key) <= WRAPPABLE_BYTES:
        raise KeystoreError(f"a key of {len(key)} bytes cannot be wrapped; 1 to {WRAPPABLE_BYTES} can")
