"""Hybrid signatures: ML-DSA-65 and ECDSA P-256 over the same bytes, both required (docs/spec/signatures.md).

ML-DSA is pure and hedged, with a context (FIPS 204, 5.2). ECDSA (FIPS 186-5, SHA-256, DER) has no
context of its own and signs u8 context length ‖ context ‖ bytes. Signatures vary from run to run:
never hash or compare them.
"""

from __future__ import annotations

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, mldsa

from vaultq_core.crypto.keys import SigningKeys, VerifyingKeys
from vaultq_core.errors import NotVerified
from vaultq_core.wire.manifest import Signatures

RECORD = b"vaultq/record/v1"
REQUEST = b"vaultq/request/v1"
ENROLMENT = b"vaultq/enrolment/v1"
GRANT = b"vaultq/grant/v1"
VAULT_STATEMENT = b"vaultq/vault-statement/v1"


def sign_both(keys: SigningKeys, data: bytes, context: bytes) -> Signatures:
    """Return both signatures over the exact bytes `data` for the purpose `context`."""
    return Signatures(
        mldsa65=keys.mldsa65.sign(data, context),
        ecdsa_p256=sign_ecdsa(keys.ecdsa_p256, data, context, hashes.SHA256()),
    )


def verify_both(keys: VerifyingKeys, signatures: Signatures, data: bytes, context: bytes) -> bytes:
    """Return `data` once both signatures cover it for the purpose `context`. Raises NotVerified."""
    verify_mldsa65(keys.mldsa65, signatures.mldsa65, data, context)
    verify_ecdsa(keys.ecdsa_p256, signatures.ecdsa_p256, data, context, hashes.SHA256())
    return data


def verify_mldsa65(key: mldsa.MLDSA65PublicKey, signature: bytes, data: bytes, context: bytes) -> bytes:
    """Return `data` once the ML-DSA-65 signature covers it (FIPS 204, algorithm 3). Raises NotVerified."""
    try:
        key.verify(signature, data, context)
    except InvalidSignature:
        raise NotVerified("the ML-DSA-65 signature does not hold") from None
    return data


def sign_ecdsa(key: ec.EllipticCurvePrivateKey, data: bytes, context: bytes, algorithm: hashes.HashAlgorithm) -> bytes:
    """Return the DER signature over context length ‖ context ‖ data."""
    return key.sign(with_context(data, context), ec.ECDSA(algorithm))


def verify_ecdsa(
    key: ec.EllipticCurvePublicKey, signature: bytes, data: bytes, context: bytes, algorithm: hashes.HashAlgorithm
) -> bytes:
    """Return `data` once the ECDSA signature covers it for `context`. Raises NotVerified."""
    try:
        key.verify(signature, with_context(data, context), ec.ECDSA(algorithm))
    except InvalidSignature:
        raise NotVerified("the ECDSA signature does not hold") from None
    return data


def with_context(data: bytes, context: bytes) -> bytes:
    """Return u8 context length ‖ context ‖ data."""
    return len(context).to_bytes(1, "big") + context + data
