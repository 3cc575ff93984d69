"""The Keystore in a PKCS#11 token: AES and signing keys are made there, and never leave it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec
from pkcs11 import Mechanism, ObjectClass

from vaultq_core.errors import Conflict, KeyNotFound, KeystoreError, Malformed, NotVerified
from vaultq_core.spi.keystore import (
    AES_256_GCM,
    AES_256_KW,
    EC_P384,
    MASTER,
    KeyId,
    KeystoreInfo,
    WrappedKey,
    require_wrappable,
)
from vaultq_keystore_pkcs11 import objects, wrapping
from vaultq_keystore_pkcs11.about import algorithm_for, details
from vaultq_keystore_pkcs11.connection import Session, Token
from vaultq_keystore_pkcs11.signer import TokenSigner

_WRAP: Final = {AES_256_GCM: wrapping.wrap_by_gcm, AES_256_KW: wrapping.wrap_by_key_wrap}
_UNWRAP: Final = {AES_256_GCM: wrapping.unwrap_by_gcm, AES_256_KW: wrapping.unwrap_by_key_wrap}


class Pkcs11Keystore:
    """See vaultq_core.spi.keystore.Keystore; also a SigningKeyImporter, never an exporter.

    `wrapping` is the algorithm of new AES keys, or "auto"; `clock` gives POSIX seconds. Keys are looked up in the
    token, not remembered: one that another process made is there, one that it destroyed is gone.
    """

    def __init__(self, token: Token, *, wrapping: str, clock: Callable[[], int]) -> None:
        """Probe the token. Raises KeystoreError when it lacks a mechanism that VaultQ needs."""
        self._token = token
        self._clock = clock
        self._algorithm = token.run(lambda _: algorithm_for(token, wrapping))

    def info(self) -> KeystoreInfo:
        """See Keystore."""
        keys = self._token.run(objects.list_keys)
        facts = self._token.run(lambda _: details(self._token, self._algorithm))
        return KeystoreInfo("pkcs11", self._token.place, keys, imports_signing_keys=True, details=facts)

    def require_empty(self) -> None:
        """Raise Conflict when there are keys of VaultQ, or were: nothing is touched then."""
        issued = self._token.run(objects.list_issued)
        keys = self._token.run(objects.list_keys)
        if keys or issued:
            names = ", ".join(str(each.key_id) for each in keys) or "none any more"
            raise Conflict(
                f"the token {self._token.place} is a vault's already (keys: {names}); it was not touched",
                remedy="Give `init` an empty token; softhsm/README.md says how to make one.",
            )

    def create_key(self, purpose: str, algorithm: str, *, above: int = 0) -> KeyId:
        """See Keystore."""
        KeyId(purpose, algorithm, 1)  # refuses what cannot be
        return self._add(
            KeyId(purpose, algorithm, above + 1),
            lambda session, key_id: objects.generate(session, key_id, self._algorithm, self._clock()),
        )

    def import_signing_key(self, purpose: str, key: ec.EllipticCurvePrivateKey, *, above: int = 0) -> KeyId:
        """See SigningKeyImporter."""
        if not isinstance(key.curve, ec.SECP384R1):
            raise Malformed("the keystore takes signing keys on P-384 only")
        return self._add(
            KeyId(purpose, EC_P384, above + 1),
            lambda session, key_id: objects.import_key(session, key_id, key, self._clock()),
        )

    def current_key(self, purpose: str) -> KeyId:
        """See Keystore."""
        keys = [info.key_id for info in self._token.run(objects.list_keys) if info.key_id.purpose == purpose]
        if not keys:
            raise KeyNotFound(f"the token holds no key for {purpose}")
        return keys[-1]

    def wrap_key(self, key: bytes, *, aad: bytes, key_id: KeyId | None = None) -> WrappedKey:
        """See Keystore."""
        require_wrappable(key, aad)
        used = key_id or self.current_key(MASTER)

        def act(session: Session) -> WrappedKey:
            found = objects.find_wrapping_key(session, used)
            return WrappedKey(used, found.algorithm, _WRAP[found.algorithm](found.key, key, aad))

        return self._token.run(act)

    def unwrap_key(self, wrapped: WrappedKey, *, aad: bytes) -> bytes:
        """See Keystore."""

        def act(session: Session) -> bytes:
            found = objects.find_wrapping_key(session, wrapped.key_id)
            if wrapped.algorithm != found.algorithm:
                raise NotVerified(f"the key {wrapped.key_id} does not unwrap by {wrapped.algorithm}")
            return _UNWRAP[found.algorithm](found.key, wrapped.ciphertext, aad)

        if not aad:
            raise NotVerified("nothing is wrapped for nothing")  # SoftHSM would take an empty one silently
        return self._token.run(act)

    def destroy_key(self, key_id: KeyId) -> None:
        """See Keystore."""
        with self._token.turn.take():
            self._token.run(lambda session: objects.destroy(session, key_id))

    def signer(self, key_id: KeyId) -> ec.EllipticCurvePrivateKey:
        """See Keystore."""
        if key_id.algorithm != EC_P384:
            raise KeystoreError(f"the key {key_id} wraps; it does not sign")

        def private(session: Session) -> ec.EllipticCurvePublicKey:
            objects.find_key(session, key_id, ObjectClass.PRIVATE_KEY)
            return objects.find_public_key(session, key_id)

        def sign(session: Session, digest: bytes) -> bytes:
            key = objects.find_key(session, key_id, ObjectClass.PRIVATE_KEY)
            signature: bytes = key.sign(digest, mechanism=Mechanism.ECDSA)
            return signature

        run = self._token.run
        return TokenSigner(run(private), lambda digest: run(lambda session: sign(session, digest)))

    def close(self) -> None:
        """See Keystore."""
        self._token.close()

    def _add(self, lowest: KeyId, make: Callable[[Session, KeyId], None]) -> KeyId:
        with self._token.turn.take():
            key_id = self._next(lowest)
            self._token.run(lambda session: objects.issue_mark(session, key_id))  # first: a name is never given twice
            self._token.run(lambda session: make(session, key_id))
            self._token.run(lambda session: objects.find_key(session, key_id, objects.CLASS_OF[key_id.algorithm]))
        return key_id

    def _next(self, lowest: KeyId) -> KeyId:
        listed = (each.key_id for each in self._token.run(objects.list_keys))
        given = [each for each in (*self._token.run(objects.list_issued), *listed) if each.purpose == lowest.purpose]
        if not given:
            return lowest
        newest = max(given, key=lambda each: each.version)
        if newest.algorithm != lowest.algorithm:
            raise KeystoreError(f"keys for {lowest.purpose} are {newest.algorithm}, not {lowest.algorithm}")
        return KeyId(lowest.purpose, lowest.algorithm, max(newest.version + 1, lowest.version))
