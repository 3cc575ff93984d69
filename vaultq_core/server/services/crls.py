"""Revocation lists: made anew daily and at each revocation by the issuing CAs of both hierarchies.

A former CA signs its own until it is closed, and then one more that ends with the CA. A worker whose keystore
lacks a CA's key leaves its list to others.
"""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from sqlalchemy import Connection

from vaultq_core.crypto.chains import Revocation
from vaultq_core.crypto.issuing import Issuer
from vaultq_core.crypto.revocation import RevokedCertificate, load_crl, sign_crl
from vaultq_core.errors import Conflict, KeyNotFound
from vaultq_core.registry.certificates import CertificateRow
from vaultq_core.registry.crls import CrlRow
from vaultq_core.registry.registry import Registry
from vaultq_core.server.authorities import Authorities
from vaultq_core.server.logs import logger
from vaultq_core.server.services.desk import KeyDesk
from vaultq_core.server.services.doctor_units import issuer_name
from vaultq_core.wire.entries import ReplaceableCa

RENEW_AFTER: Final = dt.timedelta(days=1)
SUPERSEDED: Final = "the issuing CA was closed"
_TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class Listing:
    """A CA that owes a list. `role` is None for the PQ issuing CA; `last`: its last one."""

    role: ReplaceableCa | None
    certificate: x509.Certificate
    last: bool = False


class CrlPublisher:
    """Signs and stores the CRLs of the issuing CAs, present and former."""

    def __init__(self, desk: KeyDesk) -> None:
        self._desk = desk

    def publish(self) -> None:
        """Sign all lists anew and tell the workers. Raises KeystoreUnavailable or RegistryUnavailable."""
        with self._desk.registry.reading() as tx:
            listings = self._listings(tx)
        for listing in listings:
            issuer = self._issuer(listing)
            if issuer is not None:
                self._publish(issuer, last=listing.last)
        with self._desk.registry.writing() as tx:
            self._desk.registry.epoch.advance(tx)

    def is_due(self) -> bool:
        """Tell whether a list is missing, older than a day, or older than a revocation that it must name."""
        with self._desk.registry.reading() as tx:
            due = [each for each in self._listings(tx) if self._is_due(tx, each)]
        return any(self._issuer(each) is not None for each in due)

    def _listings(self, tx: Connection) -> tuple[Listing, ...]:
        return (
            Listing(None, self._desk.keys.pq.certificate),
            *listings(self._desk.registry, self._desk.authorities, tx),
        )

    def _issuer(self, listing: Listing) -> Issuer | None:
        if listing.role is None:
            return self._desk.keys.pq
        try:
            return self._desk.authorities.signing(listing.role, listing.certificate)
        except KeyNotFound as error:
            logger("crls").warning("key-elsewhere", role=listing.role, detail=str(error), remedy=error.remedy)
            return None

    def _is_due(self, tx: Connection, listing: Listing) -> bool:
        issuer = issuer_name(listing.certificate.subject)
        if listing.last:
            return True
        row = self._desk.registry.crls.find(tx, issuer)
        if row is None or row.this_update < self._desk.seconds() - RENEW_AFTER.total_seconds():
            return True
        revoked = self._desk.registry.certificates.revoked_by(tx, issuer)
        return any((each.revoked_at or 0) >= row.this_update for each in revoked)

    def _publish(self, issuer: Issuer, *, last: bool) -> None:
        for _ in range(_TRIES):
            with self._desk.registry.reading() as tx:
                present = self._desk.registry.crls.find(tx, name(issuer))
                revoked = self._desk.registry.certificates.revoked_by(tx, name(issuer))
            # Signed outside of any transaction: the key may live in a token.
            number = present.number + 1 if present else 1
            row = signed_crl(issuer, revoked, number, self._desk.now(), last=last)
            with suppress(Conflict):  # another worker published meanwhile, perhaps without what we read
                with self._desk.registry.writing() as tx:
                    self._put(tx, row, len(revoked))
                return
        raise Conflict("the revocation lists change too fast", remedy="Try again; nothing was lost.")

    def _put(self, tx: Connection, row: CrlRow, revoked: int) -> None:
        if len(self._desk.registry.certificates.revoked_by(tx, row.issuer)) != revoked:
            raise Conflict("a certificate was revoked meanwhile")
        self._desk.registry.crls.put(tx, row)


def listings(registry: Registry, authorities: Authorities, tx: Connection) -> tuple[Listing, ...]:
    """Return every CA under the hospital root that still owes lists: its key is needed."""
    cas = authorities.read(tx)
    last = (Listing(*each, last=True) for each in cas.closed() if not _has_last(registry, tx, each[1]))
    return (*(Listing(*each) for each in cas.known()), *last)


def name(issuer: Issuer) -> str:
    """Return an issuing CA's name as it stands in rows."""
    return issuer_name(issuer.certificate.subject)


def signed_crl(
    issuer: Issuer, revoked: tuple[CertificateRow, ...], number: int, now: dt.datetime, *, last: bool = False
) -> CrlRow:
    """Return the issuer's CRL over `revoked`; its `last` one ends with the CA."""
    rows = (
        RevokedCertificate(int(each.serial, 16), _revocation(each), superseded=each.reason == SUPERSEDED)
        for each in revoked
    )
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


def _has_last(registry: Registry, tx: Connection, closed: x509.Certificate) -> bool:
    row = registry.crls.find(tx, issuer_name(closed.subject))
    return row is not None and row.next_update >= int(closed.not_valid_after_utc.timestamp())


def _revocation(row: CertificateRow) -> Revocation:
    since = row.compromised_since
    return Revocation(_time(row.revoked_at or 0), None if since is None else _time(since))


def _time(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
