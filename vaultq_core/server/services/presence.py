"""A worker's row in the registry: that it serves, which version it is, and which keystores it has open.

A move of keys waits for every worker that does not know the new keystore, so the row is there before the worker
serves and until it has ended.
"""

from __future__ import annotations

import os
import socket

from vaultq_core.registry.workers import WorkerRow, keystore_name
from vaultq_core.server.moving_keystore import parts
from vaultq_core.server.services.desk import Desk
from vaultq_core.spi.keystore import Keystore


class Presence:
    """Writes the row of this process."""

    def __init__(self, desk: Desk, version: str) -> None:
        self._desk = desk
        self._node, self._pid = socket.gethostname(), os.getpid()
        self._holder = f"{self._node}/{self._pid}"
        self._version = version
        self._keystores = "\n".join(keystores_in(desk.keystore))
        self._started = desk.seconds()

    def announce(self) -> None:
        """Write or renew the row, and delete those of workers that died. Raises RegistryUnavailable."""
        now, workers = self._desk.seconds(), self._desk.registry.workers
        row = WorkerRow(
            holder=self._holder,
            node=self._node,
            pid=self._pid,
            version=self._version,
            keystores=self._keystores,
            started=self._started,
            seen=now,
        )
        with self._desk.registry.writing() as tx:
            workers.remove_stale(tx, now)
            workers.put(tx, row)

    def leave(self) -> None:
        """Delete the row. Raises RegistryUnavailable; the row goes stale then."""
        with self._desk.registry.writing() as tx:
            self._desk.registry.workers.remove(tx, self._holder)


def keystores_in(keystore: Keystore) -> tuple[str, ...]:
    """Return the names (`keystore_name`) of all keystores that `keystore` stands for."""
    return tuple(keystore_name(info.backend, info.place) for info in (each.info() for each in parts(keystore)))
