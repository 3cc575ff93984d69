"""The key ceremony: everything cryptographic that makes a new vault (docs/operations.md, "Ceremony").

Works on an empty keystore and returns values; nothing is written to a registry or a file here.
"""

from __future__ import annotations

import datetime as dt
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec, mldsa

from vaultq_core.crypto.authorities import issue_issuing_ca, issue_root
from vaultq_core.crypto.chains import TrustAnchors
from vaultq_core.crypto.issuing import Issuer
from vaultq_core.crypto.keys import SEED_BYTES
from vaultq_core.crypto.sealing import kem_private_key
from vaultq_core.crypto.statements import sign_vault_statement
from vaultq_core.crypto.x509_profile import der
from vaultq_core.errors import Conflict
from vaultq_core.server import keys
from vaultq_core.server.keys import KeyBox, VaultIdentity
from vaultq_core.spi.keystore import AES_256, EC_P384, MASTER, Keystore, WrappedKey
from vaultq_core.wire.api import IssuingCas, Roots
from vaultq_core.wire.statements import KemKey, LogKeys, SignedVaultStatement, VaultStatement
from vaultq_core.wire.suite import VQ_65

STATEMENT_LIFETIME: Final = dt.timedelta(days=35)
CA_PURPOSES: Final = ("root-ca", "doctors-ca", "admins-ca", "servers-ca")
ORIGIN_DIGITS: Final = 16


@dataclass(frozen=True, slots=True)
class NewVault:
    """A vault that was just made. `recovery_seed` goes to the safe and is kept nowhere."""

    identity: VaultIdentity
    sealed: Mapping[str, WrappedKey]
    recovery_seed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MonthlyKey:
    """The KEM key of a month: public half, and its seed wrapped under a keystore key of its own."""

    public: KemKey
    wrapped: WrappedKey


def make_vault(keystore: Keystore, hospital: str, now: dt.datetime) -> NewVault:
    """Make all keys and certificates of a new vault. Raises Conflict when the keystore holds keys already."""
    if keystore.info().keys:
        raise Conflict("the keystore holds keys already", remedy="Give `init` an empty keystore.")
    keystore.create_key(MASTER, AES_256)
    signers = {purpose: keystore.signer(keystore.create_key(purpose, EC_P384)) for purpose in CA_PURPOSES}
    pq_root_seed, pq_ca_seed = secrets.token_bytes(SEED_BYTES), secrets.token_bytes(SEED_BYTES)
    pq_root = mldsa.MLDSA87PrivateKey.from_seed_bytes(pq_root_seed)
    pq_ca = mldsa.MLDSA65PrivateKey.from_seed_bytes(pq_ca_seed)
    hospital_root = signers["root-ca"]
    anchors = TrustAnchors(
        issue_root(f"{hospital} root CA", hospital_root, now), issue_root(f"{hospital} PQ root", pq_root, now)
    )

    def issuing(role: str, key: ec.EllipticCurvePrivateKey) -> bytes:
        return der(issue_issuing_ca(f"{hospital} {role} CA", key.public_key(), anchors.hospital, hospital_root, now))

    cas = IssuingCas(
        pq=der(issue_issuing_ca(f"{hospital} PQ issuing CA", pq_ca.public_key(), anchors.pq, pq_root, now)),
        doctors=issuing("doctors", signers["doctors-ca"]),
        admins=issuing("admins", signers["admins-ca"]),
        servers=issuing("servers", signers["servers-ca"]),
    )
    recovery_seed = secrets.token_bytes(SEED_BYTES)
    identity = VaultIdentity(
        vault=anchors.vault,
        origin=f"vaultq/{anchors.vault[:ORIGIN_DIGITS]}",
        roots=Roots(hospital=der(anchors.hospital), pq=der(anchors.pq)),
        issuing=cas,
        recovery_public=kem_private_key(recovery_seed).public,
    )
    own = {keys.PQ_ROOT: pq_root_seed, keys.PQ_ISSUING_CA: pq_ca_seed, **_random_secrets()}
    box = KeyBox(keystore, anchors.vault)
    return NewVault(identity, {name: box.wrap(name, secret) for name, secret in own.items()}, recovery_seed)


def make_monthly_key(keystore: Keystore, vault: str, now: dt.datetime) -> MonthlyKey:
    """Make the KEM key of the current month, under a new keystore key that is destroyed with it."""
    key_id = kem_key_id(now)
    keystore.create_key(key_id, AES_256)
    seed = secrets.token_bytes(SEED_BYTES)
    public = KemKey(id=key_id, public_key=kem_private_key(seed).public)
    return MonthlyKey(public, KeyBox(keystore, vault).wrap(key_id, seed, key_id))


def kem_key_id(now: dt.datetime) -> str:
    """Return `kem/<year>-<month>`, UTC."""
    return f"kem/{now:%Y-%m}"


def make_statement(
    vault: str, version: int, kem: KemKey, log: LogKeys, pq: Issuer, servers: Issuer, now: dt.datetime
) -> SignedVaultStatement:
    """Return a vault statement that ends after 35 days, signed by both issuing CAs."""
    statement = VaultStatement(
        suite=VQ_65,
        vault=vault,
        version=version,
        created=int(now.timestamp()),
        expires=int((now + STATEMENT_LIFETIME).timestamp()),
        kem=kem,
        log=log,
    )
    if not isinstance(pq.key, mldsa.MLDSA65PrivateKey) or not isinstance(servers.key, ec.EllipticCurvePrivateKey):
        raise TypeError("a statement is signed by the PQ issuing CA and by the servers CA")
    return sign_vault_statement(statement, pq.key, servers.key)


def _random_secrets() -> dict[str, bytes]:
    names = (keys.LOG_ED25519, keys.LOG_MLDSA44, keys.INDEX_KEY, keys.ROW_KEY)
    return {name: secrets.token_bytes(SEED_BYTES) for name in names}
