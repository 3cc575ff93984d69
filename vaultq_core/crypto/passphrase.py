"""Sealing bytes under a passphrase: Argon2id (RFC 9106) and AES-256-GCM.

The box is canonical JSON that people can recognise: a header, which is authenticated whole, and a ciphertext.
The `label` names what is sealed (`vaultq/keystore/v1`, …), so that one kind of box never opens as another.
"""

from __future__ import annotations

import secrets
import threading
import unicodedata
from dataclasses import dataclass, field
from typing import Annotated, Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from vaultq_core.errors import Malformed, Usage, WrongPassphrase
from vaultq_core.wire import canonical

BOX_BYTES = 1024 * 1024
_KEY_BYTES = 32
_SALT_BYTES = 16
_NONCE_BYTES = 12
_DERIVING = threading.Lock()  # OpenSSL (4.0) makes threads for the lanes; two derivations at once wait for each other

# The floor refuses a downgrade (OWASP's minimum), the ceiling a header that would take minutes or all memory.
Iterations = Annotated[int, msgspec.Meta(ge=2, le=8)]
Lanes = Annotated[int, msgspec.Meta(ge=1, le=16)]
MemoryKiB = Annotated[int, msgspec.Meta(ge=19 * 1024, le=512 * 1024)]
Salt = Annotated[bytes, msgspec.Meta(min_length=_SALT_BYTES, max_length=_SALT_BYTES)]
Nonce = Annotated[bytes, msgspec.Meta(min_length=_NONCE_BYTES, max_length=_NONCE_BYTES)]


class Cost(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one guess costs; the default takes about 0.3 s on a server's core."""

    iterations: Iterations = 3
    lanes: Lanes = 4
    memory_kib: MemoryKiB = 64 * 1024


class Kdf(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the key comes from the passphrase."""

    name: Literal["argon2id"]
    iterations: Iterations
    lanes: Lanes
    memory_kib: MemoryKiB
    salt: Salt


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The associated data of the ciphertext, in its canonical encoding."""

    format: Literal["vaultq-passphrase-box"]
    version: Literal[1]
    label: str
    kdf: Kdf
    aead: Literal["AES-256-GCM"]
    nonce: Nonce


class Box(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A sealed box."""

    header: Header
    ciphertext: bytes


@dataclass(frozen=True, slots=True)
class BoxKey:
    """A key that was derived once, to seal and unseal again without the wait."""

    kdf: Kdf
    key: bytes = field(repr=False)

    @classmethod
    def new(cls, passphrase: str, cost: Cost) -> BoxKey:
        """Return a key under a fresh salt. Raises Usage for an empty passphrase."""
        if not passphrase:
            raise Usage("the passphrase is empty", remedy="Choose a passphrase of several words.")
        kdf = Kdf(
            name="argon2id",
            iterations=cost.iterations,
            lanes=cost.lanes,
            memory_kib=cost.memory_kib,
            salt=secrets.token_bytes(_SALT_BYTES),
        )
        return cls(kdf, _derive(passphrase, kdf))

    @classmethod
    def of(cls, box: Box, passphrase: str) -> BoxKey:
        """Return the key that a box asks for; whether the passphrase is right shows when it is used."""
        return cls(box.header.kdf, _derive(passphrase, box.header.kdf))

    def fits(self, box: Box) -> bool:
        """Tell whether the box was sealed under this salt and these parameters."""
        return self.kdf == box.header.kdf

    def seal(self, plaintext: bytes, *, label: str) -> bytes:
        """Return a box of `plaintext` under a fresh nonce."""
        header = Header(
            format="vaultq-passphrase-box",
            version=1,
            label=label,
            kdf=self.kdf,
            aead="AES-256-GCM",
            nonce=secrets.token_bytes(_NONCE_BYTES),
        )
        sealed = AESGCM(self.key).encrypt(header.nonce, plaintext, canonical.encode(header))
        return canonical.encode(Box(header=header, ciphertext=sealed))

    def unseal(self, box: Box) -> bytes:
        """Return what is in the box. Raises WrongPassphrase, also when any byte of it was changed."""
        try:
            return AESGCM(self.key).decrypt(box.header.nonce, box.ciphertext, canonical.encode(box.header))
        except InvalidTag:
            raise WrongPassphrase("the passphrase is wrong, or the sealed bytes were changed") from None


def seal(plaintext: bytes, passphrase: str, *, label: str, cost: Cost | None = None) -> bytes:
    """Return a box that only this passphrase opens. Raises Usage for an empty passphrase."""
    return BoxKey.new(passphrase, cost or Cost()).seal(plaintext, label=label)


def unseal(data: bytes, passphrase: str, *, label: str) -> bytes:
    """Return what `seal` was given.

    Raises Malformed for anything that is no box of this label or has parameters out of range (before deriving),
    WrongPassphrase otherwise.
    """
    box = read_box(data, label=label)
    return BoxKey.of(box, passphrase).unseal(box)


def read_box(data: bytes, *, label: str) -> Box:
    """Return the box, unopened; all parameters are in range. Raises Malformed, LimitExceeded above BOX_BYTES."""
    box = canonical.decode(data, Box, limit=BOX_BYTES)
    if box.header.label != label:
        raise Malformed(f"this sealed box is not of the kind {label}")
    return box


def _derive(passphrase: str, kdf: Kdf) -> bytes:
    # Two keyboards may spell one letter in two ways.
    secret = unicodedata.normalize("NFC", passphrase).encode()
    argon2id = Argon2id(
        salt=kdf.salt,
        length=_KEY_BYTES,
        iterations=kdf.iterations,
        lanes=kdf.lanes,
        memory_cost=kdf.memory_kib,
    )
    with _DERIVING:
        return argon2id.derive(secret)
