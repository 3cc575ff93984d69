"""Every certificate that the issuing CAs signed, and whether it still counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection

from vaultq_core.errors import Conflict
from vaultq_core.registry.row_auth import RowAuth
from vaultq_core.registry.rows import AuthenticatedRows
from vaultq_core.registry.tables.people import certificates

CertificateRole = Literal["doctor-signing", "doctor-tls", "admin-tls", "server-tls", "issuing"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateRow:
    """A certificate: SHA-256 of its DER, serial in hex, times in POSIX seconds.

    `log_index` is the entry that revoked it; a signature after `compromised_since` is doubtful.
    """

    sha256: str
    role: CertificateRole
    owner: str
    der: bytes
    serial: str
    issuer: str
    not_before: int
    not_after: int
    status: Literal["active", "revoked"] = "active"
    revoked_at: int | None = None
    reason: str | None = None
    log_index: int | None = None
    compromised_since: int | None = None

    def is_active(self, now: int) -> bool:
        """Say whether it is in date and not revoked."""
        return self.status == "active" and self.not_before <= now <= self.not_after


class Certificates:
    """All certificates. Reads raise RecordDamaged for a row that VaultQ did not write."""

    def __init__(self, auth: RowAuth) -> None:
        self._rows = AuthenticatedRows(certificates, CertificateRow, "certificate", auth)

    def add(self, tx: Connection, certificate: CertificateRow) -> None:
        """Add the certificate. Raises Conflict when it, or its issuer's serial, is known."""
        self._rows.insert(tx, certificate)

    def find(self, tx: Connection, sha256: str) -> CertificateRow | None:
        """Return the certificate of that hash, or None: the guard asks this on every request."""
        return self._rows.find(tx, sha256)

    def get(self, tx: Connection, sha256: str) -> CertificateRow:
        """Return the certificate. Raises NotFound."""
        return self._rows.get(tx, sha256)

    def of_owner(self, tx: Connection, owner: str) -> tuple[CertificateRow, ...]:
        """Return all certificates of a doctor or an administrator, oldest first."""
        return self._rows.every(tx, certificates.c.owner == owner, order=certificates.c.not_before)

    def revoke(
        self,
        tx: Connection,
        sha256: str,
        *,
        now: int,
        reason: str,
        log_index: int,
        compromised_since: int | None = None,
    ) -> CertificateRow:
        """Revoke a certificate for good. Raises NotFound, or Conflict when it was revoked before."""
        present = self.get(tx, sha256)
        if present.status == "revoked":
            raise Conflict("the certificate was revoked before")
        return self._rows.change(
            tx,
            present,
            status="revoked",
            revoked_at=now,
            reason=reason,
            log_index=log_index,
            compromised_since=compromised_since,
        )

    def active_by(self, tx: Connection, issuer: str, now: int) -> tuple[CertificateRow, ...]:
        """Return all certificates of an issuer that are active and in date, by serial: for the CA's end."""
        columns = certificates.c
        where = (columns.issuer == issuer, columns.status == "active", columns.not_after >= now)
        return self._rows.every(tx, *where, order=columns.serial)

    def revoked_by(self, tx: Connection, issuer: str) -> tuple[CertificateRow, ...]:
        """Return all revoked certificates of an issuer by serial: for its CRL."""
        columns = certificates.c
        return self._rows.every(tx, columns.issuer == issuer, columns.status == "revoked", order=columns.serial)
