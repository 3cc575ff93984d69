"""Which certificates the CRLs end: of the issuing CAs that certify doctors, and of the roots."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence

from cryptography import x509

from vaultq_core.crypto.chains import Revocation, Trust
from vaultq_core.crypto.revocation import load_crl, verify_crl
from vaultq_core.crypto.x509_profile import certificate_hash
from vaultq_core.errors import CannotVerify, NotVerified


def with_revocations(trust: Trust, crls: Sequence[bytes], at: dt.datetime | None) -> Trust:
    """Return `trust` with what the CRLs (DER) say of doctors' certificates.

    Every CA that issued to doctors needs one that has not ended at `at` (None: old evidence), except that the
    last one of a CA that has ended counts for good. A root's CRL is honoured where there is one. Raises
    NotVerified; CannotVerify for a CRL that lacks or has ended.
    """
    under_hospital = (trust.doctors, trust.servers, *trust.former)
    for root, issued in ((trust.anchors.pq, (trust.pq,)), (trust.anchors.hospital, under_hospital)):
        ended = _revoked(root, crls, at)
        if any(each.serial_number in ended for each in issued):
            raise NotVerified("the root has revoked an issuing CA")
    revoked = {certificate_hash(ca): _required(ca, crls, at) for ca in trust.certify_doctors}
    return dataclasses.replace(trust, revoked=revoked)


def crls_of(cas: Sequence[x509.Certificate], crls: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return those CRLs that name one of `cas` as their issuer."""
    return tuple(each for ca in cas for each in _of(ca, crls))


def crl_time(crls: Sequence[bytes]) -> dt.datetime | None:
    """Return up to when all of these CRLs know of revocations; None without any. Raises Malformed."""
    return min((load_crl(each).last_update_utc for each in crls), default=None)


def _required(ca: x509.Certificate, crls: Sequence[bytes], at: dt.datetime | None) -> dict[int, Revocation]:
    if not _of(ca, crls):
        raise CannotVerify("a revocation list of a CA that certifies doctors is missing")
    return _revoked(ca, crls, None if at is not None and at > ca.not_valid_after_utc else at)


def _revoked(ca: x509.Certificate, crls: Sequence[bytes], at: dt.datetime | None) -> dict[int, Revocation]:
    rows: dict[int, Revocation] = {}
    for each in _of(ca, crls):
        rows |= verify_crl(each, ca, at)
    return rows


def _of(ca: x509.Certificate, crls: Sequence[bytes]) -> tuple[bytes, ...]:
    return tuple(each for each in crls if load_crl(each).issuer == ca.subject)
