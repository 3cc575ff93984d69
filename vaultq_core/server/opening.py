"""Opening a vault: from the registry and the keystore to a desk at which use cases work.

Each worker does it after the fork. The row key comes first, since with it every other row is proven.
"""

from __future__ import annotations

import datetime as dt
from contextlib import ExitStack
from typing import Final

from sqlalchemy import Connection, Engine

from vaultq_core.errors import ConfigInvalid, KeyNotFound
from vaultq_core.registry.committer import Committer
from vaultq_core.registry.engine import open_engine, reading
from vaultq_core.registry.keys import SealedKeys
from vaultq_core.registry.registry import Registry
from vaultq_core.registry.schema import require_schema
from vaultq_core.registry.vault import peek_vault_id
from vaultq_core.server.authorities import Authorities
from vaultq_core.server.backends import Backends
from vaultq_core.server.config import Config
from vaultq_core.server.keys import ROW_KEY, KemKeys, KeyBox, VaultIdentity, VaultKeys, open_vault_keys
from vaultq_core.server.services.desk import Desk
from vaultq_core.server.services.patient_keys import PatientKeys
from vaultq_core.spi.keystore import Keystore, WrappedKey
from vaultq_core.spi.names import CHECKPOINTS, checkpoint_name
from vaultq_core.spi.storage import Storage
from vaultq_core.wire.api import IssuingCas, Roots

NO_VAULT: Final = "there is no vault here yet"
INIT: Final = "Run `vaultq-server init` first."


def utc_now() -> dt.datetime:
    """Return the time, UTC."""
    return dt.datetime.now(dt.UTC)


def open_desk(config: Config, backends: Backends, stack: ExitStack) -> Desk:
    """Open everything; `stack` closes it again, in the opposite order.

    Raises ConfigInvalid without a vault, with an older schema, a clock far behind the log, or a registry
    that is older than the checkpoint in storage; KeystoreError, StorageError or Unavailable.
    """
    engine = open_engine(config.registry.url)
    stack.callback(engine.dispose)
    require_schema(engine)
    keystore = backends.open_keystore()
    stack.callback(keystore.close)
    storage = backends.open_storage()
    stack.callback(storage.close)
    registry, keys, authorities = open_keys(engine, keystore)
    with registry.reading() as tx:
        require_newest(registry.log.head(tx).size, storage)
    ledger = registry.ledger(keys.log.sign, lambda: utc_now().timestamp())
    committer = stack.enter_context(Committer(ledger))
    box = KeyBox(keystore, keys.vault)

    def kem_seed(key_id: str) -> WrappedKey:
        with registry.reading() as tx:
            row = registry.kem_keys.get(tx, key_id)
        if row.wrapped_seed is None:
            raise KeyNotFound(
                f"{key_id} was destroyed", remedy="Send it again; the client then seals to the newest key."
            )
        return WrappedKey.parse(row.wrapped_seed)

    return Desk(
        keys=keys,
        authorities=authorities,
        kem_keys=KemKeys(box, kem_seed),
        patient_keys=PatientKeys(keystore, keys.vault, keys.recovery_public, registry.patient),
        keystore=keystore,
        storage=storage,
        registry=registry,
        committer=committer,
        limits=config.limits,
        now=utc_now,
    )


def open_keys(engine: Engine, keystore: Keystore) -> tuple[Registry, VaultKeys, Authorities]:
    """Open the vault's own keys, the registry under its row key, and the issuing CAs, verified.

    Raises ConfigInvalid without a vault, NotVerified for other keys than this vault's, KeystoreError.
    """
    with reading(engine) as tx:
        vault = peek_vault_id(tx)
        if vault is None:
            raise ConfigInvalid(NO_VAULT, remedy=INIT)
        sealed = {key.name: WrappedKey.parse(key.wrapped) for key in SealedKeys().every(tx)}
        registry = Registry(engine, KeyBox(keystore, vault).unwrap(ROW_KEY, sealed[ROW_KEY]))
        identity = _identity(tx, registry)
    keys = open_vault_keys(keystore, identity, sealed)
    authorities = Authorities(registry, keystore, keys.roots, utc_now)
    authorities.present()
    return registry, keys, authorities


def _identity(tx: Connection, registry: Registry) -> VaultIdentity:
    row, cas = registry.vault.get(tx), registry.vault.issuing_cas(tx)
    return VaultIdentity(
        vault=row.vault,
        origin=row.log_origin,
        roots=Roots(hospital=row.hospital_root, pq=row.pq_root),
        issuing=IssuingCas(
            pq=cas["pq"].der, doctors=cas["doctors"].der, admins=cas["admins"].der, servers=cas["servers"].der
        ),
        recovery_public=row.recovery_public_key,
    )


def require_newest(size: int, storage: Storage) -> None:
    """Refuse a registry whose log has `size` entries when the storage knows a longer one. Raises ConfigInvalid."""
    if any(stored.name > checkpoint_name(size) for stored in storage.list(CHECKPOINTS)):
        raise ConfigInvalid(
            f"the registry is older than the storage: its log ends at {size} entries, a checkpoint there is newer",
            remedy="Restore the newest backup of the registry; docs/operations.md, `After a loss`, says more.",
        )
