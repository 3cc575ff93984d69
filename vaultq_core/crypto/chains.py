"""Verifying certificates: both chains of a doctor, and each other certificate under its root.

A doctor's keys count only when the ML-DSA chain and the ECDSA chain both name them, so that a break of
one algorithm cannot name a key for a doctor (docs/spec/certificates.md, "Verification").
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID, ObjectIdentifier

from vaultq_core.crypto.fingerprints import sha256_hex, spki, vault_id
from vaultq_core.crypto.keys import VerifyingKeys, load_p256, require_curve
from vaultq_core.crypto.steps import step
from vaultq_core.crypto.x509_profile import (
    ADMIN_URN,
    ALT_PUBLIC_KEY,
    DOCTOR_URN,
    RELATED_CERTIFICATE,
    certificate_hash,
    extension_bytes,
    issuer_public_key,
    key_usage,
    load_certificate,
    related_certificate,
    subject_name,
    subject_urn,
)
from vaultq_core.errors import NotVerified
from vaultq_core.wire.manifest import CertificatePair


@dataclass(frozen=True, slots=True)
class TrustAnchors:
    """The hospital's two roots, which a client pins."""

    hospital: x509.Certificate
    pq: x509.Certificate

    @property
    def vault(self) -> str:
        """The vault's id."""
        return vault_id(issuer_public_key(self.hospital), issuer_public_key(self.pq))


@dataclass(frozen=True, slots=True)
class Revocation:
    """When a certificate ended, and since when its key may have been in other hands (or None)."""

    at: dt.datetime
    compromised_since: dt.datetime | None


@dataclass(frozen=True, slots=True)
class Trust:
    """Two roots and the issuing CAs that were verified under them (`verify_issuing_cas`).

    `former` are doctors CAs that were replaced: what they issued counts on, each certificate to its own end.
    """

    anchors: TrustAnchors
    pq: x509.Certificate
    doctors: x509.Certificate
    servers: x509.Certificate
    revoked: Mapping[str, Mapping[int, Revocation]] = field(default_factory=dict)
    """By the issuing CA's certificate hash, from verified CRLs; empty where the registry is asked."""
    former: tuple[x509.Certificate, ...] = ()

    @property
    def certify_doctors(self) -> tuple[x509.Certificate, ...]:
        """Every CA that issued certificates to doctors: PQ, present, former."""
        return (self.pq, self.doctors, *self.former)


@dataclass(frozen=True, slots=True)
class VerifiedDoctor:
    """A doctor whose two certificates hold together. `key` is SHA-256 over the ML-DSA-65 key's SPKI.

    `doubtful`: a later revocation says that the key may have been in other hands at that time already.
    """

    id: str
    name: str
    keys: VerifyingKeys
    key: str
    signing_certificate: str
    tls_certificate: str
    not_after: dt.datetime
    doubtful: bool


def verify_issuing_cas(
    anchors: TrustAnchors,
    *,
    pq: bytes,
    doctors: bytes,
    servers: bytes,
    at: dt.datetime,
    servers_at: dt.datetime | None = None,
    former: Sequence[bytes] = (),
) -> Trust:
    """Prove that the issuing CAs (DER) stand under the two roots.

    `servers_at`: when the servers CA has to be in date, if not at `at`: it may be younger than an old record.

    1. Both roots are self-signed CAs of their algorithm and in date.
    2. The PQ issuing CA is an ML-DSA-65 CA issued by the PQ root, and in date.
    3. The doctors CA and the servers CA are P-384 CAs issued by the hospital root, and in date.
    4. Every former doctors CA is a P-384 CA issued by the hospital root, which may have ended. No two of the
       hospital root's CAs have one name.

    Returns what doctors and statements are verified with. Raises NotVerified, naming the step.
    """
    with step(1):
        _require_in_date_ca(anchors.hospital, anchors.hospital, ec.EllipticCurvePublicKey, at)
        _require_in_date_ca(anchors.pq, anchors.pq, mldsa.MLDSA87PublicKey, at)
    with step(2):
        pq_ca = _require_in_date_ca(load_certificate(pq), anchors.pq, mldsa.MLDSA65PublicKey, at)
    with step(3):
        doctors_ca = require_in_date(verify_hospital_ca(doctors, anchors.hospital), at)
        servers_ca = require_in_date(verify_hospital_ca(servers, anchors.hospital), servers_at or at)
    with step(4):
        former_cas = tuple(verify_hospital_ca(each, anchors.hospital) for each in former)
        _require_own_names((doctors_ca, servers_ca, *former_cas))
    return Trust(anchors, pq_ca, doctors_ca, servers_ca, former=former_cas)


def verify_hospital_ca(data: bytes, root: x509.Certificate) -> x509.Certificate:
    """Return the issuing CA of DER `data` if it is a P-384 CA under the hospital root, in date or not.

    Raises NotVerified, or Malformed.
    """
    return _require_ca(load_certificate(data), root, ec.EllipticCurvePublicKey)


def verify_doctor(pair: CertificatePair, trust: Trust, at: dt.datetime) -> VerifiedDoctor:
    """Prove that two certificates name one doctor and all of their keys.

    1. The signing certificate is issued by the PQ issuing CA, the TLS certificate by the doctors CA or by the
       former one that it names.
    2. Both, and both of these CAs, are in date at `at`.
    3. Both are end-entity certificates of their profile, name the same doctor in the same words, and their
       two P-256 keys differ.
    4. The TLS certificate's relatedCertificate is the hash of the signing certificate.
    5. The TLS certificate's 2.5.29.72 is the signing certificate's ML-DSA-65 key.
    6. Neither was revoked at `at`, by the CRLs that `trust` holds.

    Returns the doctor. Raises NotVerified, naming the step.
    """
    with step(1):
        signing = _require_issued(load_certificate(pair.signing), trust.pq)
        tls = load_certificate(pair.tls)
        issuer = doctors_ca_of(tls, trust)
        _require_issued(tls, issuer)
    with step(2):
        for each in (signing, tls, trust.pq, issuer):
            require_in_date(each, at)
    with step(3):
        doctor, keys = _same_doctor(signing, tls), _signing_keys(signing)
        _require_own_key(tls, keys)
    with step(4):
        _require_extension(tls, RELATED_CERTIFICATE, related_certificate(signing).value)
    with step(5):
        _require_extension(tls, ALT_PUBLIC_KEY, spki(keys.mldsa65))
    with step(6):
        doubtful = [_doubtful(*each, trust.revoked, at) for each in ((signing, trust.pq), (tls, issuer))]
    return VerifiedDoctor(
        id=doctor,
        name=subject_name(signing),
        keys=keys,
        key=sha256_hex(spki(keys.mldsa65)),
        signing_certificate=certificate_hash(signing),
        tls_certificate=certificate_hash(tls),
        not_after=min(signing.not_valid_after_utc, tls.not_valid_after_utc),
        doubtful=any(doubtful),
    )


def doctors_ca_of(tls: x509.Certificate, trust: Trust) -> x509.Certificate:
    """Return the doctors CA, present or former, that a TLS certificate names; else the present one, to be refused."""
    return next((each for each in trust.former if each.subject == tls.issuer), trust.doctors)


def verify_administrator(der: bytes, admins: x509.Certificate, at: dt.datetime) -> tuple[str, str]:
    """Prove an administrator's certificate (DER).

    1. It is issued by the admins CA.
    2. It is in date at `at`.
    3. It is an end-entity certificate of the profile that names an administrator.

    Returns id and name. Raises NotVerified, naming the step.
    """
    with step(1):
        certificate = _require_issued(load_certificate(der), admins)
    with step(2):
        require_in_date(certificate, at)
    with step(3):
        _require_end_entity(certificate, ExtendedKeyUsageOID.CLIENT_AUTH)
        return subject_urn(certificate, ADMIN_URN), subject_name(certificate)


def require_in_date(certificate: x509.Certificate, at: dt.datetime) -> x509.Certificate:
    """Return the certificate if `at` lies within its validity. Raises NotVerified."""
    if not certificate.not_valid_before_utc <= at <= certificate.not_valid_after_utc:
        raise NotVerified("a certificate is not valid at that time")
    return certificate


def _require_issued(certificate: x509.Certificate, issuer: x509.Certificate) -> x509.Certificate:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, ValueError, TypeError):
        raise NotVerified("a certificate is not issued by the hospital's CA") from None
    return certificate


def _require_own_names(cas: Sequence[x509.Certificate]) -> None:
    """Refuse two CAs of one name: a certificate, and a revocation list, is found by its issuer's name."""
    if len({each.subject for each in cas}) != len(cas):
        raise NotVerified("two issuing CAs have one name")


def _require_in_date_ca(
    certificate: x509.Certificate, issuer: x509.Certificate, kind: type[object], at: dt.datetime
) -> x509.Certificate:
    return require_in_date(_require_ca(certificate, issuer, kind), at)


def _require_ca(certificate: x509.Certificate, issuer: x509.Certificate, kind: type[object]) -> x509.Certificate:
    _require_issued(certificate, issuer)
    key = certificate.public_key()
    if not isinstance(key, kind) or not _has(certificate, x509.BasicConstraints, lambda value: value.ca):
        raise NotVerified("a certificate is no CA of its kind")
    if isinstance(key, ec.EllipticCurvePublicKey) and not isinstance(key.curve, ec.SECP384R1):
        raise NotVerified("an ECDSA CA's key is not on P-384")
    if not _has(certificate, x509.KeyUsage, lambda value: value == key_usage(ca=True)):
        raise NotVerified("a CA's certificate allows other uses")
    _require_known_extensions(certificate)
    return certificate


def _require_end_entity(certificate: x509.Certificate, purpose: ObjectIdentifier | None) -> None:
    ok = _has(certificate, x509.BasicConstraints, lambda value: not value.ca)
    ok = ok and _has(certificate, x509.KeyUsage, lambda value: value == key_usage(ca=False))
    if purpose is not None:
        ok = ok and _has(certificate, x509.ExtendedKeyUsage, lambda value: list(value) == [purpose])
    if not ok:
        raise NotVerified("a certificate does not have its profile")
    _require_known_extensions(certificate)


def _require_known_extensions(certificate: x509.Certificate) -> None:
    """Refuse what RFC 5280, 4.2 has a verifier refuse: a critical extension that it doesn't know."""
    try:
        critical = {each.oid for each in certificate.extensions if each.critical}
    except (x509.DuplicateExtension, ValueError):
        raise NotVerified("a certificate's extensions cannot be decoded") from None
    if not critical <= {ExtensionOID.BASIC_CONSTRAINTS, ExtensionOID.KEY_USAGE}:
        raise NotVerified("a certificate has a critical extension that VaultQ does not know")


def _has(certificate: x509.Certificate, kind: type[x509.ExtensionType], test: Callable[[Any], bool]) -> bool:
    try:
        return test(certificate.extensions.get_extension_for_class(kind).value)
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        return False


def _same_doctor(signing: x509.Certificate, tls: x509.Certificate) -> str:
    _require_end_entity(signing, None)
    _require_end_entity(tls, ExtendedKeyUsageOID.CLIENT_AUTH)
    doctors = {subject_urn(each, DOCTOR_URN) for each in (signing, tls)}
    if len(doctors) != 1 or subject_name(signing) != subject_name(tls):
        raise NotVerified("the two certificates name two doctors")
    return doctors.pop()


def _signing_keys(signing: x509.Certificate) -> VerifyingKeys:
    key = signing.public_key()
    if not isinstance(key, mldsa.MLDSA65PublicKey):
        raise NotVerified("the signing certificate's key is not ML-DSA-65")
    return VerifyingKeys(key, load_p256(extension_bytes(signing, ALT_PUBLIC_KEY)))


def _require_own_key(tls: x509.Certificate, keys: VerifyingKeys) -> None:
    if spki(require_curve(tls.public_key(), ec.SECP256R1)) == spki(keys.ecdsa_p256):
        raise NotVerified("signing key and TLS key are the same")


def _require_extension(certificate: x509.Certificate, oid: ObjectIdentifier, expected: bytes) -> None:
    if extension_bytes(certificate, oid) != expected:
        raise NotVerified("the TLS certificate is bound to another signing certificate or key")


def _doubtful(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    revoked: Mapping[str, Mapping[int, Revocation]],
    at: dt.datetime,
) -> bool:
    revocation = revoked.get(certificate_hash(issuer), {}).get(certificate.serial_number)
    if revocation is None:
        return False
    if at >= revocation.at:
        raise NotVerified("a certificate is revoked")
    return revocation.compromised_since is not None and at >= revocation.compromised_since
