"""Every key that the keystores hold: where it came from, who needs it, and why it may not be destroyed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from vaultq_core.registry.citations import cited_keys
from vaultq_core.registry.workers import keystore_name
from vaultq_core.server.authorities import ROOT_CA
from vaultq_core.server.ceremony import kem_key_id
from vaultq_core.server.keyring import Keyring
from vaultq_core.server.moving_keystore import parts
from vaultq_core.server.opening import utc_now
from vaultq_core.server.services.crls import listings
from vaultq_core.spi.keystore import EC_P384, KeyId, KeyInfo, Keystore

KEM: Final = "kem/"


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A key in a keystore. `cited_by` counts rows, or certificates of CAs; `is_current` is for new work."""

    info: KeyInfo
    keystore: str
    cited_by: int
    is_current: bool
    needed_because: str | None

    @property
    def key_id(self) -> KeyId:
        """The key's name."""
        return self.info.key_id


def census(keyring: Keyring) -> tuple[HeldKey, ...]:
    """Return every key of every keystore in order of id. Raises KeystoreUnavailable, RegistryUnavailable."""
    with keyring.registry.reading() as tx:
        cited = cited_keys(tx)
    cited.update(_signing(keyring))
    found = []
    for each in parts(keyring.keystore):
        info = each.info()
        found += [_held(keyring, key, keystore_name(info.backend, info.place), cited) for key in info.keys]
    return tuple(sorted(found, key=lambda held: held.key_id))


def public_key(keystore: Keystore, key_id: KeyId) -> bytes:
    """Return a signing key's public half, as SubjectPublicKeyInfo."""
    public = keystore.signer(key_id).public_key()
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def certified(keyring: Keyring) -> tuple[tuple[str, bytes], ...]:
    """Return purpose and public key of every CA under the hospital root that may still sign, and of the root."""
    with keyring.registry.reading() as tx:
        cas = [(f"{each.role}-ca", each.certificate) for each in listings(keyring.registry, keyring.authorities, tx)]
    every = [(ROOT_CA, keyring.authorities.hospital_root), *cas]
    form = Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    return tuple((purpose, certificate.public_key().public_bytes(*form)) for purpose, certificate in every)


def _signing(keyring: Keyring) -> Counter[KeyId]:
    """Count certificates by the key that signs for them: of two copies the newer one (`authorities.issuer_of`)."""
    keys = (each.key_id for each in keyring.keystore.info().keys if each.key_id.algorithm == EC_P384)
    signs = {(key.purpose, public_key(keyring.keystore, key)): key for key in sorted(keys)}
    return Counter(signs[each] for each in certified(keyring) if each in signs)


def _held(keyring: Keyring, key: KeyInfo, keystore: str, cited: Counter[KeyId]) -> HeldKey:
    key_id = key.key_id
    is_current = keyring.keystore.current_key(key_id.purpose) == key_id
    ends = key_id.purpose.startswith(KEM) and key_id.purpose < kem_key_id(utc_now())
    because = None
    if cited[key_id]:
        because = _citing(cited[key_id], "certificate" if key_id.algorithm == EC_P384 else "row")
    elif is_current and not ends:
        because = f"it is the current key for {key_id.purpose}"
    return HeldKey(key, keystore, cited[key_id], is_current, because)


def _citing(count: int, noun: str) -> str:
    return f"1 {noun} cites it" if count == 1 else f"{count} {noun}s cite it"
