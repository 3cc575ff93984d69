"""Certificate revocation lists of the issuing CAs (RFC 5280, 5), signed and verified.

A revocation may carry an invalidity date (5.3.2): the time since when the key may have been in other
hands. Records logged between that time and the revocation verify as doubtful.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from vaultq_core.crypto.chains import Revocation
from vaultq_core.crypto.issuing import Issuer
from vaultq_core.crypto.x509_profile import BACKDATE, hash_for, issuer_public_key
from vaultq_core.errors import CannotVerify, Malformed, NotVerified

CRL_LIFETIME = dt.timedelta(days=7)


@dataclass(frozen=True, slots=True)
class RevokedCertificate:
    """One row of a CRL. `superseded`: nothing is wrong with it, its CA was closed."""

    serial: int
    revocation: Revocation
    superseded: bool = False


def sign_crl(
    issuer: Issuer, revoked: Iterable[RevokedCertificate], *, number: int, now: dt.datetime, last: bool = False
) -> bytes:
    """Return the issuer's CRL, DER, that ends after 7 days; the `last` one of a CA ends with the CA itself."""
    end = issuer.certificate.not_valid_after_utc if last else now + CRL_LIFETIME
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_public_key(issuer.certificate))
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(now - BACKDATE)
        .next_update(end)
        .add_extension(authority, critical=False)
        .add_extension(x509.CRLNumber(number), critical=False)
    )
    for each in revoked:
        builder = builder.add_revoked_certificate(_row(each))
    return builder.sign(issuer.key, hash_for(issuer.key)).public_bytes(Encoding.DER)


def verify_crl(data: bytes, issuer: x509.Certificate, at: dt.datetime | None) -> dict[int, Revocation]:
    """Prove a CRL (DER) and return its rows by serial.

    1. It is a CRL of this issuer, without a critical extension (a delta or indirect list has one).
    2. The issuer signed it.
    3. It has not ended at `at`; None accepts an ended one, for a court that reads old evidence.

    Raises NotVerified, naming the step; CannotVerify at step 3.
    """
    crl = load_crl(data)
    if crl.issuer != issuer.subject or any(each.critical for each in crl.extensions):  # 1
        raise NotVerified("this is not the CA's own, whole revocation list", step=1)
    try:
        signed = crl.is_signature_valid(issuer_public_key(issuer))
    except (ValueError, TypeError):
        signed = False
    if not signed:  # 2
        raise NotVerified("the revocation list is not signed by its CA", step=2)
    if at is not None and (crl.next_update_utc is None or crl.next_update_utc < at):  # 3
        raise CannotVerify("the revocation list has ended; a newer one is needed", step=3)
    return {each.serial_number: Revocation(each.revocation_date_utc, _invalidity(each)) for each in crl}


def load_crl(data: bytes) -> x509.CertificateRevocationList:
    """Return the CRL of `data` (DER). Raises Malformed."""
    try:
        return x509.load_der_x509_crl(data)
    except ValueError:
        raise Malformed("this is not a certificate revocation list") from None


def _row(each: RevokedCertificate) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder().serial_number(each.serial).revocation_date(each.revocation.at)
    if each.revocation.compromised_since is not None:
        builder = builder.add_extension(x509.CRLReason(x509.ReasonFlags.key_compromise), critical=False)
        builder = builder.add_extension(x509.InvalidityDate(each.revocation.compromised_since), critical=False)
    elif each.superseded:
        builder = builder.add_extension(x509.CRLReason(x509.ReasonFlags.superseded), critical=False)
    return builder.build()


def _invalidity(row: x509.RevokedCertificate) -> dt.datetime | None:
    try:
        return row.extensions.get_extension_for_class(x509.InvalidityDate).value.invalidity_date_utc
    except x509.ExtensionNotFound:
        return None
