"""Retirement: destroying keys that nothing needs any more, and refusing for all others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from vaultq_core.errors import Conflict, KeyNotFound
from vaultq_core.server.keyring import Keyring
from vaultq_core.server.services.key_census import HeldKey, census
from vaultq_core.server.services.presence import keystores_in
from vaultq_core.spi.keystore import KeyId


def retire_keys(keyring: Keyring, key_ids: Sequence[KeyId], waits: Callable[[], None]) -> None:
    """Destroy keys for good; none of them unless all may be, and each is looked at once more right before.

    Raises KeyNotFound, and Conflict for a key that is needed, while a worker serves that does not have the same
    keystores open, or while another command works on keys.
    """
    with keyring.lease.held(waits):
        require_workers_know(keyring)
        _require_unneeded(keyring, key_ids)
        for key_id in key_ids:
            _require_unneeded(keyring, [key_id])
            with keyring.registry.writing() as tx:
                keyring.lease.renew(tx)
            keyring.keystore.destroy_key(key_id)


def require_workers_know(keyring: Keyring) -> None:
    """Refuse while a worker serves that does not have all keystores of this configuration open. Raises Conflict."""
    names = keystores_in(keyring.keystore)
    with keyring.registry.reading() as tx:
        serving = keyring.registry.workers.fresh(tx, keyring.seconds())
    for worker in serving:
        for name in names:
            if not worker.knows(name):
                raise Conflict(
                    f"the worker {worker.pid} on {worker.node} does not have the keystore {name} open",
                    remedy="Reload the server (SIGHUP) and wait until its former workers have ended; `vaultq-server "
                    "status` shows them. One that was killed counts for 60 seconds.",
                )


def _require_unneeded(keyring: Keyring, key_ids: Sequence[KeyId]) -> None:
    held = {each.key_id: each for each in census(keyring)}
    for key_id in key_ids:
        if key_id not in held:
            raise KeyNotFound(f"no keystore holds the key {key_id}", remedy="See `vaultq-server keystore status`.")
        _refuse_needed(held[key_id])


def _refuse_needed(key: HeldKey) -> None:
    if key.needed_because is not None:
        raise Conflict(
            f"the key {key.key_id} is needed: {key.needed_because}; nothing was destroyed",
            remedy="Move what cites it first; docs/operations.md, `Rotation and moves`, says how.",
        )
