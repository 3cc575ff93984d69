"""Revocation lists: made anew daily and at each revocation by the issuing CAs of both hierarchies.

Former CAs sign theirs until they are closed; a worker whose keystore lacks a CA's key leaves its list to others.
"""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from typing import Final

from cryptography import x509
from sqlalchemy import Connection

from vaultq_core.crypto.chains import Revocation
from vaultq_core.crypto.issuing import Issuer
from vaultq_core.crypto.revocation import RevokedCertificate, load_crl, sign_crl
from vaultq_core.errors import Conflict, KeyNotFound
from vaultq_core.registry.certificates import CertificateRow
from vaultq_core.registry.crls import CrlRow
from vaultq_core.server.logs import logger
from vaultq_core.server.services.desk import Desk
from vaultq_core.server.services.doctor_units import issuer_name

RENEW_AFTER: Final = dt.timedelta(days=1)
_TRIES: Final = 5


class CrlPublisher:
    """Signs and stores the CRLs of the issuing CAs, present and former."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def publish(self) -> None:
        """Sign all lists anew and tell the workers. Raises KeystoreUnavailable or RegistryUnavailable."""
        for certificate in self._certificates():
            issuer = self._issuer(certificate)
            if issuer is not None:
                self._publish(issuer)
        with self._desk.registry.writing() as tx:
            self._desk.registry.epoch.advance(tx)

    def is_due(self) -> bool:
        """Tell whether a list is missing, older than a day, or older than a revocation that it must name."""
        with self._desk.registry.reading() as tx:
            due = [each for each in self._certificates() if self._is_due(tx, issuer_name(each.subject))]
        return any(self._issuer(each) is not None for each in due)

    def _certificates(self) -> tuple[x509.Certificate, ...]:
        authorities = self._desk.authorities
        return (authorities.pq.certificate, *(each for _, each in authorities.present().known()))

    def _issuer(self, certificate: x509.Certificate) -> Issuer | None:
        authorities = self._desk.authorities
        if certificate == authorities.pq.certificate:
            return authorities.pq
        role = next(role for role, each in authorities.present().known() if each == certificate)
        try:
            return authorities.signing(role, certificate)
        except KeyNotFound as error:
            logger("crls").warning("key-elsewhere", role=role, detail=str(error), remedy=error.remedy)
            return None

    def _is_due(self, tx: Connection, issuer: str) -> bool:
        row = self._desk.registry.crls.find(tx, issuer)
        if row is None or row.this_update < self._desk.seconds() - RENEW_AFTER.total_seconds():
            return True
        revoked = self._desk.registry.certificates.revoked_by(tx, issuer)
        return any((each.revoked_at or 0) >= row.this_update for each in revoked)

    def _publish(self, issuer: Issuer) -> None:
        for _ in range(_TRIES):
            with self._desk.registry.reading() as tx:
                present = self._desk.registry.crls.find(tx, name(issuer))
                revoked = self._desk.registry.certificates.revoked_by(tx, name(issuer))
            # Signed outside of any transaction: the key may live in a token.
            row = signed_crl(issuer, revoked, present.number + 1 if present else 1, self._desk.now())
            with suppress(Conflict):  # another worker published meanwhile, perhaps without what we read
                with self._desk.registry.writing() as tx:
                    self._put(tx, row, len(revoked))
                return
        raise Conflict("the revocation lists change too fast", remedy="Try again; nothing was lost.")

    def _put(self, tx: Connection, row: CrlRow, revoked: int) -> None:
        if len(self._desk.registry.certificates.revoked_by(tx, row.issuer)) != revoked:
            raise Conflict("a certificate was revoked meanwhile")
        self._desk.registry.crls.put(tx, row)


def name(issuer: Issuer) -> str:
    """Return an issuing CA's name as it stands in rows."""
    return issuer_name(issuer.certificate.subject)


def signed_crl(
    issuer: Issuer, revoked: tuple[CertificateRow, ...], number: int, now: dt.datetime, *, last: bool = False
) -> CrlRow:
    """Return the issuer's CRL over `revoked`; its `last` one ends with the CA."""
    rows = (RevokedCertificate(int(each.serial, 16), _revocation(each)) for each in revoked)
    data = sign_crl(issuer, rows, number=number, now=now, last=last)
    crl = load_crl(data)
    end = crl.next_update_utc or now
    return CrlRow(
        issuer=name(issuer),
        number=number,
        der=data,
        this_update=int(now.timestamp()),
        next_update=int(end.timestamp()),
    )


def _revocation(row: CertificateRow) -> Revocation:
    since = row.compromised_since
    return Revocation(_time(row.revoked_at or 0), None if since is None else _time(since))


def _time(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
