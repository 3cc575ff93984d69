"""Records: one row for each stored object, with all that a listing needs."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from vaultq_core.errors import Conflict
from vaultq_core.registry.row_auth import RowAuth
from vaultq_core.registry.rows import AuthenticatedRows
from vaultq_core.registry.tables.patients import records


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordRow:
    """A record: hashes in hex, `size` in bytes of the object, times in POSIX seconds.

    `counter` numbers the patient's records from 1; `wrapped_dek` is gone once the patient is erased.
    """

    id: str
    patient: str
    author: str
    manifest_hash: str
    record_hash: str
    object_name: str
    size: int
    wrapped_dek: bytes | None = field(repr=False)
    sealed_manifest: bytes = field(repr=False)
    counter: int
    replaces: str | None = None
    replaced_by: str | None = None
    log_index: int
    stored_at: int
    damaged_at: int | None = None


class Records:
    """All records. Reads raise RecordDamaged for a row that VaultQ did not write."""

    def __init__(self, auth: RowAuth) -> None:
        self._rows = AuthenticatedRows(records, RecordRow, "record", auth)

    def add(self, tx: Connection, record: RecordRow) -> None:
        """Insert a record and mark the one it replaces.

        Raises Conflict when the id is taken, or the replaced one is of another patient or was replaced before.
        """
        self._rows.insert(tx, record)
        if record.replaces is not None:
            self._mark_replaced(tx, record.replaces, record)

    def get(self, tx: Connection, record: str) -> RecordRow:
        """Return the record. Raises NotFound."""
        return self._rows.get(tx, record)

    def find(self, tx: Connection, record: str) -> RecordRow | None:
        """Return the record, or None."""
        return self._rows.find(tx, record)

    def of_patient(self, tx: Connection, patient: str, *, after: int = 0, limit: int) -> tuple[RecordRow, ...]:
        """Return at most `limit` records of a patient by counter, from the one after `after`."""
        where = (records.c.patient == patient, records.c.counter > after)
        return self._rows.page(tx, *where, order=records.c.counter, limit=limit)

    def of_author(self, tx: Connection, author: str, *, after: int = -1, limit: int) -> tuple[RecordRow, ...]:
        """Return at most `limit` records of an author by log index, from the one after `after`."""
        where = (records.c.author == author, records.c.log_index > after)
        return self._rows.page(tx, *where, order=records.c.log_index, limit=limit)

    def page(self, tx: Connection, *, after: int = -1, limit: int) -> tuple[RecordRow, ...]:
        """Return at most `limit` of all records by log index, from the one after `after`: for scrubbing."""
        return self._rows.page(tx, records.c.log_index > after, order=records.c.log_index, limit=limit)

    def mark_damaged(self, tx: Connection, record: str, now: int) -> RecordRow:
        """Note that the object did not verify; the first time stays. Raises NotFound."""
        present = self.get(tx, record)
        return present if present.damaged_at is not None else self._rows.change(tx, present, damaged_at=now)

    def rewrap(self, tx: Connection, record: RecordRow, wrapped_dek: bytes) -> RecordRow:
        """Replace the wrapping of the DEK that was read. Raises Conflict if the row changed meanwhile."""
        return self._rows.change(tx, record, wrapped_dek=wrapped_dek)

    def erase(self, tx: Connection, patient: str) -> int:
        """Delete the DEKs of all records of a patient and return how many records there are."""
        found = self._rows.every(tx, records.c.patient == patient, order=records.c.counter)
        for record in found:
            self._rows.change(tx, record, wrapped_dek=None)
        return len(found)

    def count(self, tx: Connection) -> int:
        """Return how many records there are: a figure for people, not authenticated."""
        return tx.execute(select(func.count()).select_from(records)).scalar_one()

    def _mark_replaced(self, tx: Connection, replaced: str, record: RecordRow) -> None:
        present = self.get(tx, replaced)
        if present.patient != record.patient or present.replaced_by is not None:
            raise Conflict("the record to replace is another patient's, or was replaced before")
        self._rows.change(tx, present, replaced_by=record.id)
