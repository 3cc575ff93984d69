"""From a keyring to the office that replaces and closes issuing CAs: it also writes to the log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from vaultq_core.registry.committer import Committer
from vaultq_core.server.backends import Prompt, prepare_storage
from vaultq_core.server.config import Config
from vaultq_core.server.keyring import Keyring
from vaultq_core.server.opening import require_newest, utc_now
from vaultq_core.server.services.desk import KeyDesk
from vaultq_core.server.services.issuing_cas import IssuingCaOffice


@contextmanager
def open_ca_office(config: Config, keyring: Keyring, prompt: Prompt) -> Iterator[IssuingCaOffice]:
    """Open the office over keys that are open already; `prompt` is for the storage's secret.

    Who replaces holds the keyring's lease, and has made sure that every worker has its keystores open. Raises
    ConfigInvalid for a clock or a registry that is older than the log, StorageError.
    """
    with closing(prepare_storage(config, prompt)()) as storage, keyring.registry.reading() as tx:
        require_newest(keyring.registry.log.head(tx).size, storage)
    ledger = keyring.registry.ledger(keyring.keys.log.sign, lambda: utc_now().timestamp())
    with Committer(ledger) as committer:
        desk = KeyDesk(
            keys=keyring.keys,
            authorities=keyring.authorities,
            keystore=keyring.keystore,
            registry=keyring.registry,
            committer=committer,
            now=utc_now,
        )
        yield IssuingCaOffice(desk)
