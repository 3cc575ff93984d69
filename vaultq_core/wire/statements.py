"""Statements that are signed once and kept: vault, enrolment, grant (docs/spec/statements.md)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from vaultq_core.wire import canonical
from vaultq_core.wire.ids import DoctorId, GrantId, KemKeyId, PatientId, Salt, Sha256, Size, SuiteId, Time, VaultId
from vaultq_core.wire.limits import CERTIFICATE_BYTES, STATEMENT_BYTES
from vaultq_core.wire.manifest import MLDSA65_SIGNATURE_BYTES, CertificatePair, Signatures

KEM_PUBLIC_KEY_BYTES = 1216  # ML-KEM-768 (1,184, FIPS 203) ‖ X25519 (32, RFC 7748)
ED25519_KEY_BYTES = 32
MLDSA44_KEY_BYTES = 1312
ECDSA_P384_SIGNATURE_BYTES = 104  # DER, at most

Role = Literal["read", "write", "own"]
Origin = Annotated[str, msgspec.Meta(pattern=r"^vaultq/[0-9a-f]{16}\Z")]
PublicKeyDer = Annotated[bytes, msgspec.Meta(max_length=4096)]
RequestDer = Annotated[bytes, msgspec.Meta(max_length=CERTIFICATE_BYTES)]


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class KemKey(_Strict, frozen=True, kw_only=True):
    """The public key of the month that clients seal to: ML-KEM-768 ‖ X25519, raw."""

    id: KemKeyId
    public_key: Annotated[bytes, msgspec.Meta(min_length=KEM_PUBLIC_KEY_BYTES, max_length=KEM_PUBLIC_KEY_BYTES)]


class LogKeys(_Strict, frozen=True, kw_only=True):
    """Who signs checkpoints: both keys, raw; both signatures are required."""

    origin: Origin
    ed25519: Annotated[bytes, msgspec.Meta(min_length=ED25519_KEY_BYTES, max_length=ED25519_KEY_BYTES)]
    mldsa44: Annotated[bytes, msgspec.Meta(min_length=MLDSA44_KEY_BYTES, max_length=MLDSA44_KEY_BYTES)]


class VaultStatement(_Strict, frozen=True, kw_only=True):
    """What a client must know of a vault to seal to it and to verify its log. Ends after 35 days."""

    type: Literal["vaultq/vault-statement/v1"] = "vaultq/vault-statement/v1"
    suite: SuiteId
    vault: VaultId
    version: Size
    created: Time
    expires: Time
    kem: KemKey
    log: LogKeys


class SignedVaultStatement(_Strict, frozen=True, kw_only=True):
    """The statement's exact bytes, signed by the PQ issuing CA and by the servers CA."""

    statement: Annotated[bytes, msgspec.Meta(max_length=STATEMENT_BYTES)]
    mldsa65: Annotated[bytes, msgspec.Meta(min_length=MLDSA65_SIGNATURE_BYTES, max_length=MLDSA65_SIGNATURE_BYTES)]
    ecdsa_p384: Annotated[bytes, msgspec.Meta(min_length=8, max_length=ECDSA_P384_SIGNATURE_BYTES)]


class EnrolmentStatement(_Strict, frozen=True, kw_only=True):
    """All keys that a doctor's client made, under the server's nonce; its hash gives the seven words.

    Keys are DER SubjectPublicKeyInfo; the requests' hashes are SHA-256 over their DER (PKCS#10).
    """

    type: Literal["vaultq/enrolment/v1"] = "vaultq/enrolment/v1"
    suite: SuiteId
    vault: VaultId
    doctor: DoctorId
    signing_mldsa65: PublicKeyDer
    signing_ecdsa_p256: PublicKeyDer
    tls_ecdsa_p256: PublicKeyDer
    signing_request: Sha256
    tls_request: Sha256
    nonce: Salt


class EnrolmentRequest(_Strict, frozen=True, kw_only=True):
    """The statement, signed by both signing keys, with the two PKCS#10 requests that prove all three."""

    statement: Annotated[bytes, msgspec.Meta(max_length=STATEMENT_BYTES)]
    signatures: Signatures
    signing_request: RequestDer
    tls_request: RequestDer


class GrantStatement(_Strict, frozen=True, kw_only=True):
    """A doctor's signed word that another doctor's key may read, write or own a patient's records.

    `key` is SHA-256 over the DER SubjectPublicKeyInfo of the grantee's ML-DSA-65 key. A founding grant
    has no parent, and names its author as grantee. `until` is the last second it holds, or null.
    """

    type: Literal["vaultq/grant/v1"] = "vaultq/grant/v1"
    suite: SuiteId
    vault: VaultId
    grant: GrantId
    parent: GrantId | None
    patient: PatientId
    author: DoctorId
    doctor: DoctorId
    key: Sha256
    role: Role
    created: Time
    until: Time | None


class SignedGrant(_Strict, frozen=True, kw_only=True):
    """A grant statement's exact bytes with its author's signatures and certificates."""

    statement: Annotated[bytes, msgspec.Meta(max_length=STATEMENT_BYTES)]
    signatures: Signatures
    certificates: CertificatePair


def decode_vault_statement(data: bytes) -> VaultStatement:
    """Return the vault statement. Raises Malformed or LimitExceeded."""
    return canonical.decode(data, VaultStatement, limit=STATEMENT_BYTES)


def decode_enrolment_statement(data: bytes) -> EnrolmentStatement:
    """Return the enrolment statement. Raises Malformed or LimitExceeded."""
    return canonical.decode(data, EnrolmentStatement, limit=STATEMENT_BYTES)


def decode_grant_statement(data: bytes) -> GrantStatement:
    """Return the grant statement. Raises Malformed or LimitExceeded."""
    return canonical.decode(data, GrantStatement, limit=STATEMENT_BYTES)
