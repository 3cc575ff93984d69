"""Rotation of the master key: a newer version, and everything re-wrapped under it, while doctors go on working."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vaultq_core.registry.citations import cited_keys
from vaultq_core.server.keyring import Keyring
from vaultq_core.server.services.rewrapping import Progress, Rewrapper
from vaultq_core.spi.keystore import AES_256, MASTER, KeyId


@dataclass(frozen=True, slots=True)
class RotationPlan:
    """What a rotation would do. `continues`: rows cite a master key older than `newest`, so one was interrupted."""

    newest: KeyId
    continues: bool
    rows: int


@dataclass(frozen=True, slots=True)
class Rotated:
    """A rotation that is complete: nothing cites a master key older than `key`. `uncited` may be destroyed."""

    key: KeyId
    continued: bool
    sealed_keys: int
    patient_keys: int
    uncited: tuple[KeyId, ...]


def plan_rotation(keyring: Keyring) -> RotationPlan:
    """Return what `rotate_master` would do now; changes nothing."""
    newest = keyring.keystore.current_key(MASTER)
    cited = _cited_masters(keyring)
    older = sum(count for key, count in cited.items() if key < newest)
    return RotationPlan(newest, older > 0, older or sum(cited.values()))


def rotate_master(keyring: Keyring, progress: Progress, waits: Callable[[], None]) -> Rotated:
    """Make the next master key, or go on with a rotation that was interrupted, until no row cites an older one.

    Raises Conflict while another command works on keys; KeystoreError, Unavailable, NotVerified or RecordDamaged:
    then nothing is lost, and another call goes on.
    """
    with keyring.lease.held(waits):
        plan = plan_rotation(keyring)
        key = plan.newest if plan.continues else keyring.keystore.create_key(MASTER, AES_256)
        sealed_keys, patient_keys = Rewrapper(keyring, key, progress).run()
    held = (each.key_id for each in keyring.keystore.info().keys if each.key_id.purpose == MASTER)
    cited = _cited_masters(keyring)
    return Rotated(key, plan.continues, sealed_keys, patient_keys, tuple(each for each in held if each not in cited))


def _cited_masters(keyring: Keyring) -> dict[KeyId, int]:
    with keyring.registry.reading() as tx:
        return {key: count for key, count in cited_keys(tx).items() if key.purpose == MASTER}
