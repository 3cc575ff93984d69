"""The certificate profile: what every VaultQ certificate has in common (docs/spec/certificates.md; RFC 5280).

Certificates start ten minutes in the past, for clocks that differ. The end is exact.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID, ObjectIdentifier

from vaultq_core.crypto.fingerprints import sha256_hex, spki
from vaultq_core.crypto.keys import IssuerKey, PublicKey
from vaultq_core.errors import Malformed
from vaultq_core.wire import ids

ALT_PUBLIC_KEY: Final = ObjectIdentifier("2.5.29.72")  # subjectAltPublicKeyInfo, X.509 (2019), 9.8.2
RELATED_CERTIFICATE: Final = ObjectIdentifier("1.3.6.1.5.5.7.1.36")  # RFC 9763, 4
DOCTOR_URN: Final = "urn:vaultq:doctor:"
ADMIN_URN: Final = "urn:vaultq:admin:"

BACKDATE: Final = dt.timedelta(minutes=10)
ROOT_LIFETIME: Final = dt.timedelta(days=20 * 365)
ISSUING_LIFETIME: Final = dt.timedelta(days=10 * 365)
PERSON_LIFETIME: Final = dt.timedelta(days=365)
SERVER_LIFETIME: Final = dt.timedelta(days=90)
RENEW_BEFORE_END: Final = dt.timedelta(days=30)

# SEQUENCE { SEQUENCE { OID id-sha256 }, OCTET STRING (32) }: RelatedCertificate with SHA-256
_RELATED_PREFIX: Final = bytes.fromhex("302f300b0609608648016503040201") + b"\x04\x20"


def common_name(text: str) -> x509.Name:
    """Return a name of one attribute. Raises Malformed above 64 bytes of UTF-8."""
    try:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
    except ValueError:
        raise Malformed("a name in a certificate has 1 to 64 bytes of UTF-8") from None


def base_builder(
    subject: x509.Name,
    key: PublicKey,
    issuer: x509.Certificate | None,
    *,
    now: dt.datetime,
    lifetime: dt.timedelta,
) -> x509.CertificateBuilder:
    """Return a builder with names, validity and key identifiers; without an issuer it is self-issued.

    The end never passes the issuer's own end.
    """
    end = now + lifetime if issuer is None else min(now + lifetime, issuer.not_valid_after_utc)
    issuer_key: PublicKey = key if issuer is None else issuer_public_key(issuer)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATE)
        .not_valid_after(end)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
    )


def key_usage(*, ca: bool) -> x509.KeyUsage:
    """Return keyCertSign and cRLSign for a CA, digitalSignature for everybody else."""
    return x509.KeyUsage(
        digital_signature=not ca,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def alt_public_key(key: PublicKey) -> x509.UnrecognizedExtension:
    """Return extension 2.5.29.72 with the DER SubjectPublicKeyInfo of a second key."""
    return x509.UnrecognizedExtension(ALT_PUBLIC_KEY, spki(key))


def related_certificate(certificate: x509.Certificate) -> x509.UnrecognizedExtension:
    """Return RFC 9763's relatedCertificate: SHA-256 over the other certificate's DER."""
    return x509.UnrecognizedExtension(RELATED_CERTIFICATE, _RELATED_PREFIX + hashlib.sha256(der(certificate)).digest())


def hash_for(key: IssuerKey) -> hashes.SHA384 | None:
    """Return the hash an issuer signs with: SHA-384 on P-384; ML-DSA has none of its own."""
    return hashes.SHA384() if isinstance(key, ec.EllipticCurvePrivateKey) else None


def issuer_public_key(certificate: x509.Certificate) -> PublicKey:
    """Return a CA's public key. Raises Malformed for a key of another kind."""
    key = certificate.public_key()
    if not isinstance(key, PublicKey):
        raise Malformed("the certificate's key is of a kind that VaultQ does not use")
    return key


def der(certificate: x509.Certificate) -> bytes:
    """Return the certificate's DER."""
    return certificate.public_bytes(Encoding.DER)


def certificate_hash(certificate: x509.Certificate) -> str:
    """Return SHA-256 over the certificate's DER, 64 hex digits."""
    return sha256_hex(der(certificate))


def load_certificate(data: bytes) -> x509.Certificate:
    """Return the certificate of `data` (DER). Raises Malformed."""
    try:
        return x509.load_der_x509_certificate(data)
    except ValueError:
        raise Malformed("this is not an X.509 certificate") from None


def extension_bytes(certificate: x509.Certificate, oid: ObjectIdentifier) -> bytes:
    """Return the value of an extension that `cryptography` does not know. Raises Malformed without it."""
    try:
        value = certificate.extensions.get_extension_for_oid(oid).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        raise Malformed(f"the certificate has no extension {oid.dotted_string}") from None
    return value.value if isinstance(value, x509.UnrecognizedExtension) else b""


def subject_urn(certificate: x509.Certificate, prefix: str) -> str:
    """Return the id behind `prefix` in the only URI of the subject's alternative name. Raises Malformed."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        raise Malformed("the certificate names nobody") from None
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(names) != 1 or len(uris) != 1 or not uris[0].startswith(prefix):
        raise Malformed(f"the certificate names no {prefix}…")
    kind = ids.DoctorId if prefix == DOCTOR_URN else ids.AdminId
    return ids.parse(uris[0].removeprefix(prefix), kind, "VaultQ id")


def subject_name(certificate: x509.Certificate) -> str:
    """Return the subject's common name. Raises Malformed unless there is exactly one."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    if len(names) != 1 or len(certificate.subject) != 1:
        raise Malformed("the certificate's subject is not one common name")
    return str(names[0].value)
