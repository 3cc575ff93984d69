"""Moving all keys from one keystore to another while doctors go on working (docs/adr/0011-keys-move-by-rewrapping.md).

Nothing that wraps leaves a keystore: AES keys are made anew in the target, and what they hold is re-wrapped. Signing
keys are imported where source and target allow it. It may end anywhere; another call goes on.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from vaultq_core.errors import Conflict, KeyNotFound
from vaultq_core.registry.citations import cited_keys
from vaultq_core.registry.keystore_moves import KeystoreMove
from vaultq_core.server.authorities import ROOT_CA
from vaultq_core.server.keyring import Keyring
from vaultq_core.server.services.key_census import HeldKey, census
from vaultq_core.server.services.months_moving import move_months
from vaultq_core.server.services.presence import keystores_in
from vaultq_core.server.services.retirement import require_workers_know
from vaultq_core.server.services.rewrapping import Progress, Rewrapper
from vaultq_core.server.services.signing_keys_moving import SigningKeys
from vaultq_core.spi.keystore import AES_256, MASTER, KeyId

WORKERS_SECONDS: Final = 30.0  # how long a reload that was just asked for may take
NAP_SECONDS: Final = 0.5
MOST_ROUNDS: Final = 10  # one does nearly always; a second finds what a worker began before the first


@dataclass(frozen=True, slots=True)
class MovePlan:
    """What a move would do. `resumes`: it was begun before. `stays`: signing keys that cannot leave the source."""

    source: str
    target: str
    resumes: bool
    rows: int
    imports: tuple[KeyId, ...]
    stays: tuple[KeyId, ...]


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move has done. `left` are keys of the source that are still needed, `unneeded` may be destroyed."""

    plan: MovePlan
    sealed_keys: int
    patient_keys: int
    months: int
    imported: tuple[KeyId, ...]
    left: tuple[KeyId, ...]
    unneeded: tuple[KeyId, ...]

    @property
    def is_finished(self) -> bool:
        """Whether the server can do without the old keystore: it never needs the root's key by itself."""
        return all(each.purpose == ROOT_CA for each in self.left)


def plan_move(keyring: Keyring) -> MovePlan:
    """Return what `move_keys` would do now; changes nothing. Raises Conflict as it does."""
    source, target = keystores_in(keyring.moving)
    resumes = _require_ours(keyring, source, target)
    held = {each.key_id for each in keyring.moving.old.info().keys}
    with keyring.registry.reading() as tx:
        rows = sum(count for key, count in cited_keys(tx).items() if key in held)
    imports, stays = SigningKeys(keyring).plan()
    return MovePlan(source, target, resumes, rows, imports, stays)


def move_keys(
    keyring: Keyring,
    progress: Progress,
    waits: Callable[[], None],
    *,
    leave_ca_keys: bool = False,
) -> Moved:
    """Move every key to the new keystore, or go on with a move that was interrupted, until nothing cites the old one.

    Raises Conflict, with nothing changed: while a worker serves that does not have the new keystore open, for a
    target that holds keys of something else, for signing keys that cannot leave the source unless `leave_ca_keys`
    says so. Raises what a keystore and the registry raise; another call then goes on.
    """
    with keyring.lease.held(waits):
        plan = plan_move(keyring)
        if not leave_ca_keys:
            _require_movable(plan)
        _await_workers(keyring, waits)
        with keyring.lease.maintenance_paused():
            move = _begin(keyring, plan)
            return _Move(keyring, progress, plan).run(move)


class _Move:
    """The steps of one move, under the lease."""

    def __init__(self, keyring: Keyring, progress: Progress, plan: MovePlan) -> None:
        self._keyring = keyring
        self._progress = progress
        self._plan = plan

    def run(self, move: KeystoreMove) -> Moved:
        signing = SigningKeys(self._keyring)
        master, imported = self._master(), signing.move(self._progress)
        sealed_keys = patient_keys = months = 0
        for _ in range(MOST_ROUNDS):
            more = Rewrapper(self._keyring, master, self._progress).run()
            sealed_keys, patient_keys = sealed_keys + more[0], patient_keys + more[1]
            months += move_months(self._keyring, self._progress)
            left = [each.key_id for each in self._in_source() if each.cited_by]
            if set(left) <= set(self._plan.stays):
                break
        else:
            raise Conflict("keys are made in the old keystore again and again", remedy="Is another node not reloaded?")
        unneeded = tuple(each.key_id for each in self._in_source() if each.needed_because is None)
        done = Moved(self._plan, sealed_keys, patient_keys, months, imported, tuple(left), unneeded)
        if done.is_finished:
            signing.require_proven()
            self._finish(move)
        return done

    def _master(self) -> KeyId:
        """Return the new keystore's master key, newer than all that the old one holds; made if it is not there."""
        held = [each.key_id.version for each in self._keyring.moving.old.info().keys if each.key_id.purpose == MASTER]
        newest = max(held, default=0)
        with suppress(KeyNotFound):
            present = self._keyring.moving.new.current_key(MASTER)
            if present.version > newest:
                return present
        return self._keyring.moving.new.create_key(MASTER, AES_256, above=newest)

    def _in_source(self) -> tuple[HeldKey, ...]:
        return tuple(each for each in census(self._keyring) if each.keystore == self._plan.source)

    def _finish(self, move: KeystoreMove) -> None:
        with self._keyring.registry.writing() as tx:
            self._keyring.lease.renew(tx)
            self._keyring.registry.keystore_moves.finish(tx, move, self._keyring.seconds())


def _require_ours(keyring: Keyring, source: str, target: str) -> bool:
    """Tell whether this very move was begun before. Raises Conflict for a target with keys of something else."""
    with keyring.registry.reading() as tx:
        moves = keyring.registry.keystore_moves.every(tx)
    if any((each.source, each.target) == (source, target) for each in moves):
        return True
    held = keyring.moving.new.info().keys
    if held:
        raise Conflict(
            f"the keystore {target} holds {len(held)} keys that no move from {source} has made; it was not touched",
            remedy="Name an empty keystore under [next_keystore]; `vaultq-server keystore prepare` makes one.",
        )
    return False


def _require_movable(plan: MovePlan) -> None:
    needed = [each for each in plan.stays if each.purpose != ROOT_CA]
    if needed:
        raise Conflict(
            f"{', '.join(map(str, needed))} cannot leave {plan.source}; nothing was changed",
            remedy="Add --leave-ca-keys to move everything else, then replace the issuing CAs: the new ones have their "
            "keys in the new keystore. docs/operations.md, `Rotation and moves`, says how.",
        )


def _await_workers(keyring: Keyring, waits: Callable[[], None]) -> None:
    deadline, told = time.monotonic() + WORKERS_SECONDS, False
    while True:
        try:
            require_workers_know(keyring)
        except Conflict:
            if time.monotonic() > deadline:
                raise
        else:
            return
        if not told:
            waits()
            told = True
        with keyring.registry.writing() as tx:
            keyring.lease.renew(tx)
        time.sleep(NAP_SECONDS)


def _begin(keyring: Keyring, plan: MovePlan) -> KeystoreMove:
    with keyring.registry.writing() as tx:
        keyring.lease.renew(tx)
        return keyring.registry.keystore_moves.begin(tx, plan.source, plan.target, keyring.seconds())
