"""What a command that works on keys has open: keystore and registry, without anything that serves."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from vaultq_core.errors import ConfigInvalid
from vaultq_core.registry.engine import open_engine
from vaultq_core.registry.registry import Registry
from vaultq_core.registry.schema import require_schema
from vaultq_core.server.authorities import Authorities
from vaultq_core.server.backends import Prompt, prepare_keystore
from vaultq_core.server.config import Config
from vaultq_core.server.keys import KeyBox, VaultKeys
from vaultq_core.server.moving_keystore import MovingKeystore
from vaultq_core.server.opening import INIT, NO_VAULT, open_keys, utc_now
from vaultq_core.server.services.keys_lease import KeysLease
from vaultq_core.server.services.patient_keys import PatientKeys
from vaultq_core.spi.keystore import Keystore


@dataclass(frozen=True, slots=True)
class Keyring:
    """The vault's keys and the rows that cite them. `seconds` gives POSIX seconds."""

    vault: str
    keystore: Keystore
    registry: Registry = field(repr=False)
    keys: VaultKeys
    authorities: Authorities
    box: KeyBox
    patient_keys: PatientKeys
    lease: KeysLease
    seconds: Callable[[], int]

    @property
    def moving(self) -> MovingKeystore:
        """Both keystores, while keys move. Raises ConfigInvalid when there is only one."""
        if not isinstance(self.keystore, MovingKeystore):
            raise ConfigInvalid("there is one keystore only, and nowhere to move keys to")
        return self.keystore

    def box_of(self, keystore: Keystore) -> KeyBox:
        """Return the box of the vault's own secrets in one keystore alone."""
        return KeyBox(keystore, self.vault)


@contextmanager
def open_keyring(config: Config, prompt: Prompt) -> Iterator[Keyring]:
    """Open keystore and registry, also while the vault is served; the secret is tried once.

    Raises ConfigInvalid without a vault or with an older schema, what opens a keystore raises, RegistryUnavailable.
    """
    require_registry(config)
    with ExitStack() as stack:
        engine = open_engine(config.registry.url)
        stack.callback(engine.dispose)
        require_schema(engine)
        keystore = prepare_keystore(config, prompt)()
        stack.callback(keystore.close)
        registry, keys, authorities = open_keys(engine, keystore)
        with registry.reading() as tx:
            row = registry.vault.get(tx)
        yield Keyring(
            vault=row.vault,
            keystore=keystore,
            registry=registry,
            keys=keys,
            authorities=authorities,
            box=KeyBox(keystore, row.vault),
            patient_keys=PatientKeys(keystore, row.vault, row.recovery_public_key, registry.patient),
            lease=KeysLease(registry, _seconds),
            seconds=_seconds,
        )


def require_registry(config: Config) -> None:
    """Refuse a registry that is not there, since opening it would make an empty one. Raises ConfigInvalid."""
    place = config.registry.url.removeprefix("sqlite:///")
    if place != config.registry.url and not Path(place).exists():
        raise ConfigInvalid(f"{NO_VAULT}: {place} does not exist", remedy=INIT)


def _seconds() -> int:
    return int(utc_now().timestamp())
