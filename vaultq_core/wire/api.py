"""JSON bodies of the enrolment and admin listeners and of GET /v1/vault; none holds a patient's data."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from vaultq_core.wire.ids import AdminId, DoctorId, Line, Salt, Sha256, Size, Time, VaultId
from vaultq_core.wire.limits import CERTIFICATE_BYTES, CRL_BYTES, FORMER_CAS, NOTE_BYTES, PAGE_ITEMS
from vaultq_core.wire.manifest import CertificatePair
from vaultq_core.wire.statements import SignedVaultStatement

CertificateDer = Annotated[bytes, msgspec.Meta(max_length=CERTIFICATE_BYTES)]
CrlDer = Annotated[bytes, msgspec.Meta(max_length=CRL_BYTES)]
NAME_BYTES = 64
VAULT_CRLS = 4 + 3 * FORMER_CAS  # of every issuing CA, present and former
DoctorStatus = Literal["provisioned", "pending", "active", "revoked", "rejected"]


class _Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    pass


class Roots(_Body, frozen=True, kw_only=True):
    """The hospital's two trust anchors, DER; a client pins both by SHA-256 over their DER."""

    hospital: CertificateDer
    pq: CertificateDer


class IssuingCas(_Body, frozen=True, kw_only=True):
    """The issuing CAs, DER: `pq` (ML-DSA-65) under the PQ root, the others under the hospital root."""

    pq: CertificateDer
    doctors: CertificateDer
    admins: CertificateDer
    servers: CertificateDer


class VaultInfo(_Body, frozen=True, kw_only=True, omit_defaults=True):
    """GET /v1/vault: all that a client needs to verify this vault, given the two roots' fingerprints.

    `former`: doctors CAs that were replaced, oldest first; absent when there are none.
    """

    vault: VaultId
    roots: Roots
    issuing: IssuingCas
    statement: SignedVaultStatement
    crls: Annotated[tuple[CrlDer, ...], msgspec.Meta(max_length=VAULT_CRLS)]
    checkpoint: Annotated[str, msgspec.Meta(max_length=NOTE_BYTES)]
    former: Annotated[tuple[CertificateDer, ...], msgspec.Meta(max_length=FORMER_CAS)] = ()


class EnrolmentOpening(_Body, frozen=True, kw_only=True):
    """POST /v1/enrolments: id and one-time password."""

    doctor: DoctorId
    password: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]  # bcrypt reads 72 bytes at most

    def __repr__(self) -> str:
        """Hide the password."""
        return f"EnrolmentOpening(doctor={self.doctor!r})"


class EnrolmentOpened(_Body, frozen=True, kw_only=True):
    """Its answer: the 256-bit secret for all later calls and the nonce to sign; `expires` ends both."""

    secret: Salt
    nonce: Salt
    name: Line
    expires: Time

    def __repr__(self) -> str:
        """Hide the secret."""
        return f"EnrolmentOpened(name={self.name!r})"


class EnrolmentState(_Body, frozen=True, kw_only=True):
    """GET or PUT /v1/enrolments/{doctor}: the certificates are there once `state` is `issued`."""

    state: Literal["open", "pending", "issued", "rejected"]
    certificates: CertificatePair | None = None


class DoctorNew(_Body, frozen=True, kw_only=True):
    """POST /v1/doctors. The name goes into certificates, which take 64 bytes of UTF-8 (RFC 5280, A.1)."""

    name: Line

    def __post_init__(self) -> None:
        if len(self.name.encode()) > NAME_BYTES:
            raise ValueError(f"a name has at most {NAME_BYTES} bytes of UTF-8")


class DoctorProvision(_Body, frozen=True, kw_only=True):
    """Its answer; the one-time password is shown this once."""

    doctor: DoctorId
    name: Line
    password: str
    expires: Time
    enrolment_address: Line
    records_address: Line
    hospital_root_sha256: Sha256
    pq_root_sha256: Sha256

    def __repr__(self) -> str:
        """Hide the password."""
        return f"DoctorProvision(doctor={self.doctor!r})"


class DoctorRow(_Body, frozen=True, kw_only=True):
    """A doctor as administrators see them."""

    doctor: DoctorId
    name: Line
    status: DoctorStatus
    created: Time
    not_after: Time | None = None
    words: tuple[str, ...] = ()


class Doctors(_Body, frozen=True, kw_only=True):
    """GET /v1/doctors: a page by id; `next` continues it, or null."""

    doctors: Annotated[tuple[DoctorRow, ...], msgspec.Meta(max_length=PAGE_ITEMS)]
    next: DoctorId | None = None


class DoctorIssue(_Body, frozen=True, kw_only=True):
    """POST /v1/doctors/{id}/issue: the words that were compared by phone, so that no other keys are issued for."""

    words: Annotated[tuple[str, ...], msgspec.Meta(min_length=7, max_length=7)]


class DoctorRevoke(_Body, frozen=True, kw_only=True):
    """POST /v1/doctors/{id}/revoke; with `compromised_since`, later records verify as doubtful."""

    reason: Line
    compromised_since: Time | None = None


class Change(_Body, frozen=True, kw_only=True):
    """The answer to every change: its index in the log."""

    index: Size
    time: Time


class LogRow(_Body, frozen=True, kw_only=True):
    """One entry as administrators see it: the entry's JSON, which names ids only."""

    index: Size
    entry: msgspec.Raw


class LogPage(_Body, frozen=True, kw_only=True):
    """GET /v1/log/entries: entries from `after`, oldest first; `next` continues, or null."""

    entries: Annotated[tuple[LogRow, ...], msgspec.Meta(max_length=PAGE_ITEMS)]
    next: Size | None = None


class Consistency(_Body, frozen=True, kw_only=True):
    """GET /v1/log/consistency: hashes of RFC 6962, 2.1.2, from `first` to `second` leaves."""

    first: Size
    second: Size
    path: Annotated[tuple[Salt, ...], msgspec.Meta(max_length=128)]


class AdministratorCertificate(_Body, frozen=True, kw_only=True):
    """POST /v1/renewal: the administrator's newest certificate, and the admins CA that issued it, DER."""

    certificate: CertificateDer
    issuing: CertificateDer


class ServerStatus(_Body, frozen=True, kw_only=True):
    """GET /v1/status: versions, backends and ages for people and monitors."""

    vault: VaultId
    version: str
    tls: str
    keystore: str
    storage: str
    registry: str
    statement_version: Size
    statement_expires: Time
    crl_next_update: Time
    log_size: Size
    doctors_active: Size
    records: Size


class Administrator(_Body, frozen=True, kw_only=True):
    """Who an administrator's certificate names."""

    id: AdminId
    name: Line
