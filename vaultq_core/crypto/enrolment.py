"""Enrolment: a doctor's client proves every key it made (docs/spec/enrolment.md)."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from vaultq_core.crypto import signatures
from vaultq_core.crypto.fingerprints import sha256_hex, spki
from vaultq_core.crypto.keys import IssuerKey, PublicKey, SigningKeys, VerifyingKeys, load_mldsa65, load_p256
from vaultq_core.crypto.steps import step
from vaultq_core.crypto.x509_profile import common_name
from vaultq_core.errors import Malformed, NotVerified
from vaultq_core.wire import canonical
from vaultq_core.wire.statements import EnrolmentRequest, EnrolmentStatement, decode_enrolment_statement
from vaultq_core.wire.suite import VQ_65, require_readable


@dataclass(frozen=True, slots=True)
class DoctorKeys:
    """All private keys of a doctor: two that sign, one for TLS."""

    signing: SigningKeys
    tls: ec.EllipticCurvePrivateKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class ProvenKeys:
    """The public keys of an enrolment, each proven; `statement` is its exact bytes."""

    doctor: str
    signing: VerifyingKeys
    tls: ec.EllipticCurvePublicKey
    statement: bytes


def make_enrolment(vault: str, doctor: str, nonce: bytes, keys: DoctorKeys) -> EnrolmentRequest:
    """Return the request that proves `keys` for `doctor` under the server's nonce."""
    signing_request, tls_request = _csr(doctor, keys.signing.mldsa65), _csr(doctor, keys.tls)
    public = keys.signing.public()
    statement = canonical.encode(
        EnrolmentStatement(
            suite=VQ_65,
            vault=vault,
            doctor=doctor,
            signing_mldsa65=spki(public.mldsa65),
            signing_ecdsa_p256=spki(public.ecdsa_p256),
            tls_ecdsa_p256=spki(keys.tls.public_key()),
            signing_request=sha256_hex(signing_request),
            tls_request=sha256_hex(tls_request),
            nonce=nonce,
        )
    )
    return EnrolmentRequest(
        statement=statement,
        signatures=signatures.sign_both(keys.signing, statement, signatures.ENROLMENT),
        signing_request=signing_request,
        tls_request=tls_request,
    )


def verify_enrolment(request: EnrolmentRequest, *, vault: str, doctor: str, nonce: bytes) -> ProvenKeys:
    """Prove that whoever enrols holds every key.

    1. The statement is canonical, of a readable suite, and for this vault, doctor and nonce.
    2. Its three keys are of their kinds, and all different.
    3. Both signing keys signed it.
    4. Each PKCS#10 request (RFC 2986) has the statement's hash, carries the statement's key, and is
       signed by it.

    Returns the proven keys. Raises NotVerified, naming the step.
    """
    with step(1):
        statement = decode_enrolment_statement(request.statement)
        require_readable(statement.suite)
        if (statement.vault, statement.doctor, statement.nonce) != (vault, doctor, nonce):
            raise NotVerified("the enrolment is for another vault, doctor or nonce")
    with step(2):
        keys = VerifyingKeys(load_mldsa65(statement.signing_mldsa65), load_p256(statement.signing_ecdsa_p256))
        tls = load_p256(statement.tls_ecdsa_p256)
        if statement.tls_ecdsa_p256 == statement.signing_ecdsa_p256:
            raise NotVerified("signing key and TLS key are the same")
    with step(3):
        signatures.verify_both(keys, request.signatures, request.statement, signatures.ENROLMENT)
    with step(4):
        _require_csr(request.signing_request, statement.signing_request, statement.signing_mldsa65)
        _require_csr(request.tls_request, statement.tls_request, statement.tls_ecdsa_p256)
    return ProvenKeys(doctor, keys, tls, request.statement)


def _csr(doctor: str, key: IssuerKey) -> bytes:
    algorithm = hashes.SHA256() if isinstance(key, ec.EllipticCurvePrivateKey) else None
    builder = x509.CertificateSigningRequestBuilder().subject_name(common_name(doctor))
    return builder.sign(key, algorithm).public_bytes(Encoding.DER)


def _require_csr(data: bytes, digest: str, key: bytes) -> None:
    if sha256_hex(data) != digest:
        raise NotVerified("a certificate request has another hash than the statement names")
    try:
        request = x509.load_der_x509_csr(data)
        carried, holds = request.public_key(), request.is_signature_valid
    except (ValueError, InvalidSignature, UnsupportedAlgorithm):
        raise Malformed("a certificate request cannot be decoded") from None
    if not holds or not isinstance(carried, PublicKey) or spki(carried) != key:
        raise NotVerified("a certificate request is not signed by the key that the statement names")
