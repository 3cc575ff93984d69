"""An EC private key that lives elsewhere, in the form that cryptography's builders take.

RemoteSigner is what a plug-in whose keys never leave their token subclasses: it has a curve, a public key and
`sign`, and refuses everything that needs the private number.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import Any, NoReturn, Self

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, KeySerializationEncryption, PrivateFormat

from vaultq_core.errors import KeystoreError

Buffer = bytes | bytearray | memoryview


class RemoteSigner(ec.EllipticCurvePrivateKey):
    """Subclasses give `public_key` and `sign`."""

    @abstractmethod
    def public_key(self) -> ec.EllipticCurvePublicKey:
        """Return the public half."""

    @abstractmethod
    def sign(self, data: Buffer, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """Return an ECDSA signature in DER."""

    @property
    def curve(self) -> ec.EllipticCurve:
        """The curve of the public half."""
        return self.public_key().curve

    @property
    def key_size(self) -> int:
        """The curve's size in bits."""
        return self.curve.key_size

    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> NoReturn:
        """Refuse with KeystoreError: these keys sign."""
        del algorithm, peer_public_key
        raise KeystoreError("a signing key of the keystore does not agree on keys")

    def private_numbers(self) -> NoReturn:
        """Refuse with KeystoreError: the key stays where it is."""
        raise KeystoreError("a signing key does not leave its keystore")

    def private_bytes(
        self,
        encoding: Encoding,
        format: PrivateFormat,  # noqa: A002 - their name
        encryption_algorithm: KeySerializationEncryption,
    ) -> NoReturn:
        """Refuse with KeystoreError: the key stays where it is."""
        del encoding, format, encryption_algorithm
        raise KeystoreError("a signing key does not leave its keystore")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


class BorderSigner(RemoteSigner):
    """A plug-in's signer, each call of which goes through `border` (see vaultq_core.spi.guard)."""

    def __init__(self, inner: ec.EllipticCurvePrivateKey, border: Callable[..., Any]) -> None:
        self._inner = inner
        self._border = border

    def public_key(self) -> ec.EllipticCurvePublicKey:
        """See RemoteSigner."""
        public: ec.EllipticCurvePublicKey = self._border(self._inner.public_key)
        return public

    def sign(self, data: Buffer, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """See RemoteSigner."""
        signature: bytes = self._border(self._inner.sign, data, signature_algorithm)
        return signature
