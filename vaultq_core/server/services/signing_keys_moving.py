"""The keys of the CAs on their way to another keystore: imported where one gives them away and the other takes them."""

from __future__ import annotations

import secrets
from typing import Final, cast

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from vaultq_core.errors import KeystoreError
from vaultq_core.server.keyring import Keyring
from vaultq_core.server.services.key_census import certified, public_key
from vaultq_core.server.services.rewrapping import Progress
from vaultq_core.spi.keystore import EC_P384, KeyId, Keystore, SigningKeyExporter, SigningKeyImporter, WrappedKey

PROBE_BYTES: Final = 32


class SigningKeys:
    """The signing keys of the CAs that count, and where they are."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring
        self._keystores = keyring.moving

    def plan(self) -> tuple[tuple[KeyId, ...], tuple[KeyId, ...]]:
        """Return the keys of the old keystore that can be imported into the new one, and those that cannot leave."""
        old, new = self._keystores.old, self._keystores.new
        held, there = _signing_keys(old), _signing_keys(new)
        missing = tuple(held[each] for each in certified(self._keyring) if each in held and each not in there)
        movable = old.info().exports_signing_keys and new.info().imports_signing_keys
        return (missing, ()) if movable else ((), missing)

    def move(self, progress: Progress) -> tuple[KeyId, ...]:
        """Import what can be imported; return the keys' names in the new keystore."""
        imports, _ = self.plan()
        exporter = cast("SigningKeyExporter", self._keystores.old)
        importer = cast("SigningKeyImporter", self._keystores.new)
        imported = []
        for done, key_id in enumerate(imports, 1):
            with self._keyring.registry.writing() as tx:
                self._keyring.lease.renew(tx)
            key = exporter.export_signing_key(key_id)
            imported.append(importer.import_signing_key(key_id.purpose, key, above=key_id.version))
            progress("CA keys", done, len(imports))
        return tuple(imported)

    def require_proven(self) -> None:
        """Open and sign with every key in the new keystore alone, before anybody gives the old one up.

        Raises NotVerified, KeyNotFound or KeystoreError: then the old one is still needed.
        """
        new, box = self._keystores.new, self._keyring.box_of(self._keystores.new)
        with self._keyring.registry.reading() as tx:
            sealed = self._keyring.registry.sealed_keys.every(tx)
            months = self._keyring.registry.kem_keys.usable(tx)
        for each in sealed:
            box.unwrap(each.name, WrappedKey.parse(each.wrapped))
        for row in months:
            box.unwrap(row.id, WrappedKey.parse(row.wrapped_seed or b""))
        for key_id in _signing_keys(new).values():
            _require_signs(new, key_id)


def _signing_keys(keystore: Keystore) -> dict[tuple[str, bytes], KeyId]:
    """Return the signing keys by purpose and public key; of two copies the newer one."""
    keys = (each.key_id for each in keystore.info().keys if each.key_id.algorithm == EC_P384)
    return {(key.purpose, public_key(keystore, key)): key for key in sorted(keys)}


def _require_signs(keystore: Keystore, key_id: KeyId) -> None:
    signer, probe = keystore.signer(key_id), secrets.token_bytes(PROBE_BYTES)
    signature = signer.sign(probe, ec.ECDSA(hashes.SHA384()))
    try:
        signer.public_key().verify(signature, probe, ec.ECDSA(hashes.SHA384()))
    except InvalidSignature:
        raise KeystoreError(f"what the key {key_id} signs does not verify") from None
