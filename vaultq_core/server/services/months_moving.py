"""The KEM keys of the months on their way to another keystore: a new wrapping key each, and the seed under it."""

from __future__ import annotations

from contextlib import suppress

from vaultq_core.errors import Conflict, KeyNotFound
from vaultq_core.registry.keys import KemKeyRow
from vaultq_core.server.keyring import Keyring
from vaultq_core.server.services.rewrapping import Progress
from vaultq_core.spi.keystore import AES_256, KeyId, Keystore, WrappedKey


def move_months(keyring: Keyring, progress: Progress) -> int:
    """Put the seed of every month under a key of the new keystore; return how many there were to move."""
    with keyring.registry.reading() as tx:
        usable = keyring.registry.kem_keys.usable(tx)
    held = {each.key_id for each in keyring.moving.new.info().keys}
    months = [row for row in usable if KeyId.parse(row.key_id) not in held]
    for done, row in enumerate(months, 1):
        _move(keyring, row)
        progress("months' keys", done, len(months))
    return len(months)


def _move(keyring: Keyring, row: KemKeyRow) -> None:
    _make(keyring.moving.new, KeyId.parse(row.key_id))
    seed = keyring.box.unwrap(row.id, WrappedKey.parse(row.wrapped_seed or b""))
    wrapped = keyring.box.wrap(row.id, seed, row.id)
    with keyring.registry.writing() as tx:
        keyring.lease.renew(tx)
        with suppress(Conflict):  # a newer statement keeps it for longer, or it was destroyed: looked at once more
            keyring.registry.kem_keys.rewrap(tx, row, wrapped_seed=bytes(wrapped), key_id=str(wrapped.key_id))


def _make(new: Keystore, old: KeyId) -> None:
    with suppress(KeyNotFound):
        if new.current_key(old.purpose).version > old.version:
            return  # by a move that was interrupted here
    new.create_key(old.purpose, AES_256, above=old.version)
