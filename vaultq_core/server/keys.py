"""The vault's own keys, open in this process's memory: made once by `init`, opened by each worker.

The keystore holds the master key, the monthly keys and the CA keys. What it cannot hold (post-quantum
and log keys, HMAC keys) lies sealed under the master key in the registry, and is opened here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ed25519, mldsa

from vaultq_core.crypto.chains import TrustAnchors
from vaultq_core.crypto.checkpoints import LogSigner
from vaultq_core.crypto.issuing import Issuer
from vaultq_core.crypto.sealing import KemPrivateKey, kem_private_key
from vaultq_core.crypto.x509_profile import load_certificate
from vaultq_core.errors import KeyNotFound, Malformed
from vaultq_core.spi.keystore import Keystore, WrappedKey
from vaultq_core.wire.aad import wrap_aad
from vaultq_core.wire.api import IssuingCas, Roots

PQ_ROOT: Final = "pq-root"
PQ_ISSUING_CA: Final = "pq-issuing-ca"
LOG_ED25519: Final = "log-ed25519"
LOG_MLDSA44: Final = "log-mldsa44"
INDEX_KEY: Final = "index-key"
ROW_KEY: Final = "row-key"
SEALED_VERSION: Final = 1

KemSource = Callable[[str], WrappedKey]


@dataclass(frozen=True, slots=True)
class VaultKeys:
    """Every key that a worker keeps open. Its repr shows none. Those of the other CAs: `Authorities`."""

    vault: str
    roots: Roots
    pq: Issuer
    log: LogSigner
    index_key: bytes = field(repr=False)
    row_key: bytes = field(repr=False)
    recovery_public: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class VaultIdentity:
    """What the registry says of this vault that is no secret: certificates (DER), the recovery key's public half."""

    vault: str
    origin: str
    roots: Roots
    issuing: IssuingCas
    recovery_public: bytes


class KeyBox:
    """Wraps and unwraps the vault's own small secrets under the keystore, each bound to its name."""

    def __init__(self, keystore: Keystore, vault: str) -> None:
        self._keystore = keystore
        self._vault = vault

    def wrap(self, name: str, secret: bytes, purpose: str | None = None) -> WrappedKey:
        """Return `secret` under the current master key, or under the current key of `purpose`."""
        key_id = None if purpose is None else self._keystore.current_key(purpose)
        return self._keystore.wrap_key(secret, aad=self._aad(name), key_id=key_id)

    def unwrap(self, name: str, wrapped: WrappedKey) -> bytes:
        """Return the secret. Raises NotVerified or KeyNotFound."""
        return self._keystore.unwrap_key(wrapped, aad=self._aad(name))

    def _aad(self, name: str) -> bytes:
        return wrap_aad(self._vault, "vault", name, SEALED_VERSION)


def open_vault_keys(keystore: Keystore, identity: VaultIdentity, sealed: Mapping[str, WrappedKey]) -> VaultKeys:
    """Open the vault's own keys. Raises KeyNotFound, NotVerified, KeystoreUnavailable, or Malformed for other roots."""
    _require_roots(identity)
    box = KeyBox(keystore, identity.vault)

    def secret(name: str) -> bytes:
        if name not in sealed:
            raise KeyNotFound(f"the registry has no sealed key {name}")
        return box.unwrap(name, sealed[name])

    cas = identity.issuing
    return VaultKeys(
        vault=identity.vault,
        roots=identity.roots,
        pq=Issuer(load_certificate(cas.pq), mldsa.MLDSA65PrivateKey.from_seed_bytes(secret(PQ_ISSUING_CA))),
        log=LogSigner(
            identity.origin,
            ed25519.Ed25519PrivateKey.from_private_bytes(secret(LOG_ED25519)),
            mldsa.MLDSA44PrivateKey.from_seed_bytes(secret(LOG_MLDSA44)),
        ),
        index_key=secret(INDEX_KEY),
        row_key=secret(ROW_KEY),
        recovery_public=identity.recovery_public,
    )


class KemKeys:
    """The monthly KEM keys, opened when first asked for and kept; a destroyed one is not found."""

    def __init__(self, box: KeyBox, sealed: KemSource) -> None:
        self._box = box
        self._sealed = sealed
        self._open: dict[str, KemPrivateKey] = {}

    def get(self, key_id: str) -> KemPrivateKey:
        """Return the key of `kem/<month>`. Raises KeyNotFound."""
        if key_id not in self._open:
            self._open[key_id] = kem_private_key(self._seed(key_id))
        return self._open[key_id]

    def forget(self, key_id: str) -> None:
        """Drop a key that was destroyed."""
        self._open.pop(key_id, None)

    def _seed(self, key_id: str) -> bytes:
        try:
            return self._box.unwrap(key_id, self._sealed(key_id))
        except KeyNotFound:  # its key moved and was destroyed since the row was read
            return self._box.unwrap(key_id, self._sealed(key_id))


def _require_roots(identity: VaultIdentity) -> None:
    anchors = TrustAnchors(load_certificate(identity.roots.hospital), load_certificate(identity.roots.pq))
    if anchors.vault != identity.vault:
        raise Malformed("the registry's roots are another vault's")
