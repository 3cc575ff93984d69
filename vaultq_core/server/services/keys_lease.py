"""The lease of whoever moves, rotates or destroys keys: one command at a time, and none that fell asleep goes on.

Each write of such a command renews the lease in the same transaction, so that what a command writes after it lost
the lease is undone.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from sqlalchemy import Connection

from vaultq_core.errors import Conflict
from vaultq_core.registry.registry import Registry
from vaultq_core.server.services import maintenance

LEASE: Final = "keys"
LEASE_SECONDS: Final = 30  # what a killed command holds up the next one; a batch of re-wrapping is far shorter
NAP_SECONDS: Final = 0.5


class KeysLease:
    """One command's lease; `now` gives POSIX seconds."""

    def __init__(self, registry: Registry, now: Callable[[], int]) -> None:
        self._registry = registry
        self._now = now
        self._pauses = False
        self._holder = f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"

    @contextmanager
    def held(self, waits: Callable[[], None]) -> Iterator[None]:
        """Hold the lease while the block runs; `waits` is called once if another command has it.

        Raises Conflict when the other command still has it after the time in which a killed one loses it.
        """
        deadline = time.monotonic() + LEASE_SECONDS + 1
        if not self._take():
            waits()
            while not self._take():
                if time.monotonic() > deadline:
                    raise Conflict(
                        "another command moves, rotates or destroys keys of this vault",
                        remedy="Let it finish, then run this one again.",
                    )
                time.sleep(NAP_SECONDS)
        try:
            yield
        finally:
            with self._registry.writing() as tx:
                self._registry.leases.release(tx, LEASE, self._holder)

    @contextmanager
    def maintenance_paused(self) -> Iterator[None]:
        """Keep workers from making a month's key while the block runs: it would be made in the wrong keystore.

        A worker that was just making one finds its lease gone when it commits.
        """
        self._pauses = True
        with self._registry.writing() as tx:
            self.renew(tx)
        try:
            yield
        finally:
            self._pauses = False
            with self._registry.writing() as tx:
                self._registry.leases.release(tx, maintenance.LEASE, self._holder)

    def renew(self, tx: Connection) -> None:
        """Prolong the lease in a transaction that changes something. Raises Conflict when somebody else has it now."""
        if self._pauses:
            self._registry.leases.seize(
                tx, maintenance.LEASE, self._holder, now=self._now(), seconds=maintenance.LEASE_SECONDS
            )
        if not self._registry.leases.take(tx, LEASE, self._holder, now=self._now(), seconds=LEASE_SECONDS):
            raise Conflict(
                "this command was away for so long that another one took over",
                remedy="Let the other one finish, then run this one again; it goes on where it ended.",
            )

    def _take(self) -> bool:
        with suppress(Conflict), self._registry.writing() as tx:
            return self._registry.leases.take(tx, LEASE, self._holder, now=self._now(), seconds=LEASE_SECONDS)
        return False
