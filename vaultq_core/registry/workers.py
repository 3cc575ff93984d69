"""The workers that serve this vault now, each by a row of its own that it renews while it lives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection

from vaultq_core.registry.rows import Rows
from vaultq_core.registry.tables.vault import workers

STALE_SECONDS: Final = 60  # six refreshes missed: it was killed, or its machine is gone


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRow:
    """One worker: its process, its version of VaultQ, and the keystores it has open, one a line (`keystore_name`).

    `started` and `seen` in POSIX seconds.
    """

    holder: str
    node: str
    pid: int
    version: str
    keystores: str
    started: int
    seen: int

    def knows(self, keystore: str) -> bool:
        """Tell whether the worker has a keystore open; `keystore` as from `keystore_name`."""
        return keystore in self.keystores.split("\n")


class Workers:
    """Who serves. A worker that was killed leaves its row behind, which goes stale."""

    def __init__(self) -> None:
        self._rows = Rows(workers, WorkerRow, "worker")

    def put(self, tx: Connection, row: WorkerRow) -> None:
        """Write the row of a worker in place of an earlier one of its holder; at the start and at each refresh."""
        self._rows.remove_one(tx, row.holder)
        self._rows.insert(tx, row)

    def remove(self, tx: Connection, holder: str) -> None:
        """Delete the row of a worker that ends."""
        self._rows.remove_one(tx, holder)

    def remove_stale(self, tx: Connection, now: int) -> None:
        """Delete the rows of workers that have not been seen for STALE_SECONDS."""
        self._rows.remove(tx, workers.c.seen < now - STALE_SECONDS)

    def fresh(self, tx: Connection, now: int) -> tuple[WorkerRow, ...]:
        """Return the workers that were seen within STALE_SECONDS, by holder."""
        return self._rows.every(tx, workers.c.seen >= now - STALE_SECONDS, order=workers.c.holder)


def keystore_name(backend: str, place: str) -> str:
    """Return what rows call a keystore, such as `file /srv/vaultq/keystore`; always one line."""
    return " ".join(f"{backend} {place}".split())
