"""The units that put renewed certificates on file, and say so in the log; the former ones count on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from sqlalchemy import Connection

from vaultq_core.crypto.x509_profile import certificate_hash, load_certificate
from vaultq_core.errors import Conflict, NotAuthenticated
from vaultq_core.registry.certificates import CertificateRow
from vaultq_core.registry.commit import Turn
from vaultq_core.registry.enrolled_keys import EnrolledKey
from vaultq_core.server.services.desk import Desk
from vaultq_core.server.services.doctor_units import certificate_row, issuer_name
from vaultq_core.wire.entries import AdministratorRenewed, CertificatesRenewed, LogEntry


@dataclass(frozen=True, slots=True)
class RenewDoctor:
    """Puts a doctor's new pair in the place of the newest one."""

    desk: Desk
    key: EnrolledKey
    pair: tuple[x509.Certificate, x509.Certificate]
    doctors: x509.Certificate
    keeps_receipt: bool = False

    def apply(self, tx: Connection, turn: Turn) -> Sequence[LogEntry]:
        """Write the rows. Raises NotAuthenticated after a revocation, Conflict when pair or CA changed meanwhile."""
        rows, key, (signing, tls) = self.desk.registry, self.key, self.pair
        self.desk.authorities.require_present(tx, "doctors", self.doctors)
        if rows.doctors.get(tx, key.doctor).status != "active":
            raise NotAuthenticated("this doctor is not active any more")
        rows.certificates.add(tx, certificate_row(signing, "doctor-signing", key.doctor))
        rows.certificates.add(tx, certificate_row(tls, "doctor-tls", key.doctor))
        renewed = rows.enrolled_keys.renew(
            tx,
            key,
            signing_certificate=certificate_hash(signing),
            tls_certificate=certificate_hash(tls),
            now=turn.time,
        )
        entry = CertificatesRenewed(
            vault=self.desk.vault,
            doctor=key.doctor,
            former_signing_certificate=key.signing_certificate,
            former_tls_certificate=key.tls_certificate,
            signing_certificate=renewed.signing_certificate,
            tls_certificate=renewed.tls_certificate,
        )
        return (entry,)


@dataclass(frozen=True, slots=True)
class RenewAdministrator:
    """Puts an administrator's new certificate beside the newest one. `shown` is the one that asked (SHA-256)."""

    desk: Desk
    shown: str
    former: CertificateRow
    renewed: x509.Certificate
    admins: x509.Certificate
    keeps_receipt: bool = False

    def apply(self, tx: Connection, _turn: Turn) -> Sequence[LogEntry]:
        """Write the row. Raises NotAuthenticated after a revocation, Conflict when something changed meanwhile."""
        rows, owner = self.desk.registry, self.former.owner
        self.desk.authorities.require_present(tx, "admins", self.admins)
        if rows.administrators.get(tx, owner).status != "active":
            raise NotAuthenticated("this administrator is not active any more")
        if newest_of(self.desk, tx, self.shown) != self.former:
            raise Conflict("the certificate was renewed meanwhile")
        rows.certificates.add(tx, certificate_row(self.renewed, "admin-tls", owner))
        entry = AdministratorRenewed(
            vault=self.desk.vault,
            administrator=owner,
            former=self.former.sha256,
            certificate=certificate_hash(self.renewed),
        )
        return (entry,)


def newest_of(desk: Desk, tx: Connection, shown: str) -> CertificateRow:
    """Return an administrator's newest active certificate over the key of one that they showed (SHA-256).

    Raises NotAuthenticated when that one counts no more.
    """
    rows, now = desk.registry.certificates, desk.seconds()
    mine = rows.get(tx, shown)
    if not mine.is_active(now):
        raise NotAuthenticated("this certificate is not active any more")
    present = issuer_name(load_certificate(desk.registry.vault.issuing_cas(tx)["admins"].der).subject)
    alike = [each for each in rows.of_owner(tx, mine.owner) if each.role == "admin-tls" and each.is_active(now)]
    key = load_certificate(mine.der).public_key()
    over_same_key = [each for each in alike if load_certificate(each.der).public_key() == key]
    return max(over_same_key, key=lambda each: (each.not_before, each.issuer == present))
