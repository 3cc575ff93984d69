"""Objects that are being written and that no record names yet: what a crash leaves behind is found by these."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Connection

from vaultq_core.errors import Conflict
from vaultq_core.registry.rows import Rows
from vaultq_core.registry.tables.patients import pending_records as pending


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingRecord:
    """An object on its way into storage; `created` in POSIX seconds."""

    object_name: str
    record: str
    patient: str
    created: int


class PendingRecords:
    """Pending rows. Whoever deletes one decides alone whether the object becomes a record or is thrown away."""

    def __init__(self) -> None:
        self._rows = Rows(pending, PendingRecord, "pending record")

    def add(self, tx: Connection, row: PendingRecord) -> None:
        """Announce an object before it is written. Raises Conflict when the name is taken."""
        self._rows.insert(tx, row)

    def take(self, tx: Connection, object_name: str) -> None:
        """Delete the row. Raises Conflict when somebody else did."""
        if not self._rows.remove_one(tx, object_name):
            raise Conflict("the upload took too long and was cleaned away")

    def stale(self, tx: Connection, before: int, *, limit: int) -> tuple[PendingRecord, ...]:
        """Return at most `limit` rows that were made before a time, oldest first."""
        return self._rows.page(tx, pending.c.created < before, order=pending.c.created, limit=limit)
