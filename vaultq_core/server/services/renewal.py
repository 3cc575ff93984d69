"""Renewal: new certificates over the same keys, for who holds some that end soon or whose CA was replaced.

Asking again is safe: what is not due is answered with the newest certificates (docs/spec/certificates.md, "Renewal").
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Connection

from vaultq_core.crypto.issuing import issue_administrator, issue_doctor_pair
from vaultq_core.crypto.keys import require_curve
from vaultq_core.crypto.x509_profile import RENEW_BEFORE_END, der, load_certificate
from vaultq_core.errors import Conflict
from vaultq_core.registry.certificates import CertificateRow
from vaultq_core.registry.enrolled_keys import EnrolledKey
from vaultq_core.server.services.access import Access, Caller
from vaultq_core.server.services.desk import Desk
from vaultq_core.server.services.renewal_units import RenewAdministrator, RenewDoctor, newest_of
from vaultq_core.wire import api
from vaultq_core.wire import sealed_request as wire
from vaultq_core.wire.entries import ReplaceableCa
from vaultq_core.wire.manifest import CertificatePair

SETTLING_SECONDS: Final = 5  # by then every worker trusts a new CA: each asks twice a second
_TRIES: Final = 5


class Renewals:
    """Gives doctors and administrators the newest certificates over the keys with which they ask."""

    def __init__(self, desk: Desk, access: Access) -> None:
        self._desk = desk
        self._access = access

    def doctor(self, caller: Caller, _operation: wire.CertificatesRenew) -> wire.Doctor:
        """Return the caller's newest pair. Raises NotAuthenticated for who was revoked meanwhile."""
        for _ in range(_TRIES):
            with self._desk.registry.reading() as tx:
                key = self._desk.registry.enrolled_keys.get(tx, caller.doctor.key)
                pair = self._pair(tx, key)
            if not self._is_pair_due(*pair):
                newest = CertificatePair(signing=pair[0].der, tls=pair[1].der)
                return wire.Doctor(doctor=caller.id, name=caller.doctor.name, certificates=newest)
            with suppress(Conflict):  # somebody else renewed them, or replaced the CA, in this moment
                self._renew_doctor(caller, key)
        raise Conflict("the certificates change too fast", remedy="Ask again; nothing was lost.")

    def administrator(self, tls_certificate: str) -> api.AdministratorCertificate:
        """Return the newest certificate of whoever shows one (SHA-256 of its DER). Raises NotAuthenticated."""
        who = self._access.administrator(tls_certificate)
        for _ in range(_TRIES):
            with self._desk.registry.reading() as tx:
                newest = newest_of(self._desk, tx, tls_certificate)
                issuing = self._issuing(tx, newest)
            if not self._is_due(newest, "admins"):
                return api.AdministratorCertificate(certificate=newest.der, issuing=der(issuing))
            with suppress(Conflict):
                self._renew_administrator(who, tls_certificate, newest)
        raise Conflict("the certificates change too fast", remedy="Ask again; nothing was lost.")

    def _renew_doctor(self, caller: Caller, key: EnrolledKey) -> None:
        desk, doctors, doctor = self._desk, self._desk.authorities.issuer("doctors"), caller.doctor
        tls_key = _key_of(caller.certificates.tls)
        pair = issue_doctor_pair(
            doctor.id, doctor.name, doctor.keys, tls_key, pq=desk.keys.pq, doctors=doctors, now=desk.now()
        )
        desk.committer.commit(RenewDoctor(desk, key, pair, doctors.certificate))

    def _renew_administrator(self, who: str, shown: str, former: CertificateRow) -> None:
        desk, admins = self._desk, self._desk.authorities.issuer("admins")
        with desk.registry.reading() as tx:
            name = desk.registry.administrators.get(tx, who).name
        renewed = issue_administrator(who, name, _key_of(former.der), admins, desk.now())
        desk.committer.commit(RenewAdministrator(desk, shown, former, renewed, admins.certificate))

    def _pair(self, tx: Connection, key: EnrolledKey) -> tuple[CertificateRow, CertificateRow]:
        rows = self._desk.registry.certificates
        return rows.get(tx, key.signing_certificate), rows.get(tx, key.tls_certificate)

    def _issuing(self, tx: Connection, row: CertificateRow) -> x509.Certificate:
        issuer = load_certificate(row.der).issuer
        return next(each for each in self._desk.authorities.read(tx).open("admins") if each.subject == issuer)

    def _is_pair_due(self, signing: CertificateRow, tls: CertificateRow) -> bool:
        return self._ends_soon(signing, self._desk.keys.pq.certificate) or self._is_due(tls, "doctors")

    def _is_due(self, row: CertificateRow, role: ReplaceableCa) -> bool:
        cas = self._desk.authorities.present()
        present, since = cas.present[role], cas.rows[role].created
        if load_certificate(row.der).issuer != present.subject:
            return row.status != "active" or self._desk.seconds() >= since + SETTLING_SECONDS
        return self._ends_soon(row, present)

    def _ends_soon(self, row: CertificateRow, issuer: x509.Certificate) -> bool:
        """Tell whether a certificate ends soon and a new one would end later."""
        soon = row.not_after - self._desk.seconds() < RENEW_BEFORE_END.total_seconds()
        return soon and row.not_after < int(issuer.not_valid_after_utc.timestamp())


def _key_of(certificate: bytes) -> ec.EllipticCurvePublicKey:
    return require_curve(load_certificate(certificate).public_key(), ec.SECP256R1)
