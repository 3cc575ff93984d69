"""What lies in the sealed file: keys, and how many versions of each purpose there ever were."""

from __future__ import annotations

import secrets
from typing import Annotated

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from vaultq_core.crypto import wrapping
from vaultq_core.errors import KeyNotFound, KeystoreError
from vaultq_core.spi.keystore import EC_P384, KeyId, KeyInfo, Provenance
from vaultq_core.wire.ids import Time


class StoredKey(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One key: 32 bytes of an AES key, or PKCS#8 DER of an EC key. `created` in POSIX seconds."""

    key_id: str
    provenance: Provenance
    created: Time
    material: bytes

    def __repr__(self) -> str:
        return f"StoredKey({self.key_id})"

    def info(self) -> KeyInfo:
        """Return what may be told of it."""
        return KeyInfo(KeyId.parse(self.key_id), self.provenance, self.created)


class Issued(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A purpose's newest key id ever given, so that a destroyed version's name never names another key."""

    purpose: str
    key_id: str


class Contents(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole keystore, open; changed by making a new one."""

    version: Annotated[int, msgspec.Meta(ge=1, le=1)] = 1
    keys: tuple[StoredKey, ...] = ()
    issued: tuple[Issued, ...] = ()

    def __repr__(self) -> str:
        return f"Contents({len(self.keys)} keys)"

    def infos(self) -> tuple[KeyInfo, ...]:
        """Return what may be told of the keys, in order of id."""
        return tuple(sorted((key.info() for key in self.keys), key=lambda info: info.key_id))

    def current(self, purpose: str) -> KeyId:
        """Return the purpose's newest key. Raises KeyNotFound."""
        versions = [info.key_id for info in self.infos() if info.key_id.purpose == purpose]
        if not versions:
            raise KeyNotFound(f"the keystore holds no key for {purpose}")
        return versions[-1]

    def find(self, key_id: KeyId) -> StoredKey:
        """Return one key. Raises KeyNotFound."""
        for key in self.keys:
            if key.key_id == str(key_id):
                return key
        raise KeyNotFound(f"the keystore does not hold the key {key_id}")

    def next_id(self, purpose: str, algorithm: str, above: int) -> KeyId:
        """Return the name of the purpose's next key. Raises KeystoreError when the purpose has another algorithm."""
        for each in self.issued:
            if each.purpose == purpose:
                last = KeyId.parse(each.key_id)
                if last.algorithm != algorithm:
                    raise KeystoreError(f"keys for {purpose} are {last.algorithm}, not {algorithm}")
                return KeyId(purpose, algorithm, max(last.version, above) + 1)
        return KeyId(purpose, algorithm, above + 1)

    def adding(self, key: StoredKey) -> Contents:
        """Return contents that also hold `key`, whose id `next_id` gave."""
        purpose = KeyId.parse(key.key_id).purpose
        others = tuple(each for each in self.issued if each.purpose != purpose)
        issued = Issued(purpose=purpose, key_id=key.key_id)
        return Contents(keys=(*self.keys, key), issued=(*others, issued))

    def without(self, key_id: KeyId) -> Contents:
        """Return contents that lack one key. Raises KeyNotFound."""
        gone = self.find(key_id)
        return Contents(keys=tuple(key for key in self.keys if key is not gone), issued=self.issued)


def generate(algorithm: str) -> bytes:
    """Return a new key in the form that StoredKey keeps: 32 bytes, or PKCS#8 in DER."""
    if algorithm == EC_P384:
        return key_bytes(ec.generate_private_key(ec.SECP384R1()))
    return secrets.token_bytes(wrapping.KEY_BYTES)


def key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a signing key in the form that StoredKey keeps."""
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
