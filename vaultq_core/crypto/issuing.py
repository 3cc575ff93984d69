"""End-entity certificates: a doctor's cross-bound pair, administrators, servers (docs/spec/certificates.md)."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from vaultq_core.crypto.keys import IssuerKey, PublicKey, VerifyingKeys
from vaultq_core.crypto.x509_profile import (
    ADMIN_URN,
    DOCTOR_URN,
    PERSON_LIFETIME,
    SERVER_LIFETIME,
    alt_public_key,
    base_builder,
    common_name,
    hash_for,
    key_usage,
    related_certificate,
)


@dataclass(frozen=True, slots=True)
class Issuer:
    """An issuing CA that can sign: its certificate and a key object, which may live in a token."""

    certificate: x509.Certificate
    key: IssuerKey = field(repr=False)


def issue_doctor_pair(
    doctor: str,
    name: str,
    keys: VerifyingKeys,
    tls_key: ec.EllipticCurvePublicKey,
    *,
    pq: Issuer,
    doctors: Issuer,
    now: dt.datetime,
) -> tuple[x509.Certificate, x509.Certificate]:
    """Return a doctor's signing and TLS certificates, each of which names all that the other one needs.

    Signing: ML-DSA-65 key, the ECDSA P-256 signing key in 2.5.29.72, by the PQ issuing CA. TLS: its own
    P-256 key, the ML-DSA-65 key in 2.5.29.72, relatedCertificate over the signing certificate, by the
    doctors CA. One year.
    """
    subject, san = common_name(name), _uri(DOCTOR_URN + doctor)
    signing = _sign_leaf(_leaf(subject, keys.mldsa65, pq, san, now, (alt_public_key(keys.ecdsa_p256),)), pq)
    extras = (alt_public_key(keys.mldsa65), related_certificate(signing))
    tls = _leaf(subject, tls_key, doctors, san, now, extras, ExtendedKeyUsageOID.CLIENT_AUTH)
    return signing, _sign_leaf(tls, doctors)


def issue_administrator(
    administrator: str, name: str, key: ec.EllipticCurvePublicKey, admins: Issuer, now: dt.datetime
) -> x509.Certificate:
    """Return an administrator's TLS certificate, by the admins CA, one year."""
    san = _uri(ADMIN_URN + administrator)
    leaf = _leaf(common_name(name), key, admins, san, now, (), ExtendedKeyUsageOID.CLIENT_AUTH)
    return _sign_leaf(leaf, admins)


def issue_server(
    names: Iterable[str], addresses: Iterable[str], key: ec.EllipticCurvePublicKey, servers: Issuer, now: dt.datetime
) -> x509.Certificate:
    """Return a server's TLS certificate for its DNS names and IP addresses, by the servers CA, 90 days."""
    general: list[x509.GeneralName] = [x509.DNSName(each) for each in names]
    general += [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
    san = x509.SubjectAlternativeName(general)
    subject = common_name("VaultQ server")
    leaf = _leaf(subject, key, servers, san, now, (), ExtendedKeyUsageOID.SERVER_AUTH, SERVER_LIFETIME)
    return _sign_leaf(leaf, servers)


def _leaf(
    subject: x509.Name,
    key: PublicKey,
    issuer: Issuer,
    san: x509.SubjectAlternativeName,
    now: dt.datetime,
    extras: Iterable[x509.UnrecognizedExtension],
    purpose: ObjectIdentifier | None = None,
    lifetime: dt.timedelta = PERSON_LIFETIME,
) -> x509.CertificateBuilder:
    builder = (
        base_builder(subject, key, issuer.certificate, now=now, lifetime=lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(ca=False), critical=True)
        .add_extension(san, critical=False)
    )
    if purpose is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    for extra in extras:
        builder = builder.add_extension(extra, critical=False)
    return builder


def _sign_leaf(builder: x509.CertificateBuilder, issuer: Issuer) -> x509.Certificate:
    return builder.sign(issuer.key, hash_for(issuer.key))


def _uri(text: str) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.UniformResourceIdentifier(text)])
