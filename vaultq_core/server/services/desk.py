"""What use cases work with: the open keys and the keystore, the registry and its committer; and all that serves."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass, field

from vaultq_core.crypto.chains import Trust
from vaultq_core.registry.committer import Committer
from vaultq_core.registry.registry import Registry
from vaultq_core.server.authorities import Authorities
from vaultq_core.server.keys import KemKeys, VaultKeys
from vaultq_core.server.services.patient_keys import PatientKeys
from vaultq_core.spi.keystore import Keystore
from vaultq_core.spi.storage import Storage
from vaultq_core.wire.limits import Limits

Clock = Callable[[], dt.datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyDesk:
    """What signs for the vault: enough for certificates, revocation lists and statements."""

    keys: VaultKeys
    authorities: Authorities
    keystore: Keystore
    registry: Registry = field(repr=False)
    committer: Committer = field(repr=False)
    now: Clock

    @property
    def vault(self) -> str:
        """The vault's id."""
        return self.keys.vault

    @property
    def trust(self) -> Trust:
        """What doctors are verified with, as the registry has it now. Raises RegistryUnavailable."""
        return self.authorities.present().trust

    def seconds(self) -> int:
        """Return now as POSIX seconds."""
        return int(self.now().timestamp())


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk(KeyDesk):
    """One worker's share of the vault. All of it may be used by threads at the same time."""

    kem_keys: KemKeys
    patient_keys: PatientKeys
    storage: Storage
    limits: Limits
