"""The units behind an administrator's changes: each writes its rows and says in the log who did it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from sqlalchemy import Connection

from vaultq_core.crypto.enrolment import ProvenKeys
from vaultq_core.crypto.fingerprints import sha256_hex, spki
from vaultq_core.crypto.x509_profile import certificate_hash, der
from vaultq_core.errors import Conflict
from vaultq_core.registry.certificates import CertificateRole, CertificateRow
from vaultq_core.registry.commit import Turn
from vaultq_core.registry.doctors import Doctor
from vaultq_core.registry.enrolled_keys import EnrolledKey
from vaultq_core.registry.enrolments import Enrolment
from vaultq_core.registry.passwords import OneTimePassword
from vaultq_core.server.services.desk import Desk
from vaultq_core.wire import api
from vaultq_core.wire.entries import (
    CertificatesIssued,
    DoctorProvisioned,
    DoctorRevoked,
    EnrolmentRejected,
    LogEntry,
)


@dataclass(frozen=True, slots=True)
class Provision:
    """Makes a doctor with a one-time password."""

    desk: Desk
    administrator: str
    name: str
    password: OneTimePassword
    keeps_receipt: bool = False

    def apply(self, tx: Connection, turn: Turn) -> Sequence[LogEntry]:
        """Write the rows."""
        doctor = Doctor(id=self.password.doctor, name=self.name, status="provisioned", created=turn.time)
        self.desk.registry.doctors.add(tx, doctor)
        self.desk.registry.passwords.set(tx, self.password)
        return (DoctorProvisioned(vault=self.desk.vault, administrator=self.administrator, doctor=doctor.id),)


@dataclass(frozen=True, slots=True)
class Issue:
    """Makes a doctor active under two certificates; their keys are on file from now on."""

    desk: Desk
    administrator: str
    enrolment: Enrolment
    proven: ProvenKeys
    pair: tuple[x509.Certificate, x509.Certificate]
    doctors: x509.Certificate
    keeps_receipt: bool = False

    def apply(self, tx: Connection, turn: Turn) -> Sequence[LogEntry]:
        """Write the rows. Raises Conflict when somebody else decided, a key was certified before, or the CA changed."""
        rows, doctor = self.desk.registry, self.enrolment.doctor
        self.desk.authorities.require_present(tx, "doctors", self.doctors)
        signing, tls = self.pair
        rows.certificates.add(tx, certificate_row(signing, "doctor-signing", doctor))
        rows.certificates.add(tx, certificate_row(tls, "doctor-tls", doctor))
        key = EnrolledKey(
            signing_key_hash=sha256_hex(spki(self.proven.signing.mldsa65)),
            doctor=doctor,
            signing_certificate=certificate_hash(signing),
            tls_certificate=certificate_hash(tls),
            issued_at=turn.time,
        )
        rows.enrolled_keys.add(tx, key)
        rows.enrolments.decide(
            tx, self.enrolment, "issued", administrator=self.administrator, now=turn.time, log_index=turn.index
        )
        rows.doctors.move(tx, doctor, "active")
        rows.epoch.advance(tx)
        entry = CertificatesIssued(
            vault=self.desk.vault,
            administrator=self.administrator,
            doctor=doctor,
            statement=sha256_hex(self.proven.statement),
            signing_certificate=key.signing_certificate,
            tls_certificate=key.tls_certificate,
        )
        return (entry,)


@dataclass(frozen=True, slots=True)
class Reject:
    """Refuses the keys that wait."""

    desk: Desk
    administrator: str
    enrolment: Enrolment
    keeps_receipt: bool = False

    def apply(self, tx: Connection, turn: Turn) -> Sequence[LogEntry]:
        """Write the rows. Raises Conflict when somebody else decided."""
        doctor = self.enrolment.doctor
        self.desk.registry.enrolments.decide(
            tx, self.enrolment, "rejected", administrator=self.administrator, now=turn.time, log_index=turn.index
        )
        self.desk.registry.doctors.move(tx, doctor, "rejected")
        entry = EnrolmentRejected(
            vault=self.desk.vault,
            administrator=self.administrator,
            doctor=doctor,
            statement=self.enrolment.statement_hash or "",
        )
        return (entry,)


@dataclass(frozen=True, slots=True)
class Revoke:
    """Ends a doctor and all of their certificates, those before a renewal too."""

    desk: Desk
    administrator: str
    doctor: str
    body: api.DoctorRevoke
    keeps_receipt: bool = False

    def apply(self, tx: Connection, turn: Turn) -> Sequence[LogEntry]:
        """Write the rows. Raises NotFound, or Conflict when the doctor has no certificates to revoke."""
        rows = self.desk.registry
        keys = rows.enrolled_keys.of_doctor(tx, self.doctor)
        if not keys:
            rows.doctors.get(tx, self.doctor)
            raise Conflict("this doctor has no certificates yet; reject the enrolment instead")
        rows.doctors.move(tx, self.doctor, "revoked")
        rows.epoch.advance(tx)
        return tuple(
            self._revoke(tx, turn.time, turn.index + place, pair)
            for place, pair in enumerate(rows.enrolled_keys.pairs(tx, keys[0]))
        )

    def _revoke(self, tx: Connection, now: int, index: int, pair: tuple[str, str]) -> LogEntry:
        for sha256 in pair:
            # The closing of its CA may have ended a former certificate before; its key may still be suspected now.
            if self.desk.registry.certificates.get(tx, sha256).status == "active":
                self.desk.registry.certificates.revoke(
                    tx,
                    sha256,
                    now=now,
                    reason=self.body.reason,
                    log_index=index,
                    compromised_since=self.body.compromised_since,
                )
        return DoctorRevoked(
            vault=self.desk.vault,
            administrator=self.administrator,
            doctor=self.doctor,
            signing_certificate=pair[0],
            tls_certificate=pair[1],
            reason=self.body.reason,
            compromised_since=self.body.compromised_since,
        )


def certificate_row(certificate: x509.Certificate, role: CertificateRole, owner: str) -> CertificateRow:
    """Return the registry's row of a certificate that was just issued."""
    return CertificateRow(
        sha256=certificate_hash(certificate),
        role=role,
        owner=owner,
        der=der(certificate),
        serial=f"{certificate.serial_number:x}",
        issuer=issuer_name(certificate.issuer),
        not_before=_seconds(certificate.not_valid_before_utc),
        not_after=_seconds(certificate.not_valid_after_utc),
    )


def issuer_name(name: x509.Name) -> str:
    """Return an issuer's name as rows of certificates and CRLs carry it (RFC 4514)."""
    return name.rfc4514_string()


def _seconds(time: dt.datetime) -> int:
    return int(time.timestamp())
