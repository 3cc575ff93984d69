"""The entries of the transparency log, one struct an event (docs/spec/log.md).

`time` is the log time, which the commit fills in; an entry and its salt are open only to those whom
it concerns, the log itself shows hashes. No entry holds a patient's name, a record number or a title.
"""

from __future__ import annotations

from typing import Literal, Union

import msgspec

from vaultq_core.wire.ids import AdminId, DoctorId, GrantId, Line, PatientId, RecordId, Sha256, Size, Time, VaultId

ReplaceableCa = Literal["doctors", "admins", "servers"]


class _Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="kind"):
    vault: VaultId
    time: Time = 0


class VaultCreated(_Entry, tag="vault-created", frozen=True, kw_only=True):
    """The first entry: who made the vault's first administrator."""

    administrator: AdminId


class StatementPublished(_Entry, tag="statement-published", frozen=True, kw_only=True):
    """A new vault statement (KEM key of the month, log keys) came into force."""

    version: Size
    statement: Sha256


class DoctorProvisioned(_Entry, tag="doctor-provisioned", frozen=True, kw_only=True):
    """An administrator made a doctor's id and one-time password."""

    administrator: AdminId
    doctor: DoctorId


class EnrolmentReceived(_Entry, tag="enrolment-received", frozen=True, kw_only=True):
    """Keys were proven under a doctor's id; nobody has compared the words yet."""

    doctor: DoctorId
    statement: Sha256


class EnrolmentRejected(_Entry, tag="enrolment-rejected", frozen=True, kw_only=True):
    """An administrator found the words to differ."""

    administrator: AdminId
    doctor: DoctorId
    statement: Sha256


class CertificatesIssued(_Entry, tag="certificates-issued", frozen=True, kw_only=True):
    """A doctor's two certificates (SHA-256 of DER) were issued."""

    administrator: AdminId
    doctor: DoctorId
    statement: Sha256
    signing_certificate: Sha256
    tls_certificate: Sha256


class CertificatesRenewed(_Entry, tag="certificates-renewed", frozen=True, kw_only=True):
    """A doctor asked for two new certificates over the same keys; `former_…` are the two before, which count on."""

    doctor: DoctorId
    former_signing_certificate: Sha256
    former_tls_certificate: Sha256
    signing_certificate: Sha256
    tls_certificate: Sha256


class AdministratorRenewed(_Entry, tag="administrator-renewed", frozen=True, kw_only=True):
    """An administrator asked for a new certificate over the same key; the former one counts on."""

    administrator: AdminId
    former: Sha256
    certificate: Sha256


class IssuingCaReplaced(_Entry, tag="issuing-ca-replaced", frozen=True, kw_only=True):
    """From now on a new issuing CA certifies `role`; what the former one issued counts on until it is closed."""

    role: ReplaceableCa
    former: Sha256
    present: Sha256


class IssuingCaClosed(_Entry, tag="issuing-ca-closed", frozen=True, kw_only=True):
    """What a former issuing CA has issued, `certificate` being its own, counts no more; it signs one last list."""

    role: ReplaceableCa
    certificate: Sha256


class DoctorRevoked(_Entry, tag="doctor-revoked", frozen=True, kw_only=True):
    """A doctor's two certificates end; records signed from `compromised_since` on are doubtful.

    Who renewed them has more than one pair that counts: then there is one entry for each.
    """

    administrator: AdminId
    doctor: DoctorId
    signing_certificate: Sha256
    tls_certificate: Sha256
    reason: Line
    compromised_since: Time | None


class PatientCreated(_Entry, tag="patient-created", frozen=True, kw_only=True):
    """A patient exists; the founder holds the first grant."""

    doctor: DoctorId
    patient: PatientId
    grant: Sha256


class GrantGiven(_Entry, tag="grant-given", frozen=True, kw_only=True):
    """`doctor` gave `grantee` a role on a patient; `grant` is the hash of the signed statement."""

    doctor: DoctorId
    grantee: DoctorId
    patient: PatientId
    grant_id: GrantId
    grant: Sha256


class RecordStored(_Entry, tag="record-stored", frozen=True, kw_only=True):
    """A record was stored; `counter` numbers the patient's records from 1 without a gap."""

    author: DoctorId
    patient: PatientId
    record: RecordId
    manifest: Sha256
    record_hash: Sha256
    counter: Size


class RecordRead(_Entry, tag="record-read", frozen=True, kw_only=True):
    """A doctor was handed a record's content."""

    doctor: DoctorId
    patient: PatientId
    record: RecordId


class AccessRefused(_Entry, tag="access-refused", frozen=True, kw_only=True):
    """A doctor asked for a patient without a grant that allows it."""

    doctor: DoctorId
    patient: PatientId
    operation: Line


class SearchRefused(_Entry, tag="search-refused", frozen=True, kw_only=True):
    """A doctor searched for a record number that nobody has, or on whom they hold no grant."""

    doctor: DoctorId


LogEntry = Union[  # noqa: UP007 - the names read better in a column
    VaultCreated,
    StatementPublished,
    DoctorProvisioned,
    EnrolmentReceived,
    EnrolmentRejected,
    CertificatesIssued,
    CertificatesRenewed,
    AdministratorRenewed,
    IssuingCaReplaced,
    IssuingCaClosed,
    DoctorRevoked,
    PatientCreated,
    GrantGiven,
    RecordStored,
    RecordRead,
    AccessRefused,
    SearchRefused,
]
