"""The Keystore over a sealed file: keys are open in this process's memory while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_private_key

from vaultq_core.crypto import wrapping
from vaultq_core.errors import KeystoreError, KeystoreUnavailable, Malformed, NotVerified
from vaultq_core.spi.keystore import (
    AES_256,
    AES_256_GCM,
    EC_P384,
    MASTER,
    KeyId,
    KeystoreInfo,
    Provenance,
    WrappedKey,
    require_wrappable,
)
from vaultq_keystore_file.contents import Contents, StoredKey, generate, key_bytes
from vaultq_keystore_file.sealed_file import Look, SealedFile


class FileKeystore:
    """See vaultq_core.spi.keystore.Keystore. `clock` gives POSIX seconds.

    Every call looks at the file first and reads it again when another process has changed it, so that a
    key that was added elsewhere is known here, and one that was destroyed elsewhere is gone.
    """

    def __init__(self, file: SealedFile, clock: Callable[[], int]) -> None:
        self._file = file
        self._clock = clock
        self._lock = threading.Lock()
        self._closed = False
        self._look: Look = file.look()
        self._contents: Contents = file.load()
        self._signers: dict[KeyId, ec.EllipticCurvePrivateKey] = {}

    def info(self) -> KeystoreInfo:
        """See Keystore."""
        with self._fresh() as contents:
            keys = contents.infos()
        return KeystoreInfo("file", str(self._file.path), keys, imports_signing_keys=True, exports_signing_keys=True)

    def create_key(self, purpose: str, algorithm: str, *, above: int = 0) -> KeyId:
        """See Keystore."""
        KeyId(purpose, algorithm, 1)  # refuses what cannot be
        return self._add(purpose, algorithm, above, generate(algorithm), Provenance.MADE_HERE)

    def import_signing_key(self, purpose: str, key: ec.EllipticCurvePrivateKey, *, above: int = 0) -> KeyId:
        """See SigningKeyImporter."""
        KeyId(purpose, EC_P384, 1)
        if not isinstance(key.curve, ec.SECP384R1):
            raise Malformed("the keystore takes signing keys on P-384 only")
        return self._add(purpose, EC_P384, above, key_bytes(key), Provenance.IMPORTED)

    def export_signing_key(self, key_id: KeyId) -> ec.EllipticCurvePrivateKey:
        """See SigningKeyExporter."""
        return self.signer(key_id)

    def current_key(self, purpose: str) -> KeyId:
        """See Keystore."""
        with self._fresh() as contents:
            return contents.current(purpose)

    def wrap_key(self, key: bytes, *, aad: bytes, key_id: KeyId | None = None) -> WrappedKey:
        """See Keystore."""
        require_wrappable(key, aad)
        with self._fresh() as contents:
            used = contents.find(key_id or contents.current(MASTER))
        sealed = wrapping.wrap(_aes(used), key, aad)
        return WrappedKey(KeyId.parse(used.key_id), AES_256_GCM, sealed)

    def unwrap_key(self, wrapped: WrappedKey, *, aad: bytes) -> bytes:
        """See Keystore."""
        with self._fresh() as contents:
            used = contents.find(wrapped.key_id)
        if wrapped.algorithm != AES_256_GCM:
            raise NotVerified(f"the keystore does not unwrap by {wrapped.algorithm}")
        return wrapping.unwrap(_aes(used), wrapped.ciphertext, aad)

    def destroy_key(self, key_id: KeyId) -> None:
        """See Keystore."""
        with self._changing() as contents:
            self._replace(contents.without(key_id))

    def signer(self, key_id: KeyId) -> ec.EllipticCurvePrivateKey:
        """See Keystore."""
        with self._fresh() as contents:
            used = contents.find(key_id)
            if key_id not in self._signers:
                self._signers[key_id] = _ec(used)
            return self._signers[key_id]

    def close(self) -> None:
        """See Keystore."""
        with self._lock:
            self._closed = True
            self._contents = Contents()
            self._signers.clear()
            self._file.forget()

    def _add(self, purpose: str, algorithm: str, above: int, material: bytes, provenance: Provenance) -> KeyId:
        with self._changing() as contents:
            key_id = contents.next_id(purpose, algorithm, above)
            key = StoredKey(key_id=str(key_id), provenance=provenance, created=self._clock(), material=material)
            self._replace(contents.adding(key))
        return key_id

    @contextmanager
    def _fresh(self) -> Iterator[Contents]:
        with self._lock:
            self._require_open()
            if self._file.look() != self._look:
                self._reload()
            yield self._contents

    @contextmanager
    def _changing(self) -> Iterator[Contents]:
        with self._lock:
            self._require_open()
            with self._file.locked():
                self._reload()
                yield self._contents

    def _reload(self) -> None:
        look = self._file.look()  # before reading: a change in between is then seen by the next call
        self._contents = self._file.load()
        self._look = look

    def _replace(self, contents: Contents) -> None:
        self._file.save(contents)
        self._look = self._file.look()
        self._contents = contents

    def _require_open(self) -> None:
        if self._closed:
            raise KeystoreUnavailable("the keystore is closed")


def _aes(key: StoredKey) -> bytes:
    if KeyId.parse(key.key_id).algorithm != AES_256:
        raise KeystoreError(f"the key {key.key_id} signs; it does not wrap")
    return key.material


def _ec(key: StoredKey) -> ec.EllipticCurvePrivateKey:
    if KeyId.parse(key.key_id).algorithm != EC_P384:
        raise KeystoreError(f"the key {key.key_id} wraps; it does not sign")
    loaded = load_der_private_key(key.material, password=None)
    if not isinstance(loaded, ec.EllipticCurvePrivateKey):
        raise KeystoreError(f"the key {key.key_id} is not what the keystore says it is")
    return loaded
