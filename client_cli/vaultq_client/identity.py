"""A doctor's identity, sealed under a passphrase in one file: keys, certificates, roots, addresses.

AES-256-GCM under Argon2id (`vaultq_core.crypto.passphrase`); the file is 0600 and replaced whole.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_der_private_key,
)

from vaultq_client.home import Home
from vaultq_client.tls import TlsIdentity
from vaultq_core.crypto import passphrase as box
from vaultq_core.crypto.chains import TrustAnchors
from vaultq_core.crypto.enrolment import DoctorKeys
from vaultq_core.crypto.fingerprints import sha256_hex
from vaultq_core.crypto.keys import SigningKeys
from vaultq_core.crypto.x509_profile import der, load_certificate
from vaultq_core.errors import IdentityInvalid, Malformed, NotFound
from vaultq_core.private_files import read_private, write_private
from vaultq_core.wire import canonical
from vaultq_core.wire.api import Roots
from vaultq_core.wire.ids import DoctorId, Key32, Line
from vaultq_core.wire.manifest import CertificatePair

LABEL = "vaultq/identity/v1"
PrivateKeyDer = Annotated[bytes, msgspec.Meta(max_length=512)]


class StoredKeys(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A doctor's private keys as bytes: the ML-DSA-65 seed, the two P-256 keys as PKCS#8 (DER)."""

    mldsa65: Key32
    ecdsa_p256: PrivateKeyDer
    tls: PrivateKeyDer

    def __repr__(self) -> str:
        """Hide every key."""
        return "StoredKeys()"


class StoredIdentity(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What the sealed file holds."""

    type: Literal["vaultq/identity/v1"] = "vaultq/identity/v1"
    doctor: DoctorId
    name: Line
    records_address: Line
    roots: Roots
    certificates: CertificatePair
    keys: StoredKeys
    outbox_key: Key32

    def __repr__(self) -> str:
        """Hide every key."""
        return f"StoredIdentity(doctor={self.doctor!r})"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a doctor is to one vault. `outbox_key` (32 bytes) seals the uploads that wait for a receipt."""

    doctor: str
    name: str
    records_address: str
    anchors: TrustAnchors
    certificates: CertificatePair
    keys: DoctorKeys = field(repr=False)
    outbox_key: bytes = field(repr=False)

    @property
    def signing_certificate(self) -> str:
        """SHA-256 over the signing certificate."""
        return sha256_hex(self.certificates.signing)

    @property
    def tls_certificate(self) -> str:
        """SHA-256 over the TLS certificate."""
        return sha256_hex(self.certificates.tls)

    def tls(self) -> TlsIdentity:
        """Return what this doctor shows in a TLS handshake."""
        return TlsIdentity((load_certificate(self.certificates.tls),), self.keys.tls)


def store_identity(home: Home, identity: Identity, passphrase: str, *, cost: box.Cost | None = None) -> None:
    """Seal the identity into the home. Raises Conflict when there is one already."""
    write_private(home.identity, _sealed(identity, passphrase, cost), create_only=True)


def replace_identity(home: Home, identity: Identity, passphrase: str) -> None:
    """Seal the identity into the home in the place of the one there, whole or not at all."""
    write_private(home.identity, _sealed(identity, passphrase, None))


def load_identity(home: Home, passphrase: str) -> Identity:
    """Return the identity. Raises IdentityInvalid without one, WrongPassphrase, InsecureFile, Malformed."""
    data = box.unseal(read_sealed(home.identity), passphrase, label=LABEL)
    stored = canonical.decode(data, StoredIdentity, limit=box.BOX_BYTES)
    return Identity(
        doctor=stored.doctor,
        name=stored.name,
        records_address=stored.records_address,
        anchors=TrustAnchors(load_certificate(stored.roots.hospital), load_certificate(stored.roots.pq)),
        certificates=stored.certificates,
        keys=keys_from_bytes(stored.keys),
        outbox_key=stored.outbox_key,
    )


def read_sealed(path: Path) -> bytes:
    """Return a sealed file of a home. Raises IdentityInvalid when it is not there."""
    try:
        return read_private(path, box.BOX_BYTES)
    except NotFound:
        raise IdentityInvalid(f"{path} is not there") from None


def keys_to_bytes(keys: DoctorKeys) -> StoredKeys:
    """Return private keys as bytes, to be sealed at once."""
    return StoredKeys(
        mldsa65=keys.signing.mldsa65.private_bytes_raw(),
        ecdsa_p256=_p256_to_bytes(keys.signing.ecdsa_p256),
        tls=_p256_to_bytes(keys.tls),
    )


def keys_from_bytes(stored: StoredKeys) -> DoctorKeys:
    """Return private keys. Raises Malformed."""
    signing = SigningKeys(mldsa.MLDSA65PrivateKey.from_seed_bytes(stored.mldsa65), _p256_from_bytes(stored.ecdsa_p256))
    return DoctorKeys(signing, _p256_from_bytes(stored.tls))


def _sealed(identity: Identity, passphrase: str, cost: box.Cost | None) -> bytes:
    stored = StoredIdentity(
        doctor=identity.doctor,
        name=identity.name,
        records_address=identity.records_address,
        roots=Roots(hospital=der(identity.anchors.hospital), pq=der(identity.anchors.pq)),
        certificates=identity.certificates,
        keys=keys_to_bytes(identity.keys),
        outbox_key=identity.outbox_key,
    )
    return box.seal(canonical.encode(stored), passphrase, label=LABEL, cost=cost)


def _p256_to_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def _p256_from_bytes(data: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_der_private_key(data, None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise Malformed("a stored private key is not on P-256")
    return key
