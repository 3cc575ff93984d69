"""Keys as types: which ones exist, how they are made and read; nothing else accepts a key of another kind."""

from __future__ import annotations

from dataclasses import dataclass, field

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, mldsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from vaultq_core.errors import Malformed

PublicKey = ec.EllipticCurvePublicKey | mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey
IssuerKey = ec.EllipticCurvePrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey

SEED_BYTES = 32  # ML-DSA (FIPS 204, algorithm 1) and X-Wing


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """A doctor's two signing keys; neither is the TLS key."""

    mldsa65: mldsa.MLDSA65PrivateKey = field(repr=False)
    ecdsa_p256: ec.EllipticCurvePrivateKey = field(repr=False)

    def public(self) -> VerifyingKeys:
        """Return the public halves."""
        return VerifyingKeys(self.mldsa65.public_key(), self.ecdsa_p256.public_key())


@dataclass(frozen=True, slots=True)
class VerifyingKeys:
    """The public halves of a doctor's signing keys."""

    mldsa65: mldsa.MLDSA65PublicKey
    ecdsa_p256: ec.EllipticCurvePublicKey


def generate_signing_keys() -> SigningKeys:
    """Return fresh keys from the operating system's randomness."""
    return SigningKeys(mldsa.MLDSA65PrivateKey.generate(), generate_p256())


def generate_p256() -> ec.EllipticCurvePrivateKey:
    """Return a fresh ECDSA P-256 key."""
    return ec.generate_private_key(ec.SECP256R1())


def load_mldsa65(der: bytes) -> mldsa.MLDSA65PublicKey:
    """Return the ML-DSA-65 key of a DER SubjectPublicKeyInfo. Raises Malformed for anything else."""
    key = _load(der)
    if not isinstance(key, mldsa.MLDSA65PublicKey):
        raise Malformed("this is not an ML-DSA-65 public key")
    return key


def load_p256(der: bytes) -> ec.EllipticCurvePublicKey:
    """Return the P-256 key of a DER SubjectPublicKeyInfo. Raises Malformed for anything else."""
    return require_curve(_load(der), ec.SECP256R1)


def require_curve(key: object, curve: type[ec.EllipticCurve]) -> ec.EllipticCurvePublicKey:
    """Return `key` if it is an elliptic-curve key on `curve`. Raises Malformed."""
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, curve):
        raise Malformed(f"this is not a public key on {curve.name}")
    return key


def _load(der: bytes) -> object:
    try:
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        raise Malformed("this is not a public key") from None
    if key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) != der:  # one key, one encoding, one hash
        raise Malformed("a public key is not in its usual encoding")
    return key
