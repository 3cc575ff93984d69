"""A signing key of the token, in the form that cryptography's builders take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from vaultq_core.errors import KeystoreError
from vaultq_core.spi.signer import Buffer, RemoteSigner

_SCALAR_BYTES: Final = 48  # P-384


class TokenSigner(RemoteSigner):
    """Hashes here and has the token sign the digest, since few tokens hash for ECDSA themselves.

    `sign_digest` returns r ‖ s (PKCS#11 2.40, 6.3.1).
    """

    def __init__(self, public: ec.EllipticCurvePublicKey, sign_digest: Callable[[bytes], bytes]) -> None:
        self._public = public
        self._sign_digest = sign_digest

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """See RemoteSigner."""
        return self._public

    def sign(self, data: Buffer, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """See RemoteSigner. Raises KeystoreUnavailable, and KeystoreError for anything but ECDSA."""
        if not isinstance(signature_algorithm, ec.ECDSA):
            raise KeystoreError("a key of the token signs by ECDSA only")
        raw = self._sign_digest(_digest(bytes(data), signature_algorithm.algorithm))
        if len(raw) != 2 * _SCALAR_BYTES:
            raise KeystoreError(f"the token returned a signature of {len(raw)} bytes")
        r, s = int.from_bytes(raw[:_SCALAR_BYTES], "big"), int.from_bytes(raw[_SCALAR_BYTES:], "big")
        return utils.encode_dss_signature(r, s)


def _digest(data: bytes, algorithm: hashes.HashAlgorithm | utils.Prehashed) -> bytes:
    if isinstance(algorithm, utils.Prehashed):
        return data
    digest = hashes.Hash(algorithm)
    digest.update(data)
    return digest.finalize()
