"""Reading the log: the newest checkpoint, consistency proofs, and entries for administrators."""

from __future__ import annotations

import msgspec

from vaultq_core.server.services.desk import Desk
from vaultq_core.wire import api


class LogReading:
    """What the listeners show of the log."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def checkpoint(self) -> str:
        """Return the newest checkpoint, a signed note."""
        with self._desk.registry.reading() as tx:
            return self._desk.registry.log.head(tx).note

    def consistency(self, first: int, second: int) -> api.Consistency:
        """Return the proof that the log of `second` leaves begins with that of `first`. Raises Malformed."""
        with self._desk.registry.reading() as tx:
            path = self._desk.registry.log.consistency_proof(tx, first, second)
        return api.Consistency(first=first, second=second, path=path)

    def entries(self, after: int, limit: int) -> api.LogPage:
        """Return at most `limit` entries from index `after` on, oldest first."""
        with self._desk.registry.reading() as tx:
            found = self._desk.registry.log.entries(tx, after=after - 1, limit=limit)
        rows = tuple(api.LogRow(index=row.log_index, entry=msgspec.Raw(row.entry)) for row in found)
        return api.LogPage(entries=rows, next=rows[-1].index + 1 if len(rows) == limit else None)
